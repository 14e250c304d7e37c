"""Sizes that were seen at several points, as expressions in the axes that were varied.

Along one axis a size is constant, linear, quadratic, or a whole quotient of a linear form, as
strided convolutions and pooling make it; over several axes a polynomial of first degree in those.
Coefficients follow exactly from some of the points, and the other points must agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from onnxprof.cost.base.expression import Expression, Quotient, Size, axis

#: Sizes of all axes.
Point = Mapping[str, int]
#: One size at each point; None where it is unknown.
Seen = tuple[int | None, ...]

#: The size of an axis, and the size that was seen there.
Along = tuple[int, int]
#: Places beside the base at which an axis is looked at, in its steps.
_NEAR = (1, 2, 5, 64)
_BATCH = (1, 2, 4)
#: Consecutive sizes that show a quotient by up to 32 twice.
WINDOW = 66
#: Further points, as places beside the base in steps, that only check.
_HELD_OUT = ((7, 3, 11, 4), (10, 21, 2, 9), (3, 40, 33, 17), (301, 203, 157, 111))
#: How many times the elements of the base a point that only checks has at most.
_MOST_GROWN = 20_000
BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis that is varied."""

    name: str
    base: int
    step: int = 1
    """Sizes are the base and multiples of this above it."""
    window: bool = False
    """Whether consecutive sizes are looked at, too."""
    source: str = ""
    """What the file calls it, where that is no name in Python."""

    def places(self) -> tuple[int, ...]:
        """The sizes at which it is looked at while the others keep their base."""
        near = _BATCH if self.name == BATCH else _NEAR
        found = {self.base, *(self.base + self.step * place for place in near)}
        if self.window:
            found |= {self.base + place for place in range(WINDOW)}
        return tuple(sorted(found))

    @property
    def other(self) -> int:
        """The size at corners where it differs from the base."""
        return self.base + self.step * (1 if self.name == BATCH else _NEAR[-1])


@dataclass(frozen=True, slots=True)
class Plan:
    """The points at which sizes are looked at."""

    axes: tuple[Axis, ...]
    points: tuple[tuple[tuple[str, int], ...], ...]

    @classmethod
    def of(cls, axes: Sequence[Axis]) -> Plan:
        """Each axis alone, all corners, and some points that only check; the base comes first."""
        base = {a.name: a.base for a in axes}
        points = [base]
        points += [{**base, a.name: size} for a in axes for size in a.places()]
        for count in range(2, len(axes) + 1):
            for some in combinations(axes, count):
                points.append({**base, **{a.name: a.other for a in some}})
        points += [_held_out(axes, places * len(axes)) for places in _HELD_OUT]
        return cls(tuple(axes), tuple(dict.fromkeys(tuple(p.items()) for p in points)))


