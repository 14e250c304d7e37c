"""A table that folds long cells and fills the width: rich's own look, made without importing rich.

Only where the output is plain ASCII text is it made here; all else is left to rich.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

#: A heading; its share of the width that is left, or None for its longest line; the least width.
Column = tuple[str, int | None, int | None]

_WORD = re.compile(r"\s*\S+\s*")
_GAP = "   "
#: Columns left and right of a row.
_EDGES = 2
#: What rich reads as the name of an emoji in a text.
_EMOJI = re.compile(r":\S*?:")


@dataclass(frozen=True, slots=True)
class Grid:
    """A title and a table below it."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def __rich__(self) -> Table:
        """What rich calls to print this."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        grid = Table(
            title=Text(self.title),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            expand=True,
        )
        for head, ratio, least in self.columns:
            grid.add_column(head, overflow="fold", ratio=ratio, min_width=least)
        for row in self.rows:
            grid.add_row(*map(Text, row))
        return grid

    def plain(self, width: int) -> str | None:
        """The same as plain text; None where only rich can lay it out."""
        heads = [head for head, *_ in self.columns]
        cells = (cell for row in self.rows for cell in row)
        if "\n" in "".join(heads) or not _are_plain([self.title, *heads, *cells]):
            return None
        widths = self._widths(width)
        if widths is None:
            return None
        lines = [line.ljust(width) for line in folded(self.title, width)] if self.title else []
        lines += [" " * width, self._line(heads, widths)]
        lines.append(f" {'───'.join('─' * each for each in widths)} ")
        for row in self.rows:
            parts = (folded(cell, each) for cell, each in zip(row, widths, strict=True))
            lines += [self._line(line, widths) for line in zip_longest(*parts, fillvalue="")]
        return "".join(f"{line}\n" for line in [*lines, " " * width])

    @staticmethod
    def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f" {_GAP.join(padded)} "

    def _widths(self, width: int) -> list[int] | None:
        """Widths of the columns without what lies between; None where they are too narrow."""
        rest = width - _EDGES - len(_GAP) * (len(self.columns) - 1)
        fixed = {
            i: max(least or 0, *self._longest(i))
            for i, (_, ratio, least) in enumerate(self.columns)
            if ratio is None
        }
        shares = [i for i in range(len(self.columns)) if i not in fixed]
        found = fixed | self._shared(rest - sum(fixed.values()), shares)
        widths = [found[i] for i in range(len(self.columns))]
        fit = all(len(head) <= each for (head, *_), each in zip(self.columns, widths, strict=True))
        return widths if fit and sum(widths) == rest else None

    def _longest(self, place: int) -> Iterator[int]:
        yield from (len(self.columns[place][0]), 1)
        yield from (len(line) for row in self.rows for line in row[place].split("\n"))

    def _shared(self, rest: int, places: Sequence[int]) -> dict[int, int]:
        """The width that is left by ratio, rounded as rich does, with the gaps counted in."""
        gaps = {i: (i > 0) + (i < len(self.columns) - 1) for i in places}
        rest += sum(gaps.values())
        ratios = sum(self.columns[i][1] or 0 for i in places)
        found = {}
        for i in places:
            ratio = self.columns[i][1] or 0
            share = ceil(ratio * rest / ratios)
            found[i] = share - gaps[i]
            rest, ratios = rest - share, ratios - ratio
        return found


def plain(part: object, width: int) -> str | None:
    """A text or a grid as a console without colours prints it; None for what only rich can."""
    if isinstance(part, Grid):
        return part.plain(width)
    if not isinstance(part, str) or not _are_plain([part]) or _EMOJI.search(part):
        return None
    return "".join(f"{line}\n" for line in folded(part, width))


def _are_plain(texts: Sequence[str]) -> bool:
    """Whether a character is a column."""
    whole = "".join(texts).replace("\n", "")
    return whole.isascii() and whole.isprintable()


def folded(text: str, width: int) -> list[str]:
    """The text in lines of at most that width, broken between words, and within those too long."""
    return [part[:width] for line in text.split("\n") for part in _broken(line, width)]


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    ends = [*_breaks(line, width), len(line)]
    return [line[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _breaks(line: str, width: int) -> Iterator[int]:
    """Where lines begin, but for the first."""
    used = 0
    for match in _WORD.finditer(line):
        start, word = match.start(), match[0]
        length = len(word.rstrip())
        if length <= width - used:
            used += len(word)
        elif length > width:
            yield from (at for at in range(start, match.end(), width) if at)
            used = (len(word) - 1) % width + 1
        elif used and start:
            yield start
            used = len(word)
