"""Where the items of a batch lie in a tensor, and whether an item's part has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Placement:
    """An axis that holds the batch, alone or merged with others."""

    axis: int
    outer: int = 1
    """Factor of the axis that is outside of the batch: 1 where the batch is outermost."""


def placements(small: Sequence[int], own: int, large: Sequence[int], batch: int) -> list[Placement]:
    """Where the batch may lie in tensors of these shapes at the batches `own` and `batch`.

    Empty where the shapes do not follow the batch, or are the same.
    """
    moved = [a for a, (s, b) in enumerate(zip(small, large, strict=False)) if s != b]
    if len(small) != len(large) or len(moved) != 1:
        return []
    axis = moved[0]
    if small[axis] * batch != large[axis] * own or small[axis] % own:
        return []
    return [Placement(axis, outer) for outer in _divisors(small[axis] // own)]


def _divisors(number: int) -> Iterator[int]:
    return (n for n in range(1, number + 1) if number % n == 0)


def part(array: Array, at: Placement, batch: int, start: int, count: int) -> Array:
    """The part of `count` items from `start` on; the axis is split into outer, items and inner."""
    axis, shape = at.axis, array.shape
    split = (*shape[:axis], at.outer, batch, shape[axis] // at.outer // batch, *shape[axis + 1 :])
    index = (*[slice(None)] * (axis + 1), slice(start, start + count))
    return np.asarray(array.reshape(split)[index])


def is_touched(
    before: Array, after: Array, small: Sequence[int], own: int, batch: int, item: int
) -> bool:
    """Whether replacing an item of a batch changed values of other items, compared exactly.

    `small` is the shape at the batch `own`. Where shapes do not follow the batch, any change
    counts.
    """
    if before.shape != after.shape:
        return True
    same = _same(before, after)
    if same.all():
        return False
    for at in placements(small, own, before.shape, batch):
        rest = [part(same, at, batch, start, count) for start, count in _others(item, batch)]
        if all(unchanged.all() for unchanged in rest):
            return False
    return True


def _others(item: int, batch: int) -> list[tuple[int, int]]:
    return [(0, item), (item + 1, batch - item - 1)]


def _same(before: Array, after: Array) -> NDArray[np.bool_]:
    if before.dtype.kind in "OSU":
        return np.asarray(before == after)
    wide = before.dtype.kind in "fc" or before.dtype.kind == "V"
    unequal = before != after
    if wide:
        unequal &= ~((before != before) & (after != after))  # NaN stays NaN
    return np.asarray(~unequal)
