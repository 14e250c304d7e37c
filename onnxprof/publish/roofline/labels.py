"""Where the labels of a roofline's slopes stand, so that none covers another, nor a mark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Of a label's baseline from its line: above it, below it.
ASIDE = (-5, 13)
#: Widths of a letter, heights over and under the baseline, in the drawing's units.
_LETTER, _OVER, _UNDER = 6.6, 10.0, 3.0
#: Parts of a slope at which its label may begin, the preferred one first.
_STARTS = (0.03, 0.27, 0.51, 0.15, 0.39, 0.63, 0.75, 0.21, 0.33, 0.45, 0.57)
#: What weighs how much against a place: a label that it covers, a line, leaving the slope's end, a
#: mark; many marks weigh less than one label.
_LABEL, _LINE, _OUTSIDE, _MARK, _MOST_MARKS = 10.0, 3.0, 4.0, 1.5, 6
#: A mark: its middle and its radius.
Mark = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope from one point of the drawing to another, with its label."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label begins on its slope, and how far its baseline is from it."""

    x: float
    y: float
    aside: int


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle in the directions of the slopes: along them, and across, downwards."""

    left: float
    right: float
    top: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        across = self.top < other.bottom and other.top < self.bottom
        return across and self.left < other.right and other.left < self.right


def places(slopes: Sequence[Slope], angle: float, marks: Sequence[Mark] = ()) -> list[Place]:
    """A place for each label. All slopes rise by the same angle, in degrees."""
    turn = math.radians(angle)
    around = [_around(mark, turn) for mark in marks]
    lines = [_line(slope, turn) for slope in slopes]
    taken: list[_Box] = []
    found = []
    for number, slope in enumerate(slopes):
        others = [line for line in lines if line is not lines[number]]
        cost = [
            (_cost(box, taken, others, lines[number], around) + order / 100, order, place, box)
            for order, (place, box) in enumerate(_candidates(slope, number, turn))
        ]
        _, _, place, box = min(cost, key=lambda each: each[:2])
        taken.append(box)
        found.append(place)
    return found


def _candidates(slope: Slope, number: int, turn: float) -> Iterator[tuple[Place, _Box]]:
    """Sides change from slope to slope, so that neighbours do not share a gap."""
    sides = (ASIDE[number % 2], ASIDE[1 - number % 2])
    width = _LETTER * len(slope.label)
    for part in _STARTS:
        x, y = slope.x1 + part * (slope.x2 - slope.x1), slope.y1 + part * (slope.y2 - slope.y1)
        along, across = _turned(x, y, turn)
        for aside in sides:
            base = across + aside
            yield Place(x, y, aside), _Box(along, along + width, base - _OVER, base + _UNDER)


def _cost(
    box: _Box, taken: Sequence[_Box], lines: Sequence[_Box], own: _Box, marks: Sequence[_Box]
) -> float:
    outside = box.right > own.right
    labels, crossed, covered = (
        sum(box.meets(other) for other in each) for each in (taken, lines, marks)
    )
    return (
        _LABEL * labels + _LINE * crossed + _OUTSIDE * outside + _MARK * min(covered, _MOST_MARKS)
    )


def _around(mark: Mark, turn: float) -> _Box:
    along, across = _turned(mark[0], mark[1], turn)
    radius = mark[2]
    return _Box(along - radius, along + radius, across - radius, across + radius)


def _line(slope: Slope, turn: float) -> _Box:
    start, across = _turned(slope.x1, slope.y1, turn)
    end, _ = _turned(slope.x2, slope.y2, turn)
    return _Box(start, end, across - 0.5, across + 0.5)


def _turned(x: float, y: float, turn: float) -> tuple[float, float]:
    """A point of the drawing, along the slopes and across them."""
    return x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)


def boxes(slope: Slope, place: Place, angle: float) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of small rectangles that cover a label, in the drawing."""
    turn = math.radians(angle)
    steps = range(math.ceil(len(slope.label) * _LETTER / _OVER) + 1)
    lift = place.aside - _OVER / 2 + _UNDER
    found = []
    for step in steps:
        x = place.x + step * _OVER * math.cos(turn) + lift * math.sin(turn)
        y = place.y - step * _OVER * math.sin(turn) + lift * math.cos(turn)
        found.append((x - _OVER / 2, y - _OVER / 2, x + _OVER / 2, y + _OVER / 2))
    return found
