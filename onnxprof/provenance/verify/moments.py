"""Sums that no layout changes, to rule tensors out before layouts are tried."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SLACK = 3.0


@dataclass(frozen=True, slots=True)
class Moments:
    """Size, sum and norm of a tensor of finite numbers."""

    total: float
    norm: float
    """The root of the sum of squares."""
    size: int


def moments(array: NDArray[Any]) -> Moments | None:
    """The moments of an array.

    None where sums prove nothing: text, infinities, NaNs, and integers that may be scaled.
    """
    if array.dtype.kind in "OSUc" or (array.dtype.kind in "iu" and array.dtype.itemsize <= 2):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        flat = array.reshape(-1).astype(np.float64)
        total, norm = float(flat.sum()), float(np.sqrt(np.square(flat).sum()))
    if not np.isfinite(total) or not np.isfinite(norm):
        return None
    return Moments(total, norm, array.size)


def may_be_equal(
    one: Moments | None, other: Moments | None, bound: float, rounding: float = 0.0
) -> bool:
    """Whether two tensors may be as close as `bound`, by their sums.

    `rounding` is the spread below which differences of elements are rounding errors.
    """
    if one is None or other is None or one.size != other.size:  # padding need not be zeros
        return True
    apart = _SLACK * bound * (max(one.norm, other.norm) + rounding * sqrt(one.size))
    close = abs(one.norm - other.norm) <= apart
    return close and abs(one.total - other.total) <= apart * sqrt(one.size)
