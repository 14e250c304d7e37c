"""Sizes along an axis: whether its scale is logarithmic, which of them have room for a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

#: From size to size of a logarithmic axis at least.
_FACTOR = 1.5


def is_geometric(sizes: Sequence[float]) -> bool:
    """Whether different sizes, smallest first, are nearer to powers than to even steps."""
    if not sizes or sizes[0] <= 0:
        return False
    return all(b >= _FACTOR * a for a, b in pairwise(sizes))


def labelled(sizes: Sequence[float], at: Callable[[float], float], distance: float) -> list[float]:
    """The sizes whose labels fit without touching each other; the last one is among them."""
    kept: list[float] = []
    for size in sizes:
        if not kept or at(size) - at(kept[-1]) >= distance:
            kept.append(size)
        elif size == sizes[-1]:
            kept[-1] = size
    return kept
