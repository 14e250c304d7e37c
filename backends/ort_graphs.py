"""onnxruntime's optimised graphs, read back and tied to the layers of the original."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx

from onnxprof.provenance import Anchor, Assignment, Graph, GraphNode, assign, extend_forward
from onnxprof.records import Confidence

#: Operators that the layout optimiser and the partitioner insert; they belong to no layer.
INSERTED = frozenset({"ReorderInput", "ReorderOutput", "MemcpyToHost", "MemcpyFromHost"})
#: Operators that rewriting moves about: weak evidence where they yield another layer's tensor.
MOVERS = frozenset({"Transpose", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity"})
#: How the layout optimiser names a node: an original output tensor plus one of these.
SUFFIXES = ("_nchwc", "_bn_nchwc", "_mul_nchwc")


@dataclass(frozen=True, slots=True)
class ExecutedNode:
    """A node of the graph that runs, and what it covers."""

    name: str
    op_type: str
    outputs: tuple[str, ...]
    has_subgraph: bool
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""
    anchors: tuple[str, ...] = ()


@dataclass(slots=True)
class Ties:
    """Every executed node in file order, subgraphs included, and the layers that none needs."""

    nodes: list[ExecutedNode] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)


def tie(original: onnx.ModelProto, extended: onnx.ModelProto, executed: onnx.ModelProto) -> Ties:
    """Tie the executed graph to the original, with the extended level's names as a witness."""
    ties = Ties()
    _tie_graph(original.graph, extended.graph, executed.graph, frozenset(), ties)
    return ties


def _tie_graph(
    original: onnx.GraphProto,
    extended: onnx.GraphProto,
    executed: onnx.GraphProto,
    outer_constants: frozenset[str],
    ties: Ties,
) -> None:
    before = read_graph(original, outer_constants)
    witness = read_graph(extended)
    after = read_graph(executed)
    clues = Clues.gather(before, witness)
    anchors = [a for i, node in enumerate(after.nodes) if (a := _anchor(i, node, clues))]
    computed = {name for node in before.nodes for name in node.outputs}
    found = assign(before, anchors, fixed=computed & after.constants)
    ties.folded.extend(found.folded)
    ties.nodes.extend(
        _executed(i, node, proto, found)
        for i, (node, proto) in enumerate(zip(after.nodes, executed.node, strict=True))
    )
    constants = before.constants | outer_constants
    for triple in _subgraphs(original, extended, executed):
        _tie_graph(*triple, constants, ties)


def _executed(
    position: int, node: GraphNode, proto: onnx.NodeProto, found: Assignment
) -> ExecutedNode:
    subgraph = any(True for _ in graph_attributes(proto))
    layers = found.layers.get(position, ())
    if not layers:
        return ExecutedNode(node.name, node.op_type, tuple(proto.output), subgraph)
    anchor = found.anchors[position]
    sure = anchor.confidence is Confidence.EXACT and position not in found.inferred
    return ExecutedNode(
        node.name,
        node.op_type,
        tuple(proto.output),
        subgraph,
        layers,
        Confidence.EXACT if sure else Confidence.INFERRED,
        anchor.evidence,
        anchor.tensors,
    )


def _subgraphs(
    *graphs: onnx.GraphProto,
) -> Iterator[tuple[onnx.GraphProto, onnx.GraphProto, onnx.GraphProto]]:
    """Matching subgraphs of all three graphs, by the control-flow node's name and attribute."""
    original, extended, executed = (
        {(n.name, a.name): a.g for n in g.node for a in graph_attributes(n)} for g in graphs
    )
    for key, graph in executed.items():
        if key in original:
            yield original[key], extended.get(key, graph), graph


def graph_attributes(node: onnx.NodeProto) -> Iterator[onnx.AttributeProto]:
    """The attributes of a node that hold one subgraph."""
    return (a for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)


