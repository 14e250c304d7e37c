"""Tall drawings in strips: cut between boxes, where the fewest edges cross.

A page of paper takes some of them side by side; on the screen a chain goes on in the next column.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from onnxprof.publish.drawing.layout import Box, Drawing, Point

Span = tuple[float, float]
"""Where something begins and ends from top to bottom."""

#: Drawings of at most this height, in pixels, stay as they are.
TALL = 1_400.0
#: Width over height that columns are chosen for, about that of the stage on a page.
_RATIO = 2.0
#: Pixels between columns, above and below them, and between edges that go on in the next one.
_GUTTER, _AROUND, _LANE = 48.0, 26.0, 3.0
#: No column begins where more edges would have to go round.
_MOST_CROSSING = 6
#: A strip is at least this part of the largest, so that a cut may be where few edges cross.
_LEAST = 0.6


def cuts(
    boxes: Sequence[Span],
    lines: Sequence[Span],
    height: float,
    most: float,
    leading: Sequence[float] = (),
) -> list[float]:
    """Where to cut a drawing, so that no strip is taller than `most`.

    Boxes stay whole wherever the room between them allows it. Of places where equally many edges
    cross, one above a box that leads counts first: `leading` has the upper ends of those boxes.
    """
    gaps = list(_gaps(boxes))
    free = [(low + high) / 2 for low, high in gaps]
    leads = frozenset(leading)
    begins, ends = sorted(low for low, _ in lines), sorted(high for _, high in lines)

    def badness(number: int) -> tuple[int, bool, float]:
        y = free[number]
        return crossing(begins, ends, y), gaps[number][1] not in leads, -y

    found: list[float] = []
    start = 0.0
    while height - start > most:
        last = bisect_right(free, start + most)
        near = range(bisect_right(free, start + _LEAST * most), last)
        near = near or range(bisect_right(free, start), last)[-1:]
        start = free[min(near, key=badness)] if near else start + most
        found.append(start)
    return found


def crossing(begins: Sequence[float], ends: Sequence[float], y: float) -> int:
    """How many lines cross a height, by their sorted upper and lower ends."""
    return bisect_left(begins, y) - bisect_right(ends, y)


def _gaps(boxes: Sequence[Span]) -> Iterator[Span]:
    """The gaps between boxes, from top to bottom."""
    end = math.inf
    for low, high in sorted(boxes):
        if low > end:
            yield end, low
        end = high if end == math.inf else max(end, high)


def wrapped(drawing: Drawing, boxes: Sequence[Box], leads: Sequence[bool]) -> Drawing:
    """The drawing in columns where it is tall and narrow, else as it is.

    `boxes` are the sizes of its boxes; a column best begins with one of those that lead. An edge
    from one column to the next goes through the gutter.
    """
    columns = round(math.sqrt(_RATIO * drawing.height / (drawing.width + _GUTTER)))
    if drawing.height <= TALL or columns < 2:
        return drawing
    corners = zip(drawing.corners, boxes, strict=True)
    spans = [(y, y + box.height) for (_, y), box in corners]
    lines = [_span(path) for path in drawing.paths if path]
    leading = [low for (low, _), lead in zip(spans, leads, strict=True) if lead]
    found = cuts(spans, lines, drawing.height, drawing.height / columns * 1.1, leading)
    begins, ends = sorted(low for low, _ in lines), sorted(high for _, high in lines)
    if any(crossing(begins, ends, y) > _MOST_CROSSING for y in found):
        return drawing
    return _in_columns(drawing, spans, found)


def _span(path: Sequence[Point]) -> Span:
    heights = [y for _, y in path]
    return min(heights), max(heights)


def _in_columns(drawing: Drawing, spans: Sequence[Span], found: Sequence[float]) -> Drawing:
    tops = [0.0, *found]
    wide = drawing.width + _GUTTER
    strips = [bisect_right(found, (low + high) / 2) for low, high in spans]
    lanes = [0] * len(found)
    paths = tuple(tuple(_bent(path, found, wide, lanes)) for path in drawing.paths)
    heights = [b - a for a, b in pairwise([*tops, drawing.height])]
    return replace(
        drawing,
        corners=tuple(
            _moved(corner, strip, tops, wide)
            for corner, strip in zip(drawing.corners, strips, strict=True)
        ),
        paths=paths,
        width=len(tops) * wide - _GUTTER,
        height=max(heights) + 2 * _AROUND,
    )


def _moved(point: Point, strip: int, tops: Sequence[float], wide: float) -> Point:
    return point[0] + strip * wide, point[1] - tops[strip] + _AROUND


def _bent(
    path: Sequence[Point], found: Sequence[float], wide: float, lanes: list[int]
) -> Iterator[Point]:
    """The points of an edge, with those that lead from column to column."""
    tops = [0.0, *found]
    places = [bisect_right(found, y) for _, y in path]
    for (here, strip), (there, other) in pairwise(zip(path, places, strict=True)):
        yield _moved(here, strip, tops, wide)
        down = other > strip
        for upper in range(strip, other) if down else range(strip - 1, other - 1, -1):
            part = (found[upper] - here[1]) / (there[1] - here[1])
            x = here[0] + part * (there[0] - here[0])
            turn = _turn(x, upper, tops, wide, lanes[upper] % _MOST_CROSSING)
            lanes[upper] += 1
            yield from turn if down else turn[::-1]
    if path:
        yield _moved(path[-1], places[-1], tops, wide)


def _turn(x: float, upper: int, tops: Sequence[float], wide: float, lane: int) -> list[Point]:
    """From the end of a column through the gutter to the top of the next."""
    low = tops[upper + 1] - tops[upper] + _AROUND + lane * _LANE
    high = _AROUND - lane * _LANE
    gutter = (upper + 1) * wide - _GUTTER / 2 + (lane - 1) * _LANE
    return [(x + upper * wide, low), (gutter, low), (gutter, high), (x + (upper + 1) * wide, high)]
