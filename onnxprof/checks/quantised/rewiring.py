"""A quantised model that shows what its layers yield as floats, and takes their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from onnxprof.checks.quantised.scales import Scale, scales

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_SHOWN, _FED, _BETWEEN = "__onnxprof_shown", "__onnxprof_fed", "__onnxprof_between"


def shown(model: ModelProto, tensors: Sequence[str]) -> dict[str, str]:
    """Make these tensors outputs, dequantised; returns the names of the outputs.

    A float tensor that is then quantised shows what is left of it. The model's own outputs go.
    """
    import onnx

    graph = model.graph
    known = scales(graph)
    names = {tensor: _show(graph, tensor, known) for tensor in tensors}
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names.values()))
    return names


def _show(graph: GraphProto, tensor: str, known: Mapping[str, Scale]) -> str:
    if tensor in known:
        return _dequantised(graph, tensor, known[tensor], tensor + _SHOWN)
    quantising = [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == tensor]
    if not quantising:
        return tensor
    between = tensor + _BETWEEN
    like = quantising[0]
    _append(graph, "QuantizeLinear", [tensor, *like.input[1:]], between, like)
    return _dequantised(graph, between, known[like.output[0]], tensor + _SHOWN)


def _dequantised(graph: GraphProto, tensor: str, scale: Scale, name: str) -> str:
    inputs = [tensor, scale.scale, *([scale.zero_point] if scale.zero_point else [])]
    _append(graph, "DequantizeLinear", inputs, name)
    return name


def _append(
    graph: GraphProto,
    operator: str,
    inputs: Iterable[str],
    output: str,
    like: NodeProto | None = None,
) -> None:
    import onnx

    node = onnx.helper.make_node(operator, list(inputs), [output], name=output)
    if like is not None:
        node.attribute.extend(like.attribute)
        node.domain = like.domain
    graph.node.append(node)


def fed(model: ModelProto, tensors: Sequence[str]) -> dict[str, str]:
    """Have each reader of these tensors read an input instead; returns the inputs' names.

    Call it after `shown`, whose nodes go on to read the tensors themselves.
    """
    import onnx

    graph = model.graph
    known = scales(graph)
    other: dict[str, str] = {}
    names: dict[str, str] = {}
    added: list[NodeProto] = []
    for tensor in tensors:
        names[tensor] = tensor + _FED
        other[tensor] = names[tensor]
        if tensor in known:
            scale = known[tensor]
            inputs = [names[tensor], scale.scale, *([scale.zero_point] if scale.zero_point else [])]
            other[tensor] = names[tensor] + _BETWEEN
            added.append(onnx.helper.make_node("QuantizeLinear", inputs, [other[tensor]]))
        kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
        graph.input.append(onnx.ValueInfoProto(name=names[tensor], type=kind))
    for node in graph.node:
        if not node.name.endswith((_SHOWN, _BETWEEN)):
            node.input[:] = [other.get(name, name) for name in node.input]
    for node in reversed(added):
        graph.node.insert(0, node)
    return names


def pruned(model: ModelProto) -> None:
    """Leave only the nodes that the outputs depend on, and the inputs that these read."""
    graph = model.graph
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= _reads(node)
    nodes = [_copied(node) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(nodes)
    for part in (graph.input, graph.initializer):
        left = [item for item in part if item.name in wanted]
        if len(left) < len(part):
            copies = [_copied(item) for item in left]
            del part[:]
            part.extend(copies)


def _copied(message: NodeProto) -> NodeProto:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _reads(node: NodeProto) -> set[str]:
    """What a node reads, in its subgraphs, too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names |= _reads(inner)
            names.update(value.name for value in graph.output)
    return names
