"""Where the names of a roofline's longest steps stand: beside their marks, on no label or name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxprof.publish.roofline.axes import BOTTOM, LEFT, RIGHT, TOP

#: Left, top, right, bottom.
Box = tuple[float, float, float, float]
#: Width of a letter, height of one, in the drawing's units.
_LETTER, _HEIGHT = 6.2, 12.0
#: A mark reaches less far than its radius at the height of its name.
_REACH, _MOST_REACH, _GAP = 0.72, 30.0, 4.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A step's mark, with the name that is to stand beside it."""

    x: float
    y: float
    radius: float
    text: str = ""

    @property
    def box(self) -> Box:
        """The square around it."""
        return (
            self.x - self.radius,
            self.y - self.radius,
            self.x + self.radius,
            self.y + self.radius,
        )


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its place; `anchor` is the end of it that stands there."""

    x: float
    y: float
    anchor: str
    text: str


def placed(marks: Sequence[Mark], others: Sequence[Mark], taken: Sequence[Box]) -> Iterator[Name]:
    """A place for the name of each mark that has room for it.

    None covers a rectangle of `taken` or another name; of the places that are left it is the one
    that covers the fewest of all marks.
    """
    used = list(taken)
    around = [mark.box for mark in (*marks, *others)]
    for mark in marks:
        free = [
            (sum(_meet(box, other) for other in around), order, name, box)
            for order, (name, box) in enumerate(_candidates(mark))
            if _inside(box) and not any(_meet(box, other) for other in used)
        ]
        if free:
            _, _, name, box = min(free, key=lambda each: each[:2])
            used.append(box)
            yield name


def extent(x: float, y: float, anchor: str, text: str) -> Box:
    """The rectangle of a text at a baseline."""
    width = _LETTER * len(text)
    start = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    return start, y - _HEIGHT + 2, start + width, y + 3


def _candidates(mark: Mark) -> Iterator[tuple[Name, Box]]:
    """Beside the mark, on the side with more room first; above it; below it."""
    reach = min(mark.radius, _MOST_REACH) * _REACH + _GAP
    right, left = (mark.x + reach, mark.y + 4, "start"), (mark.x - reach, mark.y + 4, "end")
    sides = (right, left) if mark.x < (LEFT + RIGHT) / 2 else (left, right)
    above = mark.x, mark.y - mark.radius - _GAP, "middle"
    below = mark.x, mark.y + mark.radius + _HEIGHT, "middle"
    for x, y, anchor in (*sides, above, below):
        yield Name(x, y, anchor, mark.text), extent(x, y, anchor, mark.text)


def _inside(box: Box) -> bool:
    return box[0] >= LEFT and box[2] <= RIGHT and box[1] >= TOP - _HEIGHT and box[3] <= BOTTOM


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
