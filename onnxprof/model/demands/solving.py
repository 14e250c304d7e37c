"""Demands solved for single axes: `past + new = total` for the total, `2h = 96` for a height."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.model.demands.nodes import Demand
from onnxprof.model.shapes.rules import sizes
from onnxprof.records.layer import Dim

_Terms = Mapping[tuple[str, ...], int]


@dataclass(slots=True)
class Solution:
    """Axes by the expression in other axes, or the number, that the graph leaves them."""

    found: dict[str, int | str] = field(default_factory=dict)
    node_of: dict[str, str] = field(default_factory=dict)
    """The node whose demand gave each."""

    def put(self, demand: Demand, axes: Sequence[str]) -> bool:
        """Take a demand in, solved for one of the axes; returns whether it told something new."""
        left, right = self._now(demand.left), self._now(demand.right)
        difference = sizes.terms(sizes.subtract(left, right))
        if not difference:
            return False
        solved = _solved(difference, axes)
        if solved is None:
            return False
        axis, value = solved
        self.found = {name: _put_in(old, axis, value) for name, old in self.found.items()}
        self.found[axis] = value
        self.node_of[axis] = demand.node
        return True

    def _now(self, size: Dim) -> Dim:
        return sizes.replaced(size, self.found)


def solve(every: Iterable[Demand], axes: Sequence[str], known: Solution | None = None) -> Solution:
    """The demands one after the other; of two axes that are equal the one that comes first stays.

    `axes` are those that may be solved for, in the order of the inputs.
    """
    made = known or Solution()
    for demand in every:
        made.put(demand, axes)
    return made


def _put_in(size: int | str, axis: str, value: int | str) -> int | str:
    made = sizes.replaced(size, {axis: value})
    return size if made is None else made


def _solved(difference: _Terms, axes: Sequence[str]) -> tuple[str, int | str] | None:
    """An axis and what it must be for the sum to be zero; None where no axis stands alone."""
    candidates = [
        (_rank(difference, axis, axes), axis, value)
        for axis in axes
        if (value := _value(difference, axis)) is not None
    ]
    if not candidates:
        return None
    _, axis, value = min(candidates, key=lambda each: each[0])
    return axis, value


def _value(difference: _Terms, axis: str) -> int | str | None:
    """What the axis is; None where it is in a product, or the others leave it no whole size."""
    count = difference.get((axis,), 0)
    if not count or any(axis in names for names in difference if names != (axis,)):
        return None
    rest = {names: -n for names, n in difference.items() if names != (axis,)}
    if any(n % count for n in rest.values()):
        return None
    value = sizes.of_terms({names: n // count for names, n in rest.items()})
    return None if isinstance(value, int) and value < 0 else value


def _rank(difference: _Terms, axis: str, axes: Sequence[str]) -> tuple[bool, int]:
    """A sum goes before a difference, then the axis that comes last among the inputs."""
    count = difference[axis,]
    rest = [-n // count for names, n in difference.items() if names != (axis,)]
    return any(n < 0 for n in rest), -axes.index(axis)
