"""A drawing that is too large for a sheet of paper, in tiles: strips side by side, page by page.

A strip ends between boxes, where few edges cross. Each tile has only what lies in it, so that a
document grows with the drawing, not with the number of its pages.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onnxprof.publish.drawing.strips import Span, cuts

#: A4 in points, and what is left free on each side; the foot of a page stands in it.
_SHORT, _LONG, MARGIN = 595.28, 841.89, 34.0
#: Points a pixel: as drawn, where that lets one more strip on a page, and at the least, where texts
#: are still 4.5 points tall.
DRAWN, _BESIDE, LEAST = 0.75, 0.6, 0.47
#: Points between strips, and pixels that stand in two tiles of a drawing that is wider than a page.
_GAP, _OVERLAP = 12.0, 24.0
#: The widest box and the texts in it, in pixels: how far from a tile a text may begin.
_BOX = 240.0
_GROUP = re.compile(r'<g transform="translate\(([\d.-]+) ([\d.-]+)\)">.*')
_HEIGHT = re.compile(r'<rect class="[bi][^"]*" width="[\d.]+" height="([\d.]+)"')
#: In the box of an operator that computes: those behind it are often one step with it.
_LEADS = 'class="k c"'
_PATH = re.compile(r'<path class="e" d="M([^"]*)"/>')

Text = tuple[str, float, float, str]
"""Class, place in pixels and words of a text of a drawing."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a drawing in pixels, and where it stands on its page in points."""

    left: float
    top: float
    width: float
    height: float
    x: float
    y: float

    def holds(self, text: Text) -> bool:
        """Whether a text may be seen in the tile."""
        _, x, y, _ = text
        near = self.left - _BOX <= x <= self.left + self.width + _BOX
        return near and self.top <= y < self.top + self.height


@dataclass(frozen=True, slots=True)
class Paper:
    """Sheets of one size in points with the tiles of a drawing, at so many points a pixel."""

    width: float
    height: float
    scale: float
    sheets: tuple[tuple[Tile, ...], ...]
    is_tiled: bool = True
    """False for a drawing on a page of its own size."""


@dataclass(frozen=True, slots=True)
class Element:
    """A line of a drawing and where it begins and ends from top to bottom, in pixels."""

    markup: str
    span: Span
    is_box: bool


def elements(svg: str) -> Iterator[Element]:
    """The boxes and edges of a drawing; their places are those of the whole drawing."""
    top = None
    for line in svg.splitlines():
        group, path = _GROUP.fullmatch(line), _PATH.fullmatch(line)
        if group and top is None:
            top = float(group[2])
        elif group and top is not None:
            low, height = top + float(group[2]), _HEIGHT.search(line)
            yield Element(line, (low, low + float(height[1] if height else 0)), True)
        elif path and top is not None:
            heights = [top + float(value) for value in path[1].split()[1::2]]
            yield Element(line, (min(heights), max(heights)), False)


def laid_out(width: float, height: float, found: Sequence[Element]) -> Paper:
    """The pages of a drawing of this size: one of its own size where that fits on a sheet.

    Sheets lie across or stand upright, whichever takes fewer.
    """
    upright, across = (_SHORT, _LONG), (_LONG, _SHORT)
    sizes = (across, upright) if width > height else (upright, across)
    room, high = (length - 2 * MARGIN for length in sizes[0])
    if width * DRAWN <= room and height * DRAWN <= high:
        whole = Tile(0.0, 0.0, width, height, 0.0, 0.0)
        return Paper(width * DRAWN, height * DRAWN, DRAWN, ((whole,),), False)
    papers = (_tiled(width, height, found, size) for size in sizes)
    return min(papers, key=lambda paper: len(paper.sheets))


def _tiled(
    width: float, height: float, found: Sequence[Element], size: tuple[float, float]
) -> Paper:
    """The drawing on sheets of this width and height."""
    wide, tall = size
    room, high = wide - 2 * MARGIN, tall - 2 * MARGIN
    beside = max(1, math.floor((room + _GAP) / (width * _BESIDE + _GAP)))
    fitting = (room - (beside - 1) * _GAP) / beside / width
    scale = min(DRAWN, max(LEAST, fitting))
    strips = _strips(height, found, high / scale)
    if fitting < LEAST:
        sheets = tuple((tile,) for strip in strips for tile in _across(width, strip, room / scale))
        return Paper(wide, tall, scale, sheets)
    step = width * scale + _GAP
    tiles = [
        Tile(0.0, low, width, end - low, MARGIN + step * (i % beside), MARGIN)
        for i, (low, end) in enumerate(strips)
    ]
    pages = (tuple(tiles[i : i + beside]) for i in range(0, len(tiles), beside))
    return Paper(wide, tall, scale, tuple(pages))


def _strips(height: float, found: Sequence[Element], most: float) -> list[Span]:
    boxes = [each.span for each in found if each.is_box]
    lines = [each.span for each in found if not each.is_box]
    leading = [each.span[0] for each in found if each.is_box and _LEADS in each.markup]
    return list(pairwise([0.0, *cuts(boxes, lines, height, most, leading), height]))


def _across(width: float, strip: Span, room: float) -> Iterator[Tile]:
    """The tiles of a strip that is wider than a page, with a little of each in the next."""
    low, end = strip
    left = 0.0
    while True:
        yield Tile(left, low, min(room, width - left), end - low, MARGIN, MARGIN)
        if left + room >= width:
            return
        left += room - _OVERLAP


def strips_of(paper: Paper) -> list[Span]:
    """The strips of the pages from top to bottom, each once."""
    spans = {(tile.top, tile.top + tile.height) for sheet in paper.sheets for tile in sheet}
    return sorted(spans)


def inside(found: Sequence[Element], strips: Sequence[Span]) -> dict[float, list[str]]:
    """The lines of the elements in each strip, by its top; an edge may be in several."""
    kept: dict[float, list[str]] = {low: [] for low, _ in strips}
    tops = list(kept)
    for each in found:
        low, high = each.span
        for number in range(_strip(tops, low), _strip(tops, high) + 1):
            kept[tops[number]].append(each.markup)
    return kept


def _strip(tops: Sequence[float], y: float) -> int:
    return max(0, bisect_right(tops, y) - 1)
