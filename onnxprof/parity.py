"""Outputs against a reference: how far apart two arrays are, and whether that is too far.

An error counts relative to max(|reference|, root mean square of the reference): rounding in a
long sum is of the size of its terms, so an element that happens to be near zero has no claim
to a small error of its own. One figure, `max_rel`, then meets one tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.outcomes import OutputParity
from onnxprof.records import LayerTable

Array = NDArray[Any]

#: Largest `max_rel` by dtype. float32 has what ONNX's own backend tests allow (`rtol=1e-3`,
#: onnx/backend/test/runner), some 8,000 units of rounding: sums over thousands of terms in another
#: order, approximated exp and erf, and TF32 products (10 bits, 5e-4) stay within it. Narrow types
#: round every intermediate tensor; they have 13 to 20 units. Everything else must be equal.
TOLERANCE = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 1e-3,
    "complex64": 1e-3,
    "float16": 2e-2,
    "bfloat16": 1e-1,
}
_FLOAT8 = 0.5
#: A Sigmoid computes 1 / (1 + exp(-x)), of which each part is rounded at the size of 1, so a result
#: far below is known to a few roundings of 1 alone. Measured with onnxruntime 1.32: 8.9e-8 for
#: the 4.1e-8 of -17, and 0 below -18. So errors up to this many units of 1's last place pass.
_UNITS_OF_ONE = 2
#: Operators whose results are so, and those that only move what they are given.
_PARTS_OF_ONE = ("Sigmoid", "HardSigmoid")
_MOVING = (
    *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split"),
    *("Gather", "Concat"),
)
#: A value on the edge of two quantisation steps may fall to either side, in each layer. Measured
#: with onnxruntime 1.32, integer kernels against the unfused reference: 0.17 on the logits of a
#: LeNet in 8 bits (few images differ at all), and one step of the output on a ResNet-50 and a
#: SqueezeNet. So an output that is itself on a grid (no more values than 8 bits have) may be
#: two steps off in any case.
_QUANTISED = 0.25
_GRID_STEPS = 2
_GRID_VALUES = 256
_EIGHT_BITS = ("int8", "uint8", "int4", "uint4")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Slack:
    """What a model's own arithmetic asks for, whatever the dtype of its outputs."""

    relative: float = 0.0
    """The least tolerance of floating-point outputs."""
    steps: int = 0
    """By how many steps quantised outputs may differ."""


def slack(table: LayerTable) -> Slack:
    """A model that computes in half precision or in 8 bits may not be held to float32."""
    narrow = {t.dtype for layer in table.nodes for t in layer.outputs} - {"float32", "complex64"}
    relative = max((_float_tolerance(dtype) for dtype in narrow), default=0.0)
    if any(_is_quantising(layer.op_type) for layer in table.nodes):
        return Slack(max(relative, _QUANTISED), 1)
    return Slack(relative)


def parts_of_one(table: LayerTable, output: str) -> bool:
    """Whether an output of a model is what a Sigmoid yields, moved about at most."""
    maker = {tensor.name: layer for layer in table.nodes for tensor in layer.outputs}
    layer = maker.get(output)
    while layer is not None and layer.op_type in _MOVING and not layer.domain and layer.inputs:
        del maker[output]
        output = layer.inputs[0].name
        layer = maker.get(output)
    return layer is not None and layer.op_type in _PARTS_OF_ONE and not layer.domain


def _is_quantising(op_type: str) -> bool:
    return "Quantize" in op_type or "QLinear" in op_type or op_type.endswith("Integer")


def _float_tolerance(dtype: str) -> float:
    return TOLERANCE.get(dtype, _FLOAT8 if dtype.startswith("float8") else 0.0)


def compare(
    name: str,
    reference: Array,
    candidate: Array,
    slack: Slack = Slack(),
    *,
    of_one: bool = False,
) -> OutputParity:
    """Hold an output against the reference's. NaNs and infinities must be at the same places.

    `of_one`: its elements are parts of 1, see `parts_of_one`.
    """
    if reference.shape != candidate.shape:
        shapes = f"shape {list(candidate.shape)} where the reference has {list(reference.shape)}"
        return _unlike(name, shapes)
    if _is_number(reference) != _is_number(candidate):
        return _unlike(name, f"{candidate.dtype} where the reference has {reference.dtype}")
    if not _is_number(reference):
        return _exact(name, reference, candidate)
    if max(_float_tolerance(str(a.dtype)) for a in (reference, candidate)):
        return _floats(name, reference, candidate, slack, of_one)
    return _integers(name, reference, candidate, slack)


