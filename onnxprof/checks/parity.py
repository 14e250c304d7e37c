"""Outputs against a reference: the error between two arrays, and whether it is tolerable.

An error counts relative to max(|reference|, root mean square of the reference): rounding in a
long sum is of the size of its terms, so an element that happens to be near zero cannot be held
to a small error relative to itself. One figure, `max_rel`, is compared with one tolerance.

Outputs of a network that computes in 16 bits or fewer are judged as a whole: every layer
rounds coarsely, and the worst element says little. There the root mean square of the errors,
divided by that of the reference, is compared with the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.elements.table import Kind, by_name
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.parity import OutputParity

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
#: Operators with such results, and operators that only move their input's elements.
_PARTS_OF_ONE = ("Sigmoid", "HardSigmoid")
#: Products with packed weights that round their input to 8 bits where `accuracy_level` says so:
#: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits
_PACKED, _EIGHT_BITS = ("MatMulNBits",), "4"
_MOVING = (
    *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split"),
    *("Gather", "Concat"),
)
#: Tolerances of whole outputs, as a relative root mean square error. Measured with onnxruntime
#: 1.32, its optimised runs against the unoptimised: in float16 1.4e-5 to 7.3e-4 (ResNet-18 and 50,
#: SqueezeNet, MobileNet v2, ShuffleNet; bfloat16 has an eighth of the precision), in 8 bits 0.013
#: to 0.028 where the output is not on a coarse grid.
#: One layer's weights taken 1.1 times too large make 0.017 to 0.1 in float16, taken 1.25 times
#: 0.04 to 0.25 in 8 bits, channels in the wrong order 0.05 to 1.5.
_WHOLE = {"float16": 3e-3, "bfloat16": 2.4e-2}
_WHOLE_FLOAT8 = 0.2
_WHOLE_QUANTISED = 0.02
#: How much rounding changes outputs differs from network to network. `noise` is the error of the
#: reference itself when its inputs change by less than a quantisation step: in each layer values
#: near the edge of two steps may fall on either side. onnxruntime's optimised and unoptimised runs
#: differ by 0.6 to 1.3 times the noise, so up to `_NOISE_FACTOR` times it passes; without a noise
#: the tolerance is `_WITHOUT_NOISE`. `_MOST` is the largest tolerance that noise can give.
_NOISE_FACTOR = 2.5
_WITHOUT_NOISE = {"half": 1e-2, "quantised": 0.1}
_MOST = 0.3
#: In correct outputs of 10 to 1,000 elements the worst element's error is 1.4 to 4 times the root
#: mean square. More than this factor times the tolerance means that few elements are wrong, such
#: as two classes that have changed places.
_WORST_FACTOR = 6.0
#: An output that is itself on a grid (no more values than 8 bits have) may be off by this part of
#: a step, and an element by two steps: a softmax over 1,000 classes has few steps that are not 0.
#: Measured on ResNet-50, ShuffleNet and SqueezeNet, whose outputs have 2 to 5 values: at most
#: 0.095 of a step, and 0.13 to 0.5 with one layer wrong.
_GRID_PART, _GRID_STEPS = 0.12, 2
_GRID_VALUES = 256
_GRID_ROUNDING = 1e-3
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Slack:
    """Tolerances that a model's internal precision requires, whatever the dtype of its outputs."""

    relative: float = 0.0
    """The least tolerance of floating-point outputs; if above 0, outputs are judged as a whole."""
    steps: int = 0
    """By how many quantisation steps 8-bit outputs may differ."""

    @property
    def whole(self) -> bool:
        """Whether outputs are judged as a whole."""
        return self.relative > 0


@dataclass(frozen=True, slots=True)
class Noise:
    """The error of the reference's own output when its inputs change a little."""

    rms_rel: float = 0.0
    max_rel: float = 0.0


_NO_NOISE = Noise()


