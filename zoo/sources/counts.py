"""Parameters and multiply-accumulates of a network, counted on its graph."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, shape_inference

from onnxprof.errors import ModelError
from onnxprof.model.graph.operators import DEFAULT_DOMAINS

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Size and cost of a network."""

    parameters: int
    """Elements of all floating-point initializers, batch-norm statistics included, scalars not."""
    macs: int
    """Multiply-accumulates of one inference at batch 1.

    Those of Conv, ConvTranspose, Gemm, MatMul, LSTM and GRU; other symbolic axes have their
    default lengths.
    """
    nodes: int
    opset: int


def count(model: ModelProto) -> Figures:
    """Figures of a model or skeleton. Raises ModelError where a shape cannot be inferred."""
    graph = model.graph
    # A scalar is an operand, such as the bounds of a Clip.
    weights = (t for t in graph.initializer if t.data_type in _FLOATS and t.dims)
    parameters = sum(math.prod(t.dims) for t in weights)
    shapes = _shapes(model)
    macs = sum(_macs(node, shapes) for node in graph.node)
    opset = next(o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS)
    return Figures(parameters, macs, len(graph.node), opset)


def _shapes(model: ModelProto) -> Shapes:
    """Every tensor's shape at batch 1 and the default lengths."""
    single = ModelProto()
    single.CopyFrom(model)
    sizes = {**_defaults(model), "batch": 1}
    for value in (*single.graph.input, *single.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    graph = shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _defaults(model: ModelProto) -> dict[str, int]:
    """Lengths that the file declares for its symbolic axes."""
    declared = {entry.key: entry.value for entry in model.metadata_props}
    lengths: dict[str, int] = json.loads(declared.get("onnxprof.dims", "{}"))
    return lengths


def _macs(node: NodeProto, shapes: Shapes) -> int:
    """Multiply-accumulates: outputs times products per output; for ConvTranspose by inputs."""
    if node.op_type in ("LSTM", "GRU"):
        return _recurrent_macs(node, shapes)
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    left, right, out = (shapes.get(n, (0,)) for n in (*node.input[:2], node.output[0]))
    if not all((*left, *right, *out)):
        raise ModelError("its shape cannot be inferred", where=f"layer {node.name}")
    if node.op_type == "Conv":
        return math.prod(out) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(out) * left[-2 if transposed else -1]


def _recurrent_macs(node: NodeProto, shapes: Shapes) -> int:
    """Each weight is used once a step, for [steps, batch, inputs]."""
    data, weight, recurrence = (shapes.get(name, (0,)) for name in node.input[:3])
    if not all((*data, *weight, *recurrence)):
        raise ModelError("its shape cannot be inferred", where=f"layer {node.name}")
    return data[0] * data[1] * (math.prod(weight) + math.prod(recurrence))
