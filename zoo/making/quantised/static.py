"""Static quantisation: Q and DQ around activations, whole weights, 32-bit biases (QDQ).

Activations have 8 bits without a sign and a range that is known beforehand, weights 8 bits with
one. Names are those of onnxruntime's quantisation tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from onnx import ModelProto, NodeProto

from onnxprof.zoo.making.quantised.parts import Parts, Vector, node
from onnxprof.zoo.making.quantised.weights import quantise

#: Operators with a weight; the bias, where they have one, follows it.
WEIGHTED = ("Conv", "Gemm", "MatMul")
#: Operators without weights that runtimes have in whole numbers.
OTHERS = ("Add", "Mul", "Sigmoid", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")
#: Operators that yield what they are given.
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Dropout")
_LARGEST = 255

Ranges = Mapping[str, tuple[float, float]]


def quantised_tensors(parts: Parts, products_only: bool) -> list[str]:
    """The activations that are quantised, in order of first use."""
    found: dict[str, None] = {}
    for each in parts.nodes:
        found.update(dict.fromkeys(_activations(parts, each, products_only)))
    for each in reversed(parts.nodes):
        if each.op_type in _VIEWS and each.output[0] in found:
            found[each.input[0]] = None
    order = [*parts.given, *(name for each in parts.nodes for name in each.output)]
    return [name for name in order if name in found]


def _activations(parts: Parts, each: NodeProto, products_only: bool) -> list[str]:
    if each.op_type in WEIGHTED:
        return [each.input[0]] if parts.recipe(each.input[1]) else []
    if each.op_type in OTHERS and not products_only:
        return [] if any(name in parts.stored for name in each.input) else list(each.input)
    return []


def static(
    parts: Parts, factors: Mapping[str, Vector], ranges: Ranges, products_only: bool
) -> ModelProto:
    """The model with Q and DQ; `factors` are those of folded batch norms."""
    tensors = set(quantised_tensors(parts, products_only))
    scales: dict[str, np.float32] = {}
    made: list[NodeProto] = []
    for name in parts.given:
        if name in tensors:
            made += _pair(parts, name, ranges[name], scales)
    for each in parts.nodes:
        before = list(each.input)
        for at, name in enumerate(each.input):
            if name in tensors:
                each.input[at] = _restored(name)
        if each.op_type in WEIGHTED and parts.recipe(before[1]) is not None:
            made += _weights(parts, each, scales[before[0]], factors.get(before[1]))
        made.append(each)
        for name in each.output:
            if name in tensors:
                made += _pair(parts, name, ranges[name], scales)
    return parts.finish(made)


def _restored(name: str) -> str:
    return f"{name}_DequantizeLinear_Output"


def _pair(
    parts: Parts, name: str, span: tuple[float, float], scales: dict[str, np.float32]
) -> Iterator[NodeProto]:
    """Q and DQ of an activation, whose range always has 0 in it."""
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    scale = np.float32((high - low) / _LARGEST or 1.0)
    scales[name] = scale
    zero = np.uint8(round(-low / float(scale)))
    kept = [
        parts.store(f"{name}_scale", np.array(scale)),
        parts.store(f"{name}_zero_point", np.array(zero)),
    ]
    whole = f"{name}_QuantizeLinear_Output"
    yield node("QuantizeLinear", f"{name}_QuantizeLinear", [name, *kept], whole)
    yield node("DequantizeLinear", f"{name}_DequantizeLinear", [whole, *kept], _restored(name))


def _weights(
    parts: Parts, each: NodeProto, scale: np.float32, factor: Vector | None
) -> Iterator[NodeProto]:
    """DQ of a weight, and of the bias that is added to whole products of it."""
    name = each.input[1]
    whole = quantise(parts, name, factor)
    yield _stored(parts, name, whole.name, whole.scale, np.int8)
    each.input[1] = _restored(name)
    if len(each.input) > 2:
        bias, steps = each.input[2], (scale * whole.scale).astype(np.float32)
        counted = np.rint(parts.values(bias).astype(np.float64) / steps).astype(np.int32)
        kept = parts.store(f"{bias}_quantized", counted)
        yield _stored(parts, bias, kept, steps, np.int32)
        each.input[2] = _restored(bias)


def _stored(
    parts: Parts, name: str, whole: str, scale: Vector, kind: type[np.signedinteger]
) -> NodeProto:
    kept = [
        parts.store(f"{name}_scale", scale),
        parts.store(f"{name}_zero_point", np.zeros(scale.shape, kind)),
    ]
    facts = {"axis": 0} if scale.ndim else {}
    title = f"{name}_DequantizeLinear"
    return node("DequantizeLinear", title, [whole, *kept], _restored(name), **facts)
