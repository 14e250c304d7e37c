"""CSV as RFC 4180 has it, written here alone: lines end in `\\r\\n`, the last one too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from onnxprof.publish.text.safe import printable


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A header and a line a row; None is blank.

    Names are untrusted: control characters in texts are escaped, but line breaks, which CSV quotes.
    """
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return sink.getvalue()


def csv_of_records(columns: Sequence[str], records: Iterable[Mapping[str, object]]) -> str:
    """Likewise, of the values that stand under the columns' names."""
    return csv_text(columns, ([record[name] for name in columns] for record in records))


def _cell(value: object) -> object:
    return printable(value, keep="\n") if isinstance(value, str) else value
