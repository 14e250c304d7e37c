"""A workbook of sheets, each a heading row and rows of texts and numbers.

A cell is typed in the file itself, so a name such as `=1+1` stays a text; nothing is a link.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.errors import UsageError
from onnxprof.publish.text.safe import printable

Value = str | float | int | None
#: Limits of the format: characters of a cell, rows of a sheet, characters of a sheet's name.
_MOST_CHARACTERS, _MOST_ROWS, _LONGEST_NAME = 32_767, 1_048_576, 31
#: The last words of columns that hold figures; what stands in others is a name, also `007`.
_FIGURES = frozenset(
    (
        *("ms", "ns", "s", "share", "ratio", "low", "high", "q", "samples", "batch", "size"),
        *("flops", "macs", "adds", "multiplies", "divisions", "exponentials", "comparisons"),
        *("bytes", "byte", "intensity", "ceiling", "parameters", "times", "opset", "threads"),
        *("db", "abs", "percent", "width", "misfit", "at"),
    )
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = re.compile(r"[ _]")
_FORBIDDEN = re.compile(r"[\[\]:*?/\\]")
_WIDEST = 60


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of a workbook."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


def check_installed() -> None:
    """Raise UsageError where no workbook can be written for want of a package."""
    from importlib.util import find_spec

    if find_spec("xlsxwriter") is None:
        raise UsageError(
            "a workbook needs the package XlsxWriter",
            remedy='pip install "onnxprof[xlsx]", or write .csv, which every spreadsheet opens',
        )


def sheet_of_csv(name: str, text: str) -> Sheet:
    """A table of `onnxprof.publish.text.csv` as a sheet, with its figures as numbers."""
    columns, *rows = csv.reader(io.StringIO(text, newline=""))
    is_figure = [_WORDS.split(column)[-1] in _FIGURES for column in columns]
    return Sheet(
        name,
        columns,
        [
            [_value(cell, figure) for cell, figure in zip(row, is_figure, strict=True)]
            for row in rows
        ],
    )


def _value(cell: str, is_figure: bool) -> Value:
    if not cell:
        return None
    return float(cell) if is_figure and _NUMBER.fullmatch(cell) else cell


def workbook(sheets: Iterable[Sheet]) -> bytes:
    """The workbook. Raises UsageError for more rows than a sheet can have."""
    import xlsxwriter

    sink = io.BytesIO()
    options = {
        "in_memory": True,
        **dict.fromkeys(("strings_to_formulas", "strings_to_numbers", "strings_to_urls"), False),
    }
    with xlsxwriter.Workbook(sink, options) as book:
        bold = book.add_format({"bold": True})
        for sheet, name in _named(sheets):
            _fill(book.add_worksheet(name), sheet, bold)
    return sink.getvalue()


def _named(sheets: Iterable[Sheet]) -> Iterator[tuple[Sheet, str]]:
    """Each sheet with a name that the format allows and no other sheet has, whatever its case."""
    taken: set[str] = set()
    for sheet in sheets:
        plain = _FORBIDDEN.sub(" ", printable(sheet.name)).strip(" '") or "sheet"
        name, number = plain[:_LONGEST_NAME], 1
        while name.casefold() in taken or name.casefold() == "history":
            number += 1
            end = f" ({number})"
            name = plain[: _LONGEST_NAME - len(end)] + end
        taken.add(name.casefold())
        yield sheet, name


def _fill(target: Any, sheet: Sheet, bold: Any) -> None:
    if len(sheet.rows) >= _MOST_ROWS:
        raise UsageError(
            f"a sheet has {_MOST_ROWS:,} rows at most, these are {len(sheet.rows) + 1:,}",
            remedy="Write .csv",
        )
    write = _Writer(target)
    for column, name in enumerate(sheet.columns):
        write.cell(0, column, name, bold)
    for row, values in enumerate(sheet.rows, 1):
        for column, value in enumerate(values):
            write.cell(row, column, value)
    write.lay_out(len(sheet.rows))


class _Writer:
    """Writes cells of one sheet, and remembers how wide its columns are."""

    def __init__(self, target: Any) -> None:
        self._target: Any = target
        self._widths: dict[int, int] = {}

    def cell(self, row: int, column: int, value: Value, style: Any = None) -> None:
        """Write one cell: a text as a text, a number as a number, None not at all."""
        if value is None:
            return
        target = self._target
        if isinstance(value, str):
            text = _cut(printable(value, keep="\n"))
            target.write_string(row, column, text, style)
            length = max(map(len, text.split("\n")), default=0)
        else:
            target.write_number(row, column, value, style)
            length = len(f"{value:g}")
        self._widths[column] = max(self._widths.get(column, 0), min(length, _WIDEST))

    def lay_out(self, rows: int) -> None:
        """Widen columns to their texts; the heading row stays in view."""
        target = self._target
        for column, width in self._widths.items():
            target.set_column(column, column, width + 2)
        target.freeze_panes(1, 0)
        if rows and self._widths:
            target.autofilter(0, 0, rows, max(self._widths))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