def slack(table: LayerTable) -> Slack:
    """The tolerances of a model: larger where it computes in half precision or in 8 bits."""
    types = {tensor.dtype for layer in table.nodes for tensor in layer.outputs}
    relative = max(map(_whole_tolerance, types), default=0.0)
    if any(map(_is_quantising, table.nodes)):
        return Slack(max(relative, _WHOLE_QUANTISED), 1)
    return Slack(relative)


def _whole_tolerance(dtype: str) -> float:
    return _WHOLE.get(dtype, _WHOLE_FLOAT8 if _is_narrow_float(dtype) else 0.0)


def parts_of_one(table: LayerTable, output: str) -> bool:
    """Whether an output's elements come from a Sigmoid, through operators that only move them."""
    maker = {tensor.name: layer for layer in table.nodes for tensor in layer.outputs}
    layer = maker.get(output)
    while layer is not None and layer.op_type in _MOVING and not layer.domain and layer.inputs:
        del maker[output]
        output = layer.inputs[0].name
        layer = maker.get(output)
    return layer is not None and layer.op_type in _PARTS_OF_ONE and not layer.domain


def _is_quantising(layer: Layer) -> bool:
    """Whether a layer rounds what it reads or yields to 8 bits or fewer."""
    op_type = layer.op_type
    if op_type in _PACKED:
        return dict(layer.attributes).get("accuracy_level") == _EIGHT_BITS
    return "Quantize" in op_type or "QLinear" in op_type or op_type.endswith("Integer")


def _float_tolerance(dtype: str) -> float:
    return TOLERANCE.get(dtype, _FLOAT8 if _is_narrow_float(dtype) else 0.0)


def _is_narrow_float(dtype: str) -> bool:
    element = by_name(dtype)
    return element is not None and element.kind is Kind.FLOAT and element.bits <= 8


def compare(
    name: str,
    reference: Array,
    candidate: Array,
    slack: Slack = Slack(),
    *,
    of_one: bool = False,
    noise: Noise | None = None,
) -> OutputParity:
    """Compare an output with the reference's. NaNs and infinities must be at the same places.

    `of_one`: the elements are parts of 1, see `parts_of_one`. `noise`: the error of the
    reference's own output when its inputs change a little; None if not known.
    """
    if reference.shape != candidate.shape:
        shapes = f"shape {list(candidate.shape)} where the reference has {list(reference.shape)}"
        return _unlike(name, shapes)
    if _is_number(reference) != _is_number(candidate):
        return _unlike(name, f"{candidate.dtype} where the reference has {reference.dtype}")
    if not _is_number(reference):
        return _exact(name, reference, candidate)
    if max(_float_tolerance(str(a.dtype)) for a in (reference, candidate)):
        errors = _floats(name, reference, candidate, of_one)
        return _as_a_whole(errors, reference, candidate, slack, noise) if slack.whole else errors
    return _integers(name, reference, candidate, slack, noise)


def _unlike(name: str, note: str) -> OutputParity:
    return OutputParity(name, float("inf"), float("inf"), passed=False, note=note)


def _is_number(array: Array) -> bool:
    """Whether elements are numbers: not bools, strings or objects. ml_dtypes' have kind V."""
    return array.dtype.kind not in "bOSU"


def _exact(name: str, reference: Array, candidate: Array) -> OutputParity:
    different = float(np.any(np.asarray(reference != candidate)))
    return OutputParity(name, different, different, passed=not different)


def _integers(
    name: str, reference: Array, candidate: Array, slack: Slack, noise: Noise | None
) -> OutputParity:
    """Integers must be equal, or within `slack.steps` for the 8-bit outputs of a quantised model.

    With noise, `_NOISE_FACTOR` times the part of elements that it makes differ may differ.
    """
    element = by_name(reference.dtype.name)
    steps = slack.steps if element is not None and element.narrow else 0
    worst = scale = 0.0
    unequal = 0
    for want, got in _chunks(reference, candidate):
        wide, other = _wide(want), _wide(got)
        gaps = np.maximum(np.abs(wide - other), want != got)  # 2**53 + 1 is no float64
        worst, scale = max(worst, float(gaps.max())), max(scale, float(np.abs(wide).max()))
        unequal += int(np.count_nonzero(gaps))
    part = unequal / max(reference.size, 1)
    rel = worst / max(scale, 1.0)
    if worst <= steps or noise is None or not noise.rms_rel:
        return OutputParity(name, worst, rel, 0, float(steps), worst <= steps, rms_rel=part)
    allowed = min(_NOISE_FACTOR * noise.rms_rel, _MOST)
    passed = part <= allowed
    return OutputParity(name, worst, rel, 0, allowed, passed, whole=True, rms_rel=part)


