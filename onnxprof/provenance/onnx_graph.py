"""The topology of an ONNX graph; branches that onnxruntime inlined stand in place of their If."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import onnx

from onnxprof.provenance.topology import Graph, GraphNode

#: Domains whose operators mean the same in the file and in the graph that runs.
_COMPARABLE = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"})
#: Constants of so few elements are compared by contents, since the runtime shares equal ones.
_COMPARED_ELEMENTS = 8


def graph_attributes(node: onnx.NodeProto) -> Iterator[onnx.AttributeProto]:
    """The attributes of a node that hold one subgraph."""
    return (a for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)


def read_graph(graph: onnx.GraphProto, constants: frozenset[str] = frozenset()) -> Graph:
    """The topology of a graph; a control-flow node reads what its subgraphs capture."""
    given = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return Graph(
        nodes=tuple(read_node(node) for node in graph.node),
        constants=constants | given,
        outputs=tuple(o.name for o in graph.output),
        contents=_contents(graph.initializer),
    )


def _contents(tensors: Iterable[onnx.TensorProto]) -> Mapping[str, str]:
    return {tensor.name: digest for tensor in tensors if (digest := _digest(tensor))}


def _digest(tensor: onnx.TensorProto) -> str:
    """A digest of type, shape and values; empty for a large tensor and for external data."""
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    if outside or math.prod(tensor.dims) > _COMPARED_ELEMENTS:
        return ""
    try:
        data = onnx.numpy_helper.to_array(tensor).tobytes()
    except (ValueError, TypeError):  # strings, and files that contradict themselves
        return ""
    known = f"{tensor.data_type} {list(tensor.dims)} ".encode()
    return hashlib.blake2b(known + data, digest_size=16).hexdigest()


def _attributes(node: onnx.NodeProto) -> str:
    """A digest of attributes and of which inputs are present; empty for a node with subgraphs."""
    if any(True for _ in graph_attributes(node)) or node.domain not in _COMPARABLE:
        return ""
    present = "".join("x" if name else "-" for name in node.input)
    plain = _defaults(node.op_type)
    encoded = {a.name: a.SerializeToString(deterministic=True) for a in node.attribute}
    parts = sorted(data for name, data in encoded.items() if data != plain.get(name))
    return present + hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


@cache
def _defaults(op_type: str) -> Mapping[str, bytes]:
    """The default attributes of an operator, serialised; runtimes write them, files may not."""
    try:
        schema = onnx.defs.get_schema(op_type)
    except onnx.defs.SchemaError:
        return {}
    values = {name: attribute.default_value for name, attribute in schema.attributes.items()}
    return {name: value.SerializeToString(deterministic=True) for name, value in values.items()}


def read_node(node: onnx.NodeProto) -> GraphNode:
    """The node; one with subgraphs also reads what these capture."""
    captured = {name for a in graph_attributes(node) for name in _captured(a.g)}
    own = [name for name in node.input if name]
    return GraphNode(
        name=node.name,
        op_type=node.op_type,
        inputs=(*own, *sorted(captured.difference(own))),
        outputs=tuple(name for name in node.output if name),
        hints=_appended(node),
        digest=_attributes(node),
    )


def _captured(graph: onnx.GraphProto) -> set[str]:
    """Names that a subgraph reads from outside."""
    nodes = [read_node(node) for node in graph.node]
    own = {name for node in nodes for name in node.outputs}
    own |= {t.name for t in graph.initializer} | {i.name for i in graph.input}
    read = {name for node in nodes for name in node.inputs} | {o.name for o in graph.output}
    return read - own


def _appended(node: onnx.NodeProto) -> tuple[str, ...]:
    """Operators that a fused convolution applies to the result, by the node's own attributes."""
    if node.op_type not in ("Conv", "FusedConv") or not node.domain.startswith("com.microsoft"):
        return ()
    attributes: dict[str, Any] = {
        a.name: onnx.helper.get_attribute_value(a) for a in node.attribute
    }
    activation = attributes.get("activation", b"").decode()
    added = ("Add|Sum",) if len(node.input) > 3 and node.input[3] else ()
    return (*added, activation) if activation else added


@dataclass(slots=True)
class Inlined:
    """Constants and conditions collected while branches replace their If."""

    constants: set[str] = field(default_factory=set)
    contents: dict[str, str] = field(default_factory=dict)
    conditions: set[str] = field(default_factory=set)
    """Tensors that decided on a branch, and so were known while loading."""


def inlined(
    graph: onnx.GraphProto, moved: frozenset[str], constants: frozenset[str]
) -> tuple[Graph, frozenset[str]]:
    """The original topology, in which a branch that yields any of `moved` replaces its If.

    The If itself stays, as a node that reads what the branch yields. The second value names the
    conditions that were known while loading.
    """
    inlining = Inlined()
    nodes = tuple(_flat(graph, moved, inlining))
    outputs = tuple(o.name for o in graph.output)
    graph_read = Graph(nodes, constants | inlining.constants, outputs, inlining.contents)
    return graph_read, frozenset(inlining.conditions)


def _flat(graph: onnx.GraphProto, moved: frozenset[str], inlining: Inlined) -> Iterator[GraphNode]:
    inlining.constants.update(t.name for t in graph.initializer)
    inlining.contents.update(_contents(graph.initializer))
    inlining.constants.update(t.values.name for t in graph.sparse_initializer)
    for node in graph.node:
        branch = next((b.g for b in _likely_first(graph, node) if moved & _produced(b.g)), None)
        if node.op_type != "If" or branch is None:
            yield read_node(node)
            continue
        yield from _flat(branch, moved, inlining)
        inlining.conditions.add(node.input[0])
        results = tuple(o.name for o in branch.output)
        yield GraphNode(node.name, "If", results, tuple(name for name in node.output if name))


def _likely_first(graph: onnx.GraphProto, node: onnx.NodeProto) -> Iterable[onnx.AttributeProto]:
    """The subgraphs of a node; of an If, the branch that a constant condition selects is first."""
    if node.op_type != "If":
        return graph_attributes(node)
    stored = [t for t in graph.initializer if node.input and t.name == node.input[0]]
    if not stored:
        return graph_attributes(node)
    taken = "then_branch" if onnx.numpy_helper.to_array(stored[0]).all() else "else_branch"
    return sorted(graph_attributes(node), key=lambda branch: branch.name != taken)


def _produced(graph: onnx.GraphProto) -> set[str]:
    inner = (_produced(a.g) for node in graph.node for a in graph_attributes(node))
    return set().union(_names(graph.node), *inner)


def _names(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.output if name}


def control_flow(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes with subgraphs, those inside branches of an If as well."""
    for node in graph.node:
        subgraphs = list(graph_attributes(node))
        if subgraphs:
            yield node
        for attribute in subgraphs if node.op_type == "If" else ():
            yield from control_flow(attribute.g)