def _unlike(name: str, note: str) -> OutputParity:
    return OutputParity(name, float("inf"), float("inf"), passed=False, note=note)


def _is_number(array: Array) -> bool:
    """Bools, strings and objects are none; ml_dtypes' numbers are of kind V."""
    return array.dtype.kind not in "bOSU"


def _exact(name: str, reference: Array, candidate: Array) -> OutputParity:
    different = float(np.any(np.asarray(reference != candidate)))
    return OutputParity(name, different, different, passed=not different)


def _integers(name: str, reference: Array, candidate: Array, slack: Slack) -> OutputParity:
    """Equal, or of neighbouring steps where a quantised model yields 8 bits."""
    steps = slack.steps if str(reference.dtype) in _EIGHT_BITS else 0
    worst = scale = 0.0
    for want, got in _chunks(reference, candidate):
        wide, other = _wide(want), _wide(got)
        gaps = np.maximum(np.abs(wide - other), want != got)  # 2**53 + 1 is no float64
        worst, scale = max(worst, float(gaps.max())), max(scale, float(np.abs(wide).max()))
    return OutputParity(name, worst, worst / max(scale, 1.0), 0, float(steps), worst <= steps)


def _floats(
    name: str, reference: Array, candidate: Array, slack: Slack, of_one: bool
) -> OutputParity:
    dtypes = (str(reference.dtype), str(candidate.dtype))
    tolerance = max(slack.relative, *map(_float_tolerance, dtypes))
    scale = max(_root_mean_square(reference), _coarseness(reference) if slack.steps else 0.0)
    if of_one and reference.dtype.kind == "f":
        scale = max(scale, _UNITS_OF_ONE * float(np.finfo(reference.dtype).eps) / tolerance)
    strays = 0
    worst = relative = 0.0
    for want, got in _chunks(reference, candidate):
        wide, other = _wide(want), _wide(got)
        finite = np.isfinite(wide) & np.isfinite(other)
        strays += int(np.count_nonzero(~finite & ~_same(wide, other)))
        gaps = np.abs(wide[finite] - other[finite])
        sizes = np.maximum(np.abs(wide[finite]), scale)
        parts = np.divide(gaps, sizes, out=np.where(gaps > 0, np.inf, 0.0), where=sizes > 0)
        worst = max(worst, float(gaps.max(initial=0.0)))
        relative = max(relative, float(parts.max(initial=0.0)))
    passed = relative <= tolerance and not strays
    return OutputParity(name, worst, relative, strays, tolerance, passed)


def _same(wide: Array, other: Array) -> NDArray[np.bool_]:
    """Equal, or NaN on both sides."""
    return np.asarray((wide == other) | (np.isnan(wide) & np.isnan(other)))


def _root_mean_square(array: Array) -> float:
    """Of the finite elements; relative to the largest, so that no square leaves its range."""
    top = max((float(part.max(initial=0.0)) for part in _sizes(array)), default=0.0)
    if not top:
        return 0.0
    sums = [(float(np.square(part / top).sum()), part.size) for part in _sizes(array)]
    return top * float(np.sqrt(sum(s for s, _ in sums) / sum(n for _, n in sums)))


def _coarseness(array: Array) -> float:
    """The scale at which a few steps of the array's grid are just tolerated; 0 without a grid."""
    values = np.zeros(0)
    for (part,) in _chunks(array):
        wide = _wide(part)
        values = np.union1d(values, wide[np.isfinite(wide)])
        if values.size > _GRID_VALUES:
            return 0.0
    gap = float(np.diff(values).min()) if values.size > 1 and values.dtype.kind != "c" else 0.0
    return _GRID_STEPS * gap / _QUANTISED


def _sizes(array: Array) -> Iterator[Array]:
    """Magnitudes of the finite elements, chunk by chunk."""
    for (part,) in _chunks(array):
        sizes = np.abs(_wide(part))
        yield sizes[np.isfinite(sizes)]


def _chunks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Flat pieces, so that wide copies stay small."""
    flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _CHUNK):
        yield tuple(array[start : start + _CHUNK] for array in flat)


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
