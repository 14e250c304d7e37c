"""The only CSV writer, by RFC 4180: every line ends in `\\r\\n`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnxprof.publish.text.safe import printable

#: Characters from which on a part of a CSV is handed on.
_PART = 1 << 16
#: Stands in front of the variant for spreadsheets, which else take UTF-8 for something older.
BYTE_ORDER_MARK = "\ufeff"
_CELL = re.compile(r'"[^"]*(?:""[^"]*)*"|[^,\r\n]+')
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
#: Where a spreadsheet would begin a formula: at the start of a cell, and behind `;` and line
#: breaks, which some take for the end of a cell. A negative number is none.
_FORMULA = re.compile(rf"(^|[;\n])(?=[=+@\t]|-(?!{_NUMBER}(?:$|;)))")
#: The same in a whole text, and somewhat wider: most tables have nothing of the kind.
_SUSPECT = re.compile(rf'(?:^|[,";\n])(?:[=+@\t]|-(?!{_NUMBER}(?:$|[,;"\r])))')


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


def for_spreadsheets(text: str) -> str:
    """A table of `csv_text` for a spreadsheet: no cell becomes a formula, and letters stay letters.

    A byte order mark stands in front; a text that begins with `=`, `+`, `-`, `@` or a tab gets a
    `'` before it, a part of a list of names, too. Negative numbers stay numbers.
    """
    return "".join(spreadsheet_parts((text,)))


def spreadsheet_parts(parts: Iterable[str]) -> Iterator[str]:
    """The same of a text in parts of whole lines, as they come."""
    yield BYTE_ORDER_MARK
    for part in parts:
        yield _CELL.sub(_harmless, part) if _SUSPECT.search(part) else part


def _harmless(cell: re.Match[str]) -> str:
    quote = '"' if cell[0].startswith('"') else ""
    inner = cell[0][1:-1] if quote else cell[0]
    return quote + _FORMULA.sub(r"\1'", inner) + quote


def spreadsheet_variant(text: str) -> str:
    """The same; empty where a spreadsheet reads the plain table just so, as one of ASCII alone."""
    variant = for_spreadsheets(text)
    return "" if text.isascii() and variant == BYTE_ORDER_MARK + text else variant


def spreadsheet_name(name: str) -> str:
    """The name of that variant of a CSV file: `lenet.spreadsheet.csv`."""
    return f"{name.removesuffix('.csv')}.spreadsheet.csv"


def _escaped(row: Iterable[object]) -> Sequence[object]:
    """The cells with control characters escaped; a look at all texts at once finds most clean."""
    cells = list(row)
    if "".join([cell for cell in cells if isinstance(cell, str)]).isprintable():
        return cells
    return [printable(cell, "\n") if isinstance(cell, str) else cell for cell in cells]


def csv_of_records(columns: Sequence[str], records: Iterable[Mapping[str, object]]) -> str:
    """CSV with a header and a row per record, of the values under the columns' names."""
    return csv_text(columns, ([record[name] for name in columns] for record in records))


def dims_text(dims: tuple[tuple[str, int], ...]) -> str:
    """Sizes of symbolic axes: `height=320;width=320`."""
    return ";".join(f"{name}={size}" for name, size in sorted(dims))
