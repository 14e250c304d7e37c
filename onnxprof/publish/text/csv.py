"""The only CSV writer, by RFC 4180: every line ends in `\\r\\n`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnxprof.publish.text.safe import printable

#: Characters from which on a part of a CSV is handed on.
_PART = 1 << 16


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """CSV with a header and the rows; None is blank.

    Control characters other than line breaks are escaped, since names are untrusted.
    """
    return "".join(csv_parts(columns, rows))


def csv_parts(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The same text in parts of whole lines, as the rows come."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_escaped(row))
        if sink.tell() >= _PART:
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _escaped(row: Iterable[object]) -> Sequence[object]:
    """The cells with control characters escaped; a look at all texts at once finds most clean."""
    cells = list(row)
    if "".join([cell for cell in cells if isinstance(cell, str)]).isprintable():
        return cells
    return [printable(cell, "\n") if isinstance(cell, str) else cell for cell in cells]


def csv_of_records(columns: Sequence[str], records: Iterable[Mapping[str, object]]) -> str:
    """CSV with a header and a row per record, of the values under the columns' names."""
    return csv_text(columns, ([record[name] for name in columns] for record in records))