def _as_a_whole(
    errors: OutputParity, reference: Array, candidate: Array, slack: Slack, noise: Noise | None
) -> OutputParity:
    """Judge the output of a network of low precision by its root mean square error."""
    error = _error_rms(reference, candidate)
    size = _root_mean_square(reference)
    relative = error / size if size else float("inf") if error else 0.0
    step = _grid_step(reference) / size if slack.steps and size else 0.0
    tolerance = max(_whole_allowed(slack, noise), _GRID_PART * step)
    worst = max(_WORST_FACTOR * tolerance, _NOISE_FACTOR * (noise or _NO_NOISE).max_rel)
    worst = max(worst, _GRID_STEPS * step)
    passed = relative <= tolerance and errors.max_rel <= worst and not errors.nan_mismatch
    made = replace(errors, tolerance=tolerance, passed=passed, whole=True, worst_tolerance=worst)
    return replace(made, rms_rel=relative, cosine=_cosine(reference, candidate))


def _whole_allowed(slack: Slack, noise: Noise | None) -> float:
    if noise is None:
        kind = "quantised" if slack.steps else "half"
        return max(slack.relative, _WITHOUT_NOISE[kind])
    return max(slack.relative, min(_NOISE_FACTOR * noise.rms_rel, _MOST))


def _error_rms(reference: Array, candidate: Array) -> float:
    """Root mean square error over the elements that are finite in both arrays."""
    total, count = 0.0, 0
    for wide, other in _finite_pairs(reference, candidate):
        total += float(np.square(np.abs(wide - other)).sum())
        count += wide.size
    return float(np.sqrt(total / count)) if count else 0.0


def _cosine(reference: Array, candidate: Array) -> float | None:
    """Cosine of the angle between the arrays as vectors; None where one of them is zero."""
    dot = one = two = 0.0
    for wide, other in _finite_pairs(reference, candidate):
        dot += float(np.vdot(wide, other).real)
        one += float(np.vdot(wide, wide).real)
        two += float(np.vdot(other, other).real)
    return dot / float(np.sqrt(one) * np.sqrt(two)) if one and two else None


def _finite_pairs(reference: Array, candidate: Array) -> Iterator[tuple[Array, Array]]:
    for want, got in _chunks(reference, candidate):
        wide, other = _wide(want), _wide(got)
        finite = np.isfinite(wide) & np.isfinite(other)
        yield wide[finite], other[finite]


def _floats(name: str, reference: Array, candidate: Array, of_one: bool) -> OutputParity:
    dtypes = (str(reference.dtype), str(candidate.dtype))
    tolerance = max(map(_float_tolerance, dtypes))
    scale = _root_mean_square(reference)
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
    """Root mean square of the finite elements, computed without overflow of the squares."""
    top = max((float(part.max(initial=0.0)) for part in _sizes(array)), default=0.0)
    if not top:
        return 0.0
    sums = [(float(np.square(part / top).sum()), part.size) for part in _sizes(array)]
    return top * float(np.sqrt(sum(s for s, _ in sums) / sum(n for _, n in sums)))


def _grid_step(array: Array) -> float:
    """The least distance between two of the values; 0 where they are too many for 8 bits."""
    values = np.zeros(0)
    for (part,) in _chunks(array):
        wide = _wide(part)
        values = np.union1d(values, wide[np.isfinite(wide)])
        if values.size > _GRID_VALUES:
            return 0.0
    several = values.size > 1 and values.dtype.kind != "c"
    return float(np.diff(values).min()) * (1 + _GRID_ROUNDING) if several else 0.0


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