def read_graph(graph: onnx.GraphProto, constants: frozenset[str] = frozenset()) -> Graph:
    """The topology of a graph; a control-flow node reads what its subgraphs capture."""
    given = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return Graph(
        nodes=tuple(_read_node(node) for node in graph.node),
        constants=constants | given,
        outputs=tuple(o.name for o in graph.output),
    )


def _read_node(node: onnx.NodeProto) -> GraphNode:
    captured = {name for a in graph_attributes(node) for name in _captured(a.g)}
    own = [name for name in node.input if name]
    return GraphNode(
        name=node.name,
        op_type=node.op_type,
        inputs=(*own, *sorted(captured.difference(own))),
        outputs=tuple(name for name in node.output if name),
        hints=_appended(node),
    )


def _captured(graph: onnx.GraphProto) -> set[str]:
    """Names that a subgraph reads from outside."""
    nodes = [_read_node(node) for node in graph.node]
    own = {name for node in nodes for name in node.outputs}
    own |= {t.name for t in graph.initializer} | {i.name for i in graph.input}
    read = {name for node in nodes for name in node.inputs} | {o.name for o in graph.output}
    return read - own


def _appended(node: onnx.NodeProto) -> tuple[str, ...]:
    """Operators that a fused convolution says it computes after itself."""
    if node.op_type not in ("Conv", "FusedConv") or not node.domain.startswith("com.microsoft"):
        return ()
    attributes: dict[str, Any] = {
        a.name: onnx.helper.get_attribute_value(a) for a in node.attribute
    }
    activation = attributes.get("activation", b"").decode()
    added = ("Add|Sum",) if len(node.input) > 3 and node.input[3] else ()
    return (*added, activation) if activation else added


@dataclass(frozen=True, slots=True)
class Clues:
    """What a node's name and outputs are looked up in."""

    before: Graph
    produced: Mapping[str, GraphNode]
    """From an original tensor to its layer."""
    named: Mapping[str, tuple[tuple[str, ...], str]]
    """From a node's name, at the extended level or originally, to original tensors and why."""
    witness: Mapping[str, GraphNode]
    """From a tensor of the extended level to its node."""

    @classmethod
    def gather(cls, before: Graph, witness: Graph) -> Clues:
        """Index both graphs once."""
        produced = before.producers()
        named: dict[str, tuple[tuple[str, ...], str]] = {}
        for graph, why in ((witness, "name at the extended level"), (before, "node name")):
            for node in graph.nodes:
                tensors = tuple(name for name in node.outputs if name in produced)
                if tensors:
                    named.setdefault(node.name, (tensors, why))
        return cls(before, produced, named, witness.producers())


def _anchor(position: int, node: GraphNode, clues: Clues) -> Anchor | None:
    """Which original tensors the node yields: docs/architecture.md gives the order of evidence."""
    if node.op_type in INSERTED:
        return None
    direct = tuple(name for name in node.outputs if name in clues.produced)
    if direct:
        rank = _rank(node, clues.produced[direct[0]])
        return Anchor(position, direct, Confidence.EXACT, "output tensor", rank)
    if node.name in clues.named:
        tensors, why = clues.named[node.name]
        return Anchor(position, tensors, Confidence.EXACT, why, 1)
    tensor = _named_after(node, clues)
    if not tensor:
        return None
    return Anchor(position, (tensor,), Confidence.EXACT, "name of its output tensor", 1)


def _rank(node: GraphNode, producer: GraphNode) -> int:
    if node.name == producer.name or node.op_type == producer.op_type:
        return 3
    return 0 if node.op_type in MOVERS else 2


def _named_after(node: GraphNode, clues: Clues) -> str:
    """The original tensor that a layout-optimised node yields, found through its name."""
    stems = (node.name.removesuffix(s) for s in SUFFIXES if node.name.endswith(s))
    stem = next((stem for stem in stems if stem in clues.produced), "")
    if not stem:
        return ""
    known = clues.witness.get(stem)
    return extend_forward(clues.before, stem, node.hints[len(known.hints) if known else 0 :])
