"""Tables of many rows for a terminal or a file: rich's own look, at a hundredth of its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

Cell = str | Text
_BOLD, _PLAIN = Style(bold=True), Style()
_GAP = "   "
#: Characters beyond ASCII that are one column wide on every terminal.
_NARROW = frozenset("●◐○±–")
#: What stands left and right of a row.
_EDGES = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and how the cells below it stand."""

    head: str
    justify: Literal["left", "right"] = "left"
    min_width: int = 0

    def all_aligned(self, texts: Iterable[str], width: int) -> list[str]:
        """The texts padded to that width."""
        if self.justify == "right":
            return [text.rjust(width) for text in texts]
        return [text.ljust(width) for text in texts]

    def aligned(self, text: str, width: int) -> str:
        """The text padded to that width."""
        return self.all_aligned([text], width)[0]


@dataclass(frozen=True, slots=True)
class ManyRows:
    """A heading and a table below it, whose cells have one line and at most one style each.

    What rich alone can lay out (too wide, characters of other widths, a console without box
    characters) is left to rich.
    """

    heading: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType | Segment]:
        """What rich calls to print this."""
        if self.heading.isascii() and len(self.heading) <= options.max_width:
            yield from (Segment(self.heading, _BOLD), Segment.line())
        else:
            yield Text(self.heading, style="bold")
        texts = self._texts()
        widths = [
            max(column.min_width, len(column.head), *map(len, cells))
            for column, cells in zip(self.columns, texts, strict=True)
        ]
        shape = box.SIMPLE_HEAD.substitute(options, safe=console.safe_box)
        is_wide = sum(widths) + len(_GAP) * (len(widths) - 1) + _EDGES > options.max_width
        if is_wide or shape is not box.SIMPLE_HEAD or not all(map(_are_narrow, texts)):
            yield self._by_rich()
        else:
            yield from self._segments(console, texts, widths)

    def _texts(self) -> list[Sequence[str]]:
        """The cells of each column: a call for a column takes less than one for a cell."""
        cells = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        return [_plain(column) for column in cells]

    def _segments(
        self, console: Console, texts: Sequence[Sequence[str]], widths: Sequence[int]
    ) -> Iterator[Segment]:
        edge = _line(" " * width for width in widths)
        yield edge
        yield from self._head(widths)
        yield _line(("─" * width for width in widths), "───")
        columns = zip(self.columns, texts, widths, strict=True)
        padded = [column.all_aligned(cells, width) for column, cells, width in columns]
        for row, cells in zip(self.rows, zip(*padded, strict=True), strict=True):
            if Text in map(type, row):
                yield from _styled(console, row, cells)
            else:
                yield _line(cells)
        yield edge

    def _head(self, widths: Sequence[int]) -> Iterator[Segment]:
        for column, width in zip(self.columns, widths, strict=True):
            yield Segment(" ", _PLAIN)
            is_first, is_last = column is self.columns[0], column is self.columns[-1]
            if not is_first:
                yield Segment(" ", _BOLD)
            yield Segment(column.aligned(column.head, width), _BOLD)
            yield Segment(" ", _PLAIN if is_last else _BOLD)
        yield Segment.line()

    def _by_rich(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        for column in self.columns:
            table.add_column(
                column.head,
                justify=column.justify,
                no_wrap=True,
                min_width=column.min_width or None,
            )
        for row in self.rows:
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
        return table


def _plain(cells: Sequence[Cell]) -> Sequence[str]:
    return [cell if isinstance(cell, str) else cell.plain for cell in cells]


def _are_narrow(texts: Iterable[str]) -> bool:
    """Whether a character is a column, and a cell a line."""
    whole = "".join(texts)
    known = whole.isascii() or "".join(set(whole) - _NARROW).isascii()
    return known and whole.isprintable()


def _line(cells: Iterable[str], gap: str = _GAP) -> Segment:
    return Segment(f" {gap.join(cells)} \n")


def _styled(console: Console, row: Sequence[Cell], padded: Sequence[str]) -> Iterator[Segment]:
    for number, (cell, text) in enumerate(zip(row, padded, strict=True)):
        yield Segment(_GAP if number else " ", _PLAIN)
        yield Segment(text, _PLAIN if isinstance(cell, str) else console.get_style(cell.style))
    yield Segment(" \n", _PLAIN)
