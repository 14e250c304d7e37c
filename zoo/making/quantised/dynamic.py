"""Dynamic quantisation: each inference finds the ranges of its activations.

An activation becomes whole numbers, a convolution or product of whole numbers follows, and its
result is scaled back. Whole weights of convolutions have no sign, since onnxruntime's ConvInteger
knows no other. Names are those of onnxruntime's quantisation tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from onnxprof.zoo.making.quantised.parts import Parts, Vector, attribute, node
from onnxprof.zoo.making.quantised.weights import Quantised, quantise

_INTEGER = {"Conv": "ConvInteger", "MatMul": "MatMulInteger", "Gemm": "MatMulInteger"}


def dynamic(parts: Parts, factors: Mapping[str, Vector]) -> ModelProto:
    """The model with whole products; `factors` are those of folded batch norms."""
    made: list[NodeProto] = []
    known: set[str] = set()
    for each in parts.nodes:
        if each.op_type not in _INTEGER or parts.recipe(each.input[1]) is None:
            made.append(each)
            continue
        source = each.input[0]
        if source not in known:
            known.add(source)
            made.append(_ranged(source))
        made += _product(parts, each, factors.get(each.input[1]))
    return parts.finish(made)


def _whole(source: str) -> list[str]:
    """An activation in whole numbers, its scale and its zero point."""
    return [f"{source}_quantized", f"{source}_scale", f"{source}_zero_point"]


def _ranged(source: str) -> NodeProto:
    name = f"{source}_QuantizeLinear"
    return helper.make_node("DynamicQuantizeLinear", [source], _whole(source), name=name)


def _product(parts: Parts, each: NodeProto, factor: Vector | None) -> Iterator[NodeProto]:
    """The nodes in place of a convolution or product; the last one yields its output."""
    name, output, is_conv = each.name, each.output[0], each.op_type == "Conv"
    weight = quantise(parts, each.input[1], factor, signed=not is_conv)
    kept = weight.name
    if attribute(each, "transB", 0):
        kept = f"{weight.name}_Transposed"
        yield node("Transpose", kept, [weight.name], kept, perm=[1, 0])
    whole, scale, zero = _whole(each.input[0])
    inputs = [whole, kept, zero, _zero(parts, each.input[1], weight)]
    product = node(_INTEGER[each.op_type], f"{name}_quant", inputs, f"{output}_output_quantized")
    product.attribute.extend(each.attribute if is_conv else ())
    yield product
    casted = f"{output}_output_quantized_cast_output"
    yield node("Cast", f"{name}_cast", [product.output[0]], casted, to=TensorProto.FLOAT)
    steps = parts.store(f"{each.input[1]}_scale", _along(weight.scale, is_conv))
    scales = f"{name}_quant_scales_mul"
    yield node("Mul", scales, [scale, steps], f"{scales}_output")
    biased = len(each.input) > 2
    scaled = f"{output}_quant_scaled_output" if biased else output
    yield node("Mul", f"{name}_output_scale_mul", [casted, f"{scales}_output"], scaled)
    if biased:
        bias = each.input[2]
        if is_conv:
            bias = parts.store(f"{bias}_reshaped", _along(parts.values(bias), is_conv))
        yield node("Add", f"{name}_bias_add", [scaled, bias], output)


def _zero(parts: Parts, name: str, weight: Quantised) -> str:
    kind = np.uint8 if weight.zero else np.int8
    return parts.store(f"{name}_zero_point", np.array(weight.zero, kind))


def _along(values: Vector, is_conv: bool) -> Vector:
    """A value for each channel, before the axes of the image."""
    return values.reshape(-1, 1, 1) if is_conv and values.ndim else values
