"""onnxruntime's optimised graphs, read back and tied to the layers of the original."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import onnx

from onnxprof.backends.ort.graphs.earlier import Earlier
from onnxprof.backends.ort.graphs.inlined import moved_tensors, original_name, unmarked
from onnxprof.backends.ort.graphs.walk import (
    EQUAL,
    INSERTED,
    MOVERS,
    VIEWS,
    Match,
    Proposal,
    Walk,
    Walked,
    plain_name,
)
from onnxprof.provenance.onnx_graph import control_flow, graph_attributes, inlined, read_graph
from onnxprof.provenance.slice import Anchor, Assignment, assign
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence

#: The evidence of a step that belongs to no layer, before the name of a tensor.
PASSES_ON = "passes on"
#: Nodes that are inserted for the layout of channels alone.
_LAYOUTS = ("ReorderInput", "ReorderOutput")
#: Marks in the names of operators that round, or take in those that do.
_ROUNDING = ("Quant", "QLinear", "QGemm", "Integer", "Cast", "NBits")


@dataclass(frozen=True, slots=True)
class ExecutedNode:
    """A node of the executed graph, and the layers that it covers."""

    name: str
    op_type: str
    outputs: tuple[str, ...]
    has_subgraph: bool
    position: int = 0
    """Position in the file; nodes of a subgraph have that of the outermost control-flow node."""
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""
    anchors: tuple[str, ...] = ()
    head: int = -1
    """Index in `TiedNodes.nodes` of the node whose work this one is a part of; else -1."""
    source: str = ""
    """For a node without layers, the original tensor that it passes on or first reads."""
    shared: tuple[str, ...] = ()
    """Layers among `layers` that equal another one."""


@dataclass(slots=True)
class TiedNodes:
    """The executed nodes in file order, subgraphs included, and the folded layers."""

    nodes: list[ExecutedNode] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    def settles(self, layers: Iterable[str]) -> bool:
        """Whether more evidence can change nothing: all is tied for certain, no layer is left.

        Nodes that were inserted for another type, that round, or that work for another may be
        tied for certain in more than one way, so they leave it open.
        """
        held = {name for node in self.nodes for name in node.layers}.union(self.folded)
        return all(map(_is_settled, self.nodes)) and held.issuperset(layers)


def _is_settled(node: ExecutedNode) -> bool:
    if node.layers:
        rounds = any(mark in node.op_type for mark in _ROUNDING)
        return node.confidence is Confidence.EXACT and not rounds
    return node.op_type in _LAYOUTS and node.evidence.startswith(PASSES_ON)


def tie(
    original: onnx.ModelProto, extended: onnx.ModelProto, executed: onnx.ModelProto
) -> TiedNodes:
    """Tie the executed graph to the original; names of the extended level serve as evidence."""
    ties = TiedNodes()
    _tie_graph((original.graph, extended.graph, executed.graph), _Outside(), ties)
    return ties


@dataclass(frozen=True, slots=True)
class _Outside:
    """The facts about the surrounding graph that a subgraph needs."""

    constants: frozenset[str] = frozenset()
    same: Mapping[str, str] = field(default_factory=dict)
    carried: Mapping[str, str] = field(default_factory=dict)
    """From tensors of the executed graph to original ones."""
    witnessed: Mapping[str, str] = field(default_factory=dict)
    """From tensors of the extended level to original ones."""
    place: int | None = None
    """Position of the outermost control-flow node; None in the main graph."""


def _tie_graph(graphs: _Triple, outside: _Outside, ties: TiedNodes) -> None:
    original, extended, executed = graphs
    running = read_graph(executed)
    before, conditions = inlined(original, moved_tensors(running), outside.constants)
    witness, after = unmarked(read_graph(extended)), unmarked(running)
    earlier = Earlier(before, outside.same)
    seen = Walk(earlier, witness, outside.witnessed).run()
    walked = seen if extended is executed else _over(earlier, witness, seen, after, outside)
    computed = {name for node in before.nodes for name in node.outputs}
    fixed = computed & (_held(after.constants, before) | conditions)
    assignment = assign(before, list(_anchors(after, walked, earlier)), fixed)
    ties.folded.extend(assignment.folded)
    works_for, offset = _joined(after, assignment.layers, walked, computed), len(ties.nodes)
    assignment = _pooled(assignment, works_for, before)
    for i, (node, proto) in enumerate(zip(after.nodes, executed.node, strict=True)):
        made = _executed(i, node, proto, assignment, i if outside.place is None else outside.place)
        head = offset + works_for[i] if works_for[i] not in (i, -1) else -1
        if i in walked.passed and not made.layers:
            made = replace(made, evidence=f"{PASSES_ON} {walked.passed[i]}")
        ties.nodes.append(replace(made, head=head, source=walked.sources.get(i, "")))
    inside = _Outside(before.constants | outside.constants, earlier.same)
    for place, triple in _subgraphs(original, extended, executed):
        place = place if outside.place is None else outside.place
        carried = {**outside.carried, **walked.carried}
        witnessed = {**outside.witnessed, **seen.carried}
        inner = replace(inside, carried=carried, witnessed=witnessed, place=place)
        _tie_graph(triple, inner, ties)


def _held(constants: Collection[str], original: Graph) -> set[str]:
    """The constants, and the names of the original tensors that they hold in another type."""
    return {*constants, *map(plain_name, set(constants) - original.constants)}


def _over(
    earlier: Earlier, witness: Graph, seen: Walked, after: Graph, outside: _Outside
) -> Walked:
    """Match the executed graph with the extended level, then check the result on the original."""
    middle = Earlier(witness, {})
    by_witness = Walk(middle, after, {}).run()
    places = {out: i for i, node in enumerate(witness.nodes) for out in node.outputs}

    def propose(place: int) -> Iterator[Proposal]:
        for match in [by_witness.matches[place]] if place in by_witness.matches else []:
            if tensors := _through(match, seen, places):
                before = seen.matches.get(places.get(match.tensors[0], -1))
                yield (
                    tensors,
                    before.evidence if before and match.evidence == EQUAL else match.evidence,
                )

    passes = {
        place: carried
        for place, one in by_witness.passed.items()
        if (carried := seen.carried.get(one, ""))
    }
    return Walk(earlier, after, outside.carried, propose, passes).run()


def _through(match: Match, seen: Walked, places: Mapping[str, int]) -> tuple[str, ...]:
    """Original tensors that a node yields, given those of the extended level that it yields."""
    tensors: list[str] = []
    for name in match.tensors:
        if name in seen.yields:
            tensors.append(seen.yields[name])
        elif (place := places.get(name, -1)) in seen.matches:
            tensors.extend(seen.matches[place].tensors)
    return tuple(dict.fromkeys(tensors))


def _anchors(after: Graph, walked: Walked, earlier: Earlier) -> Iterator[Anchor]:
    for place, (tensors, evidence, sure) in walked.matches.items():
        if place in walked.repeats:
            continue
        how = Confidence.EXACT if sure else Confidence.INFERRED
        rank = _rank(after.nodes[place], earlier.produced[tensors[0]], sure)
        yield Anchor(place, tensors, how, evidence, rank, closed=sure)


def _rank(node: GraphNode, producer: GraphNode, sure: bool) -> int:
    """The rank of a node's claim on a tensor: higher for one that did the layer's work."""
    if node.op_type in MOVERS and node.op_type != producer.op_type:
        return 0
    return 1 + sure + (node.op_type == producer.op_type)


def _joined(
    graph: Graph, layers: Mapping[int, tuple[str, ...]], walked: Walked, original: set[str]
) -> list[int]:
    """For each node, the node whose layers it works for: often itself; -1 for none.

    A runtime may compute a layer in several nodes (a MatMul and its Add as Gemm between two
    Reshapes; the body of a function). Only the last yields a tensor of the original. A node
    that only such nodes read is part of their work, unless it was inserted for layout. So is a
    node that only feeds views which are layers' results (two Gathers as Split, Squeezes).
    """
    readers: dict[str, list[int]] = defaultdict(list)
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    for i, node in enumerate(graph.nodes):
        for name in node.inputs:
            readers[name].append(i)
    works_for = [i if i in layers else -1 for i in range(len(graph.nodes))]
    for i in reversed(range(len(graph.nodes))):
        node = graph.nodes[i]
        if i in layers or node.op_type in INSERTED or {*graph.outputs} & {*node.outputs}:
            continue
        if i in walked.passed and node.op_type in VIEWS and original & {*node.outputs}:
            continue  # it restores the shape of a result
        after = {j for name in node.outputs for j in readers[name]}
        heads = {works_for[j] for j in after}
        if i in walked.passed and node.op_type not in VIEWS and after & heads:
            continue  # a layout or type for the step that reads it
        views = all(graph.nodes[j].op_type in MOVERS for j in after)
        if heads and -1 not in heads and (len(heads) == 1 or views):
            last = works_for[i] = max(heads)
            works_for = [last if head in heads else head for head in works_for]
    for i, node in enumerate(graph.nodes):
        if i in walked.repeats:
            works_for[i] = works_for[walked.repeats[i]]
        if i in walked.passed and node.op_type in VIEWS and works_for[i] < 0:
            works_for[i] = works_for[maker[node.inputs[0]]] if node.inputs[0] in maker else -1
    return works_for


def _pooled(assignment: Assignment, works_for: list[int], original: Graph) -> Assignment:
    """The assignment with layers of nodes that work together moved to the last of them."""
    owner = {name: works_for[i] for i, names in assignment.layers.items() for name in names}
    layers: dict[int, list[str]] = defaultdict(list)
    for node in original.nodes:
        if node.name in owner:
            layers[owner[node.name]].append(node.name)
    return replace(assignment, layers={i: tuple(names) for i, names in layers.items()})


def _executed(
    number: int, node: GraphNode, proto: onnx.NodeProto, assignment: Assignment, position: int
) -> ExecutedNode:
    subgraph = any(True for _ in graph_attributes(proto))
    layers = assignment.layers.get(number, ())
    if not layers:
        return ExecutedNode(node.name, node.op_type, tuple(proto.output), subgraph, position)
    anchor = assignment.anchors[number]
    sure = anchor.confidence is Confidence.EXACT and number not in assignment.inferred
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
        shared=assignment.shared.get(number, ()),
    )


def _subgraphs(
    original: onnx.GraphProto, extended: onnx.GraphProto, executed: onnx.GraphProto
) -> Iterator[tuple[int, _Triple]]:
    """Executed subgraphs, with their original and extended forms and a position.

    Subgraphs are matched by the control-flow node's name or, where inlining changed the name, by
    the outputs. The number is the position of the control-flow node in the executed graph.
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
