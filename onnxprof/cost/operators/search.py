"""Sorting, selecting and counting: their work depends on data, so it is bounded.

A sort or a heap of k elements is bounded by n · ceil(log2 k) comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Estimate, Formula, Work


def logarithm(size: Size) -> int:
    """ceil(log2 size), at least 1. Raises Unknown for an expression."""
    if not isinstance(size, int):
        raise Unknown(f"the logarithm of {size} is no expression in its axes")
    return max((size - 1).bit_length(), 1)


def _top_k(call: Call) -> Estimate:
    """A heap of the k best of each row."""
    shape = call.shape()
    kept = call.out()[call.axis("axis", -1, len(shape))]
    work = Work(comparisons=product(shape) * logarithm(kept))
    return Estimate(work, bound="the order of the elements is data: a heap of k takes at most that")


def _unique(call: Call) -> Estimate:
    size = call.elements()
    work = Work(comparisons=size * logarithm(size))
    return Estimate(work, bound="the order of the elements is data: a sort takes at most that")


def _non_zero(call: Call) -> Work:
    return Work(comparisons=call.elements())


#: Overlap of two boxes: corners of the intersection and its sides, both areas' sum, the quotient
#: and its comparison with the threshold.
_OVERLAP = Work(adds=4, multiplies=1, divisions=1, comparisons=7)


def _suppression(call: Call) -> Estimate:
    """Boxes [batch, boxes, 4], scores [batch, classes, boxes]; each kept box meets every box."""
    batch, boxes, _ = call.shape(0)
    classes = call.shape(1)[1]
    most = call.value(2)
    if call.has(2) and most is None:
        kept = boxes
    else:
        kept = most[0] if most else 0
        kept = min(kept, boxes) if isinstance(boxes, int) else kept
    rows = batch * classes
    work = _OVERLAP * (rows * boxes * kept)
    scores = Work(comparisons=rows * boxes * (1 + logarithm(boxes)))
    areas = Work(adds=2, multiplies=1) * (batch * boxes)
    return Estimate(work + scores + areas, bound="the boxes are data: the most that can be kept")


def _ids(call: Call) -> Estimate:
    """Word ids hashed by the 32-bit MurmurHash3: 15 integer operations a word of 4 bytes."""
    return Estimate(Work(adds=3, multiplies=5, comparisons=7) * call.elements())


OPERATORS: Mapping[str, Formula] = {
    "TopK": _top_k,
    "Unique": _unique,
    "NonZero": _non_zero,
    "NonMaxSuppression": _suppression,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {"Unique": _unique, "MurmurHash3": _ids}
