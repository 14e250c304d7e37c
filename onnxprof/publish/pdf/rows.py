"""The rows of a printed timing table: lines of a font of one width, in blocks that stay on a page.

Every letter of DejaVu Sans Mono is as wide as any other, so columns are made of spaces here, and
typst sets a block of lines as one text. That takes a tenth of the time of cells and of texts that
are placed, and what is copied from the page keeps its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

#: Letters of a line; the bars stand to the right of them.
WIDTH = 122
#: Lines after which a block ends with its row, and those after which it ends within it.
ENOUGH, MOST = 5, 40
#: Letters of the narrowest and the widest column of operators and of outputs.
_OPERATOR, _OUTPUT = (8, 18), (6, 17)
_LEAST_NAME = 8
#: Spaces before a column.
_GAP = "  "
#: What a line may break after.
_PIECE = re.compile(r"[^/_.:\-×,; ]*[/_.:\-×,; ]*")
#: How a text is set: black, grey, bold.
PLAIN, SOFT, BOLD = 0, 1, 2

Run = tuple[int, str]
"""How a text is set, and the text."""


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A row in words, which the document's fonts can show."""

    place: str
    """Its number; empty for interruptions, overhead and total."""
    name: str
    operator: str
    output: str
    times: tuple[str, str, str]
    """Median, p5 and p95 in the table's unit."""
    share: str
    fate: str = ""
    """Why it has no times, in their place."""
    bar: float = 0.0
    """Length of its bar over that of the longest."""
    is_total: bool = False

    @property
    def figures(self) -> tuple[str, ...]:
        """The cells of the columns of numbers."""
        return *self.times, self.share


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of numbers that stand on their decimal points."""

    title: str
    whole: int
    """Letters before the points."""
    part: int
    """Letters from the points on."""

    @classmethod
    def of(cls, title: str, cells: Sequence[str]) -> _Numbers:
        parts = [_split(cell) for cell in cells] or [("", "")]
        wholes, fractions = zip(*parts, strict=True)
        return cls(title, max(map(len, wholes)), max(map(len, fractions)))

    @property
    def width(self) -> int:
        return max(len(self.title), self.whole + self.part)

    def cell(self, value: str) -> str:
        whole, fraction = _split(value)
        return f"{whole.rjust(self.whole)}{fraction.ljust(self.part)}".rjust(self.width)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Letters of each column."""

    place: int
    name: int
    operator: int
    output: int
    numbers: tuple[_Numbers, ...]

    @property
    def figures(self) -> int:
        """Letters of all numbers."""
        return sum(len(_GAP) + numbers.width for numbers in self.numbers)

    def texts(self, name: str, operator: str, output: str) -> str:
        """The columns of words of a line."""
        parts = (name.ljust(self.name), operator.ljust(self.operator), output.ljust(self.output))
        return _GAP.join(parts)


@dataclass(slots=True)
class _Block:
    """Lines that no page break parts, as they are gathered."""

    lines: int = 0
    runs: list[list[Any]] = field(default_factory=list)
    rules: list[int] = field(default_factory=list)
    """Lines with a rule below them."""
    bars: list[tuple[int, float]] = field(default_factory=list)
    """A line, and the length of the bar on it."""

    def add(self, runs: Sequence[Run]) -> None:
        """Take in a line; neighbours that are set alike become one text."""
        for style, text in (*runs, (runs[-1][0], "\n")):
            if self.runs and self.runs[-1][0] == style:
                self.runs[-1][1] += text
            elif text:
                self.runs.append([style, text])
        self.lines += 1

    def plain(self) -> dict[str, Any]:
        """As the template reads it."""
        return {"lines": self.lines, "runs": self.runs, "rules": self.rules, "bars": self.bars}


def table(
    rows: Sequence[PrintedRow], closing: Sequence[PrintedRow], unit: str, only: str = ""
) -> dict[str, Any]:
    """The line of headings and the blocks of lines; rows that close the table stay together.

    `only` is the heading of the times where rows have one and no percentiles.
    """
    columns = _columns([*rows, *closing], _titles(unit, only))
    blocks = [*_blocks(rows, columns), *_blocks(closing, columns, len(closing))]
    return {"head": _heading(columns), "blocks": [block.plain() for block in blocks]}


def folded(text: str, width: int) -> list[str]:
    """The text in lines of at most so many letters, broken after separators where they have any."""
    lines = [""]
    for piece in _PIECE.findall(text):
        for start in range(0, len(piece), width):
            part = piece[start : start + width]
            if len(lines[-1]) + len(part) > width:
                lines.append("")
            lines[-1] += part
    return lines


def _titles(unit: str, only: str) -> tuple[str, ...]:
    if only:
        return f"{only}, {unit}", "", "", "Share, %"
    return f"Median, {unit}", f"p5, {unit}", f"p95, {unit}", "Share, %"


def _columns(rows: Sequence[PrintedRow], titles: Sequence[str]) -> _Columns:
    place = max((len(row.place) for row in rows), default=0)
    cells = zip(*(row.figures for row in rows), strict=True) if rows else [()] * len(titles)
    numbers = tuple(_Numbers.of(*pair) for pair in zip(titles, cells, strict=True))
    operator = _bounded([row.operator for row in rows], *_OPERATOR)
    output = _bounded([row.output for row in rows], *_OUTPUT)
    taken = max(place, 2) + 1 + operator + output + 2 * len(_GAP)
    name = WIDTH - taken - sum(len(_GAP) + each.width for each in numbers)
    return _Columns(max(place, 2), max(name, _LEAST_NAME), operator, output, numbers)


def _bounded(texts: Sequence[str], least: int, most: int) -> int:
    return max(least, min(most, max(map(len, texts), default=0)))


def _split(value: str) -> tuple[str, str]:
    """What stands before the decimal point, and the rest."""
    whole, point, part = value.partition(".")
    return whole, point + part


def _heading(columns: _Columns) -> str:
    titles = "".join(_GAP + each.title.rjust(each.width) for each in columns.numbers)
    return f"{'#'.rjust(columns.place)} {columns.texts('Layer', 'Operator', 'Output')}{titles}"


def _blocks(
    rows: Sequence[PrintedRow], columns: _Columns, enough: int = ENOUGH
) -> Iterator[_Block]:
    block = _Block()
    for row in rows:
        for number, runs in enumerate(_lines(row, columns)):
            if block.lines >= MOST or (number == 0 and block.lines >= enough):
                yield block
                block = _Block()
            if number == 0 and row.bar > 0:
                block.bars.append((block.lines, row.bar))
            block.add(runs)
        block.rules.append(block.lines - 1)
    if block.lines:
        yield block


def _lines(row: PrintedRow, columns: _Columns) -> Iterator[list[Run]]:
    """Each line of a row as the texts that it is made of."""
    words = (
        folded(row.name, columns.name),
        folded(row.operator, columns.operator),
        folded(row.output, columns.output),
        folded(row.fate, columns.figures - len(_GAP)),
    )
    for number, (name, operator, output, fate) in enumerate(zip_longest(*words, fillvalue="")):
        place = row.place if number == 0 else ""
        text = columns.texts(name, operator, output)
        if number == 0 and not row.fate:
            pairs = zip(columns.numbers, row.figures, strict=True)
            text += "".join(_GAP + each.cell(value) for each, value in pairs)
        style = BOLD if row.is_total else PLAIN
        yield [
            (SOFT, f"{place.rjust(columns.place)} "),
            (style, text if fate else text.rstrip()),
            *([(SOFT, _GAP + fate)] if fate else []),
        ]
