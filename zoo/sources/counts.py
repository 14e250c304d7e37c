"""Parameters and multiply-accumulates of a network, counted on its graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto, shape_inference

from onnxprof.cost.count import costs, total
from onnxprof.cost.operators import attention, conv, matmul, recurrent
from onnxprof.errors import ModelError
from onnxprof.model.graph.attributes import attributes
from onnxprof.model.graph.operators import DEFAULT_DOMAINS, plain_domain
from onnxprof.model.graph.parameters import parameters
from onnxprof.model.graph.weights import dtype_name
from onnxprof.records.cost import LayerCost
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.zoo.declaration import size_of

#: Operators that multiply and accumulate; without their shapes there is no figure.
_MULTIPLYING = frozenset(
    name for family in (attention, conv, matmul, recurrent) for name in family.OPERATORS
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Size and cost of a network."""

    parameters: int
    """Elements of all weights, see `onnxprof.model.graph.parameters`."""
    macs: int
    """Multiply-accumulates of one inference at batch 1, see `onnxprof.cost`.

    Other symbolic axes have their default lengths.
    """
    nodes: int
    opset: int


def count(model: ModelProto) -> Figures:
    """Figures of a model or skeleton. Raises ModelError where a shape cannot be inferred."""
    opset = next(o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS)
    found = costs(_table(model, opset))
    for cost in found:
        _refuse_unknown(cost)
    nodes = len(model.graph.node)
    return Figures(parameters(model), total(found).operations.macs, nodes, opset)


def _refuse_unknown(cost: LayerCost) -> None:
    if cost.unknown and cost.op_type in _MULTIPLYING:
        raise ModelError(
            f"its shape cannot be inferred: {cost.unknown}", where=f"layer {cost.layer}"
        )


def _table(model: ModelProto, opset: int) -> LayerTable:
    """The nodes at batch 1 and the default lengths; a skeleton has no functions and no bodies."""
    tensors = _tensors(model)
    nodes = (_layer(node, tensors, opset) for node in model.graph.node)
    return LayerTable(tuple(nodes), 1)


def _layer(node: NodeProto, tensors: dict[str, Tensor], opset: int) -> Layer:
    inputs, outputs = (
        tuple(tensors.get(name, Tensor(name)) for name in names if name)
        for names in (node.input, node.output)
    )
    absent = tuple(at for at, name in enumerate(node.input) if not name)
    return Layer(
        node.name,
        LayerKind.NODE,
        node.op_type,
        node.op_type,
        plain_domain(node.domain),
        opset,
        inputs,
        outputs,
        attributes(node),
        absent_inputs=absent,
    )


def _tensors(model: ModelProto) -> dict[str, Tensor]:
    """Every tensor with its dtype and shape at batch 1 and the default lengths."""
    single = ModelProto()
    single.CopyFrom(model)
    sizes = {**_defaults(model), "batch": 1}
    for value in (*single.graph.input, *single.graph.output, *single.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_param"):
                with suppress(KeyError):  # a symbol without a default size
                    dim.dim_value = size_of(dim.dim_param, sizes)
    graph = shape_inference.infer_shapes(single, data_prop=True).graph
    return {tensor.name: tensor for tensor in _typed(graph)}


def _typed(graph: GraphProto) -> Iterator[Tensor]:
    for value in (*graph.input, *graph.value_info, *graph.output):
        held = value.type.tensor_type
        if held.HasField("shape"):
            dims = (d.dim_value if d.HasField("dim_value") else None for d in held.shape.dim)
            yield Tensor(value.name, dtype_name(held.elem_type), tuple(dims))
    for stored in graph.initializer:
        yield Tensor(stored.name, dtype_name(stored.data_type), tuple(stored.dims))


def _defaults(model: ModelProto) -> dict[str, int]:
    """Lengths that the file declares for its symbolic axes."""
    declared = {entry.key: entry.value for entry in model.metadata_props}
    lengths: dict[str, int] = json.loads(declared.get("onnxprof.dims", "{}"))
    return lengths
