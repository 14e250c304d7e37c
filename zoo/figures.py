"""Parameters and multiply-accumulates of a network, counted on its graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, shape_inference

from onnxprof.contracts import ModelError

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a network weighs and costs."""

    parameters: int
    """Elements of all floating-point initializers, batch-norm statistics included."""
    macs: int
    """Multiply-accumulates of Conv, Gemm and MatMul in one inference at batch 1."""
    nodes: int
    opset: int


def count(model: ModelProto) -> Figures:
    """Figures of a model or skeleton. Raises ModelError where a shape cannot be inferred."""
    graph = model.graph
    parameters = sum(math.prod(t.dims) for t in graph.initializer if t.data_type in _FLOATS)
    shapes = _shapes(model)
    macs = sum(_macs(node, shapes) for node in graph.node)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return Figures(parameters, macs, len(graph.node), opset)


def _shapes(model: ModelProto) -> Shapes:
    """Every tensor's shape at batch 1."""
    single = ModelProto()
    single.CopyFrom(model)
    for value in (*single.graph.input, *single.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _macs(node: NodeProto, shapes: Shapes) -> int:
    """Outputs times the products that go into each."""
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return 0
    left, right, out = (shapes.get(n, (0,)) for n in (*node.input[:2], node.output[0]))
    if not all((*left, *right, *out)):
        raise ModelError("its shape cannot be inferred", where=f"layer {node.name}")
    if node.op_type == "Conv":
        return math.prod(out) * math.prod(right[1:])
    transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(out) * left[-2 if transposed else -1]
