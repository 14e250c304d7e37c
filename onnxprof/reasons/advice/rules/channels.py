"""Numbers of channels that miss the width of vectors, or of tensor cores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.records.device import Device
from onnxprof.records.layer import Layer

#: Multiples that tensor cores take (NVIDIA, Deep Learning Performance Guide, section 4.1).
_TENSOR_CORES = {"float16": 8, "bfloat16": 8, "float32": 4, "int8": 16}
_VECTORS = (("avx512f", 16), ("avx2", 8))
#: Fewer input channels are those of an image, which nobody chooses.
_IMAGE = 4
#: That many layers of one kind must fit, for their rates to say what the others lose.
_FEWEST = 3
_PRODUCTS = ("Conv", "Gemm", "MatMul")


def multiple_of(device: Device, dtype: str) -> int:
    """What numbers of channels should be a multiple of; 0 where nothing is known."""
    if device.kind == "cuda":
        return _TENSOR_CORES.get(dtype, 0)
    if device.kind != "cpu" or dtype != "float32":
        return 0
    return next((width for name, width in _VECTORS if name in device.features), 0)


@dataclass(frozen=True, slots=True)
class _Seen:
    steps: tuple[int, ...]
    layer: Layer
    rate: float
    """GFLOP/s."""
    counts: tuple[int, ...]


def _missed(case: Case) -> Iterator[Finding]:
    if not case.step_ns:
        return
    kinds: dict[tuple[str, str, int], list[_Seen]] = defaultdict(list)
    for roof, steps in case.roof_steps():
        layer = _product(case, steps)
        counts = _channels(layer) if layer else ()
        if layer is None or not counts or not roof.gflops:
            continue
        width = multiple_of(case.run.device, layer.inputs[0].dtype)
        if width:
            kind = layer.op_type, _form(layer), width
            kinds[kind].append(_Seen(steps, layer, roof.gflops, counts))
    for (operator, form, width), seen in kinds.items():
        yield from _of_kind(case, f"{form} {operator}".strip(), width, seen)


def _of_kind(case: Case, kind: str, width: int, seen: list[_Seen]) -> Iterator[Finding]:
    odd = [one for one in seen if any(count % width for count in one.counts)]
    even = [one.rate for one in seen if one not in odd]
    if not odd:
        return
    low, high = np.quantile(even, (0.25, 0.75)) if len(even) >= _FEWEST else (0.0, 0.0)
    slow = [one for one in odd if one.rate < high] if high else odd
    if not slow:
        return
    steps = tuple(n for one in slow for n in one.steps)
    sizes = sorted({count for one in slow for count in one.counts if count % width})
    shown = ", ".join(map(str, sizes[:6])) + ("…" if len(sizes) > 6 else "")
    evidence = [*case.times(steps), Figure("multiple of", width, Unit.COUNT)]
    if high:
        evidence.append(Figure("their median rate", _median(slow), Unit.RATE))
        evidence.append(Figure("that of the others", float(np.median(even)), Unit.RATE))
    yield Finding(
        "channel-width",
        f"{len(slow)} × {kind} with channels that are no multiple of {width}: {shown}",
        f"Choose multiples of {width} where the network is trained anew and the task does not fix"
        " the number, as it does of classes",
        *(case.layers_of(steps), steps, tuple(evidence)),
        _gain(case, slow, float(low), float(high)) if high else None,
    )


def _median(seen: list[_Seen]) -> float:
    return float(np.median([one.rate for one in seen]))


def _gain(case: Case, slow: list[_Seen], low: float, high: float) -> Gain:
    """At the rates of the quartiles of those that fit."""
    least = most = 0.0
    for one in slow:
        ns, spread = case.time_ns(one.steps), case.spread(one.steps)
        least += max(0.0, ns * (1 - spread) * (1 - one.rate / low)) if low else 0.0
        most += ns * (1 + spread) * (1 - one.rate / high)
    return Gain(least, most)


def _product(case: Case, steps: tuple[int, ...]) -> Layer | None:
    """The one convolution or product of a row; not the last, whose outputs the task gives."""
    layers = (case.layers.get(name) for name in case.layers_of(steps))
    found = [one for one in layers if one and one.op_type in _PRODUCTS]
    whole = len(found) == 1 and len(found[0].inputs) > 1
    return found[0] if whole and found[0] is not _last(case) else None


def _last(case: Case) -> Layer | None:
    nodes = case.run.table.nodes
    return next((one for one in reversed(nodes) if one.op_type in _PRODUCTS), None)


def _channels(layer: Layer) -> tuple[int, ...]:
    """Input and output channels of a group; empty where they are not known."""
    data, shape = layer.inputs[0].shape, layer.inputs[1].shape
    if not shape or not data or len(shape) < 2:
        return ()
    if layer.op_type != "Conv":
        flipped = dict(layer.attributes).get("transB", "0") == "1"
        pair = shape[-2:] if not flipped else (shape[1], shape[0])
    else:
        pair = (shape[1], shape[0])
        if _form(layer) == "depthwise":
            pair = (shape[0],)
    sizes = tuple(size for size in pair if isinstance(size, int))
    if len(sizes) != len(pair):
        return ()
    return tuple(size for n, size in enumerate(sizes) if n or size > _IMAGE or len(sizes) == 1)


def _form(layer: Layer) -> str:
    """Convolutions of one form have comparable rates."""
    if layer.op_type != "Conv":
        return ""
    shape = layer.inputs[1].shape or ()
    groups = dict(layer.attributes).get("group", "1")
    if groups != "1":
        return "depthwise" if shape[1:2] == (1,) else "grouped"
    return "pointwise" if all(size == 1 for size in shape[2:]) else "×".join(map(str, shape[2:]))


RULES = (
    Rule(
        "channel-width",
        "Conv, Gemm and MatMul whose channels are no multiple of the vector's width (float32: 16"
        " with AVX-512, 8 with AVX2) or, on CUDA, of what tensor cores take (float16 8, float32 4,"
        " int8 16), unless they are as fast as those of their form that fit",
        "at the rates of the lower and upper quartile of at least three steps of that form that"
        " fit; none without three",
        _missed,
    ),
)
