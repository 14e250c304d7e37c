"""onnxruntime's optimised graphs, read back and tied to the layers of the original."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import onnx

from onnxprof.backends.ort_topology import (
    control_flow,
    graph_attributes,
    inlined,
    moved_tensors,
    original_name,
    read_graph,
    unmarked,
)
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
    position: int = 0
    """Place in the file; a subgraph's node has that of its outermost control-flow node."""
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""
    anchors: tuple[str, ...] = ()
    head: int = -1
    """For a node inside another's work, the place of that node in `Ties.nodes`; else -1."""


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
    outermost: int | None = None,
) -> None:
    running = read_graph(executed)
    before, conditions = inlined(original, moved_tensors(running), outer_constants)
    witness, after = unmarked(read_graph(extended)), unmarked(running)
    clues = Clues.gather(before, witness)
    anchors = [a for i, node in enumerate(after.nodes) if (a := find_anchor(i, node, clues))]
    computed = {name for node in before.nodes for name in node.outputs}
    found = assign(before, anchors, fixed=computed & (after.constants | conditions))
    ties.folded.extend(found.folded)
    works_for, offset = _joined(after, found.layers), len(ties.nodes)
    found = _pooled(found, works_for, before)
    ties.nodes.extend(
        replace(
            _executed(i, node, proto, found, i if outermost is None else outermost),
            head=offset + works_for[i] if works_for[i] not in (i, -1) else -1,
        )
        for i, (node, proto) in enumerate(zip(after.nodes, executed.node, strict=True))
    )
    constants = before.constants | outer_constants
    for place, triple in _subgraphs(original, extended, executed):
        _tie_graph(*triple, constants, ties, place if outermost is None else outermost)


def _joined(graph: Graph, layers: Mapping[int, tuple[str, ...]]) -> list[int]:
    """For each node the one whose layers it works for: often itself; -1 where it has none.

    A runtime may compute a layer in several nodes (a MatMul and its Add as Gemm between two
    Reshapes; the body of a function). Only the last yields a tensor of the original; what
    nobody reads but such nodes is part of their work, if it was not inserted for layout. So
    is what feeds views alone, each of them a layer's result (two Gathers as Split, Squeezes).
    """
    readers: dict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(graph.nodes):
        for name in node.inputs:
            readers[name].append(i)
    works_for = [i if i in layers else -1 for i in range(len(graph.nodes))]
    for i in reversed(range(len(graph.nodes))):
        node = graph.nodes[i]
        if i in layers or node.op_type in INSERTED or {*graph.outputs} & {*node.outputs}:
            continue
        after = {j for name in node.outputs for j in readers[name]}
        heads = {works_for[j] for j in after}
        views = all(graph.nodes[j].op_type in MOVERS for j in after)
        if heads and -1 not in heads and (len(heads) == 1 or views):
            last = works_for[i] = max(heads)
            works_for = [last if head in heads else head for head in works_for]
    return works_for


def _pooled(found: Assignment, works_for: list[int], original: Graph) -> Assignment:
    """The layers of nodes that work together, on the last of them."""
    owner = {name: works_for[i] for i, names in found.layers.items() for name in names}
    layers: dict[int, list[str]] = defaultdict(list)
    for node in original.nodes:
        if node.name in owner:
            layers[owner[node.name]].append(node.name)
    return replace(found, layers={i: tuple(names) for i, names in layers.items()})


def _executed(
    number: int, node: GraphNode, proto: onnx.NodeProto, found: Assignment, position: int
) -> ExecutedNode:
    subgraph = any(True for _ in graph_attributes(proto))
    layers = found.layers.get(number, ())
    if not layers:
        return ExecutedNode(node.name, node.op_type, tuple(proto.output), subgraph, position)
    anchor = found.anchors[number]
    sure = anchor.confidence is Confidence.EXACT and number not in found.inferred
    return ExecutedNode(
        node.name,
        node.op_type,
        tuple(proto.output),
        subgraph,
        position,
        layers,
        Confidence.EXACT if sure else Confidence.INFERRED,
        anchor.evidence,
        anchor.tensors,
    )


def _subgraphs(
    original: onnx.GraphProto, extended: onnx.GraphProto, executed: onnx.GraphProto
) -> Iterator[tuple[int, _Triple]]:
    """Each executed subgraph with its original and its form at the extended level.

    Found by the control-flow node's name or, where inlining changed that, by its outputs.
    With the place of the control-flow node in the executed graph.
    """
    known, witness = _by_identity(original), _by_identity(extended)
    for place, node in enumerate(executed.node):
        for attribute in graph_attributes(node):
            keys = _identities(node, attribute)
            before = next((known[key] for key in keys if key in known), onnx.GraphProto())
            middle = next((witness[key] for key in keys if key in witness), attribute.g)
            yield place, (before, middle, attribute.g)


_Triple = tuple[onnx.GraphProto, onnx.GraphProto, onnx.GraphProto]


def _by_identity(graph: onnx.GraphProto) -> dict[tuple[str, str], onnx.GraphProto]:
    return {
        key: attribute.g
        for node in control_flow(graph)
        for attribute in graph_attributes(node)
        for key in _identities(node, attribute)
    }


def _identities(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> list[tuple[str, str]]:
    names = [node.name, *(f"-> {original_name(name)}" for name in node.output if name)]
    return [(name, attribute.name) for name in names]


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
                if tensors and node.name:
                    named.setdefault(node.name, (tensors, why))
        return cls(before, produced, named, witness.producers())


def find_anchor(position: int, node: GraphNode, clues: Clues) -> Anchor | None:
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
