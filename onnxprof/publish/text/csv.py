"""The only CSV writer, by RFC 4180: every line ends in `\\r\\n`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from onnxprof.publish.text.safe import printable


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """CSV with a header and the rows; None is blank.

    Control characters other than line breaks are escaped, since names are untrusted.
    """
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return sink.getvalue()


def csv_of_records(columns: Sequence[str], records: Iterable[Mapping[str, object]]) -> str:
    """CSV with a header and a row per record, of the values under the columns' names."""
    return csv_text(columns, ([record[name] for name in columns] for record in records))


def _cell(value: object) -> object:
    return printable(value, keep="\n") if isinstance(value, str) else value
