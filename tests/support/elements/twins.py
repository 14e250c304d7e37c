"""A network in float16, partly in bfloat16, or in int8 by onnxruntime's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from support.networks import models
from support.networks.models import node

HALF, BRAIN = TensorProto.FLOAT16, TensorProto.BFLOAT16


def half(made: ModelProto) -> ModelProto:
    """Every float in float16."""
    out = ModelProto()
    out.CopyFrom(made)
    for i, tensor in enumerate(out.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            out.graph.initializer[i].CopyFrom(numpy_helper.from_array(array, tensor.name))
    for given in (*out.graph.input, *out.graph.output):
        if given.type.tensor_type.elem_type == TensorProto.FLOAT:
            given.type.tensor_type.elem_type = HALF
    return out


def brain(made: ModelProto) -> ModelProto:
    """The first layer's result rounded to bfloat16: the CPU has few kernels for more."""
    out = ModelProto()
    out.CopyFrom(made)
    first = out.graph.node[0]
    name = first.output[0]
    first.output[0] = f"{name}_wide"
    casts = [
        node("Cast", [f"{name}_wide"], [f"{name}_brain"], "to_brain", to=BRAIN),
        node("Cast", [f"{name}_brain"], [name], "from_brain", to=TensorProto.FLOAT),
    ]
    rest = list(out.graph.node)[1:]
    del out.graph.node[1:]
    out.graph.node.extend([*casts, *rest])
    return out


def twin(
    made: ModelProto, form: str, folder: Path, *, signed: bool = False, **options: Any
) -> ModelProto:
    """An int8 twin by onnxruntime's own tools: `QDQ`, `QOperator`, or `dynamic`.

    `signed` is of the activations.
    """
    from onnxruntime import quantization as tools

    source, target = models.save(made, folder, "float.onnx"), folder / "twin.onnx"
    if form == "dynamic":
        tools.quantize_dynamic(source, target, **options)
        return onnx.load(target)
    feed = [{i.name: _sample(i, seed) for i in made.graph.input} for seed in range(4)]
    tools.quantize_static(
        source,
        target,
        _Reader(feed),
        quant_format=tools.QuantFormat[form],
        activation_type=tools.QuantType.QInt8 if signed else tools.QuantType.QUInt8,
        weight_type=tools.QuantType.QInt8,
        **options,
    )
    return onnx.load(target)


def _sample(given: onnx.ValueInfoProto, seed: int) -> np.ndarray:
    shape = [dim.dim_value or 1 for dim in given.type.tensor_type.shape.dim]
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class _Reader:
    """What onnxruntime's calibration reads from; its own base class is imported late."""

    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)
