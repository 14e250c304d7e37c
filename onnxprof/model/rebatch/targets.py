"""The values that a fixed operand needs for another batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from onnxprof.model.rebatch.operands import Factor
from onnxprof.records.layer import Dim, Shape


def reshape_target(
    raw: Sequence[int], data: Shape, out: Shape, axis: int, own: int
) -> tuple[Factor, ...] | None:
    """A Reshape target in which the batch, at `axis` of the data, scales.

    `raw` is the target as stored (with its 0 and -1), `data` and `out` are the shapes at the
    model's own batch. None where no single entry can take the batch.
    """
    factors = [(int(d), False) for d in raw]
    at = _landing(data, out, axis, len(raw))
    if at is None:
        return None
    if raw[at] == -1 or (raw[at] == 0 and at == axis):
        return tuple(factors)
    size = raw[at] if raw[at] else (data or ())[at]
    if not isinstance(size, int) or size % own:
        return None
    factors[at] = (size // own, True)
    return tuple(factors)


def _landing(data: Shape, out: Shape, axis: int, rank: int) -> int | None:
    """The output axis that contains the batch; None where it is not known.

    Row-major order keeps what lies before an axis before it: the batch lands where the
    product of the sizes before it is the same.
    """
    if rank == 0:
        return None
    if axis == 0:
        return 0
    known, target = _sizes(data), _sizes(out)
    if known is None or target is None:
        same = data and out and axis < len(out) and out[axis] == data[axis]
        return axis if same else None
    before = math.prod(known[:axis])
    starts = [j for j in range(rank) if math.prod(target[:j]) == before]
    whole = [j for j in starts if target[j] == known[axis]]
    if whole:
        return axis if axis in whole else whole[0]
    rest = known[axis + 1 :]
    merged = [j for j in range(1, rank) if target[j:] == rest]
    return merged[0] - 1 if merged else next(iter(starts), None)


def _sizes(shape: Shape) -> list[int] | None:
    sizes = [d for d in shape or () if isinstance(d, int)]
    return sizes if shape is not None and len(sizes) == len(shape) else None


def scale_entry(raw: Sequence[int], at: int, size: Dim, own: int) -> tuple[Factor, ...] | None:
    """The values with the entry `at` scaling, if it is the axis' size at the own batch."""
    if not 0 <= at < len(raw) or raw[at] != size or raw[at] % own:
        return None
    factors = [(int(d), False) for d in raw]
    factors[at] = (raw[at] // own, True)
    return tuple(factors)