def _held_out(axes: Sequence[Axis], places: Sequence[int]) -> dict[str, int]:
    """A point that only checks, no further out than tensors may be large."""
    far = [max(place // axis.step, 1) for axis, place in zip(axes, places, strict=False)]
    while True:
        point = {a.name: a.base + a.step * place for a, place in zip(axes, far, strict=True)}
        grown = math.prod(point[a.name] / max(a.base, 1) for a in axes)
        if grown <= _MOST_GROWN or max(far) == 1:
            return point
        far = [max(place // 2, 1) for place in far]


class Fitter:
    """Finds the expression of each size that was seen; remembers those it has found."""

    def __init__(self, plan: Plan) -> None:
        self._axes = plan.axes
        self._points = [dict(point) for point in plan.points]
        self._at = {point: i for i, point in enumerate(plan.points)}
        self._found: dict[Seen, Size | None] = {}
        self._base = {a.name: a.base for a in plan.axes}

    def fit(self, seen: Seen) -> Size | None:
        """The expression that yields the sizes seen at all points; None where none is known."""
        if seen not in self._found:
            self._found[seen] = self._fitted(seen)
        return self._found[seen]

    def agrees(self, size: Size, seen: Seen) -> bool:
        """Whether an expression yields what was seen at every point."""
        every = zip(self._points, seen, strict=True)
        return all(_value(size, point) == value for point, value in every)

    def accept(self, seen: Seen, size: Size) -> None:
        """Remember an expression that came from elsewhere."""
        self._found[seen] = size

    def _index(self, changed: Mapping[str, int]) -> int:
        return self._at[tuple((self._base | dict(changed)).items())]

    def _fitted(self, seen: Seen) -> Size | None:
        if None in seen:
            return None
        first = seen[0]
        if len(set(seen)) == 1:
            return first
        forms: dict[str, Size] = {}
        for one in self._axes:
            form = self._along(one, seen)
            if form is None:
                return None
            if not isinstance(form, int):
                forms[one.name] = form
        made = self._combined(seen, forms)
        return made if made is not None and self.agrees(made, seen) else None

    def _along(self, one: Axis, seen: Seen) -> Size | None:
        """The form in one axis while the others keep their base."""
        sizes = one.places()
        values = [seen[self._index({one.name: size})] for size in sizes]
        points = list(zip(sizes, values, strict=True))
        name = axis(one.name)
        for make in (_constant, _linear, _quadratic, _quotient):
            form = make(name, points)  # type: ignore[arg-type]
            if form is not None and all(_value(form, {one.name: x}) == y for x, y in points):
                return form
        return None

    def _combined(self, seen: Seen, forms: Mapping[str, Size]) -> Size | None:
        """The sum over sets of axes of a coefficient times the changes along them."""
        first = seen[0]
        assert first is not None
        names = [a for a in self._axes if a.name in forms]
        changes = {name: form - first for name, form in forms.items()}
        made: Size = first
        for count in range(1, len(names) + 1):
            for some in combinations(names, count):
                corner = {a.name: a.other for a in some}
                value = seen[self._index(corner)]
                assert value is not None
                moved: Size = 1
                for a in some:
                    moved = moved * changes[a.name]
                scale = _value(moved, corner)
                rest = value - _value(made, self._base | corner)
                if rest and not scale:
                    return None
                if rest:
                    made = made + _scaled(moved, Fraction(rest) / scale)
        return made


def _value(size: Size, point: Point) -> Fraction:
    return Fraction(size) if isinstance(size, int) else size.rational(point)


def _scaled(size: Size, factor: Fraction) -> Size:
    return size * Expression({(): factor})


def _constant(_: Expression, points: Sequence[Along]) -> Size | None:
    return points[0][1]


def _linear(name: Expression, points: Sequence[Along]) -> Size | None:
    (x0, y0), (x1, y1) = points[0], points[-1]
    return _scaled(name - x0, Fraction(y1 - y0, x1 - x0)) + y0


def _quadratic(name: Expression, points: Sequence[Along]) -> Size | None:
    """Newton's form through three points."""
    (x0, y0), (x1, y1), (x2, y2) = points[0], points[1], points[-1]
    first, second = Fraction(y1 - y0, x1 - x0), Fraction(y2 - y1, x2 - x1)
    bend = (second - first) / (x2 - x0)
    return _scaled((name - x0) * (name - x1), bend) + _scaled(name - x0, first) + y0


def _quotient(name: Expression, points: Sequence[Along]) -> Size | None:
    """A step each time that a fixed number of sizes went by."""
    window = points[:WINDOW]
    if len(window) < WINDOW or window[-1][0] - window[0][0] != WINDOW - 1:
        return None
    jumps = [i for i in range(1, WINDOW) if window[i][1] != window[i - 1][1]]
    if len(jumps) < 2:
        return None
    divisor, height = jumps[1] - jumps[0], window[jumps[0]][1] - window[jumps[0] - 1][1]
    shift = -window[jumps[0]][0] % divisor
    dividend = name + shift
    assert isinstance(dividend, Expression)
    steps = Expression({((Quotient(dividend, divisor), 1),): Fraction(1)})
    x0, y0 = window[0]
    return steps * height + (y0 - height * ((x0 + shift) // divisor))
