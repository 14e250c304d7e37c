"""From OpenVINO's runtime model and counters to the steps of a trace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from onnxprof.backends.openvino.graphs.clues import SINK, RuntimeNode
from onnxprof.backends.openvino.graphs.elements import ELEMENTS
from onnxprof.backends.openvino.graphs.graphs import tie, with_bodies
from onnxprof.backends.openvino.graphs.marks import Marks, marks_in
from onnxprof.backends.openvino.graphs.twins import twins
from onnxprof.provenance.onnx_graph import inlined
from onnxprof.provenance.steps import climbed, parents_of, with_inner, without_sizes
from onnxprof.provenance.ties import TiedStep, Ties
from onnxprof.provenance.topology import Graph
from onnxprof.records.elements.table import Kind, by_name
from onnxprof.records.layer import LayerTable, Tensor
from onnxprof.records.step import Step

#: Kinds of nodes that are in place if the runtime lists no implementation.
_IN_PLACE = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Concatenation", "Split", "Reorder"})
CONSTANT = "Const"
_ENDS = frozenset({"Input", "Output", "Parameter", "Result"})
_NO_WORK = frozenset({"Input", CONSTANT, "Output"})
#: Kinds of nodes that move data or change its type, and compute nothing.
_MOVING = frozenset({"Reorder", "Convert", "Reshape", "Transpose", "Concatenation", "Split"})
_HALF_BITS = 16
_NONE_HALF: Mapping[str, Tensor] = MappingProxyType({})
#: Prefixes of implementations that stand for none: in place, or fused into another node.
_NONE = ("unknown", "undef", "reorder_")


@dataclass(frozen=True, slots=True)
class Listed:
    """The performance counters of a node."""

    kind: str
    implementation: str
    micros: int


def producers(table: LayerTable) -> dict[str, list[str]]:
    """From a tensor to the layers that yield it; several where branches share a name."""
    by_tensor: dict[str, list[str]] = defaultdict(list)
    for layer in table.nodes:
        for tensor in layer.outputs:
            by_tensor[tensor.name].append(layer.name)
    return by_tensor


def executed(model: Any, listed: Mapping[str, Listed]) -> list[RuntimeNode]:
    """The nodes of the runtime's own model of what it runs, in execution order.

    Nodes that are only in the counters come last; their names are the only evidence.
    """
    described = sorted(
        ((_facts(operation), operation) for operation in model.get_ordered_ops()),
        key=lambda pair: int(pair[0].get("execOrder") or 0),
    )
    place = {operation.get_name(): number for number, (_, operation) in enumerate(described)}
    nodes = settled(
        _node(facts, operation, place, listed.get(operation.get_friendly_name()))
        for facts, operation in described
    )
    return [*nodes, *strangers(listed, {node.name for node in nodes})]


def strangers(listed: Mapping[str, Listed], known: Collection[str]) -> list[RuntimeNode]:
    """Nodes that took time and are not in the runtime's model."""
    return [
        RuntimeNode(name, entry.kind, name, entry.implementation)
        for name, entry in listed.items()
        if entry.micros and name not in known
    ]


def settled(nodes: Iterable[RuntimeNode]) -> list[RuntimeNode]:
    """The nodes, in execution order, with those that read constants alone as constants.

    They ran while loading, and are named after the layer that reads them, which is no constant.
    """
    kept: list[RuntimeNode] = []
    for node in nodes:
        given = bool(node.inputs) and all(kept[at].kind == CONSTANT for at in node.inputs)
        if given and node.kind not in _NO_WORK:
            node = replace(node, kind=CONSTANT, originals="", ran=False)
        kept.append(node)
    return kept


def _facts(operation: Any) -> dict[str, str]:
    """The runtime's attributes of a node, as text."""
    return {
        key: value.astype(str) if hasattr(value, "astype") else str(value)
        for key, value in operation.get_rt_info().items()
    }


def _node(
    facts: Mapping[str, str], operation: Any, place: Mapping[str, int], listed: Listed | None
) -> RuntimeNode:
    kind = facts.get("layerType", "")
    implementation = facts.get("primitiveType", "")
    sources = (port.get_source_output().get_node().get_name() for port in operation.inputs())
    return RuntimeNode(
        name=operation.get_friendly_name(),
        kind=kind,
        originals=facts.get("originalLayersNames", ""),
        implementation=implementation,
        inputs=tuple(place[name] for name in sources),
        ran=runs(kind, implementation, listed.micros if listed else 0),
        yields=(
            facts.get("outputPrecisions", ""),
            facts.get("outputLayouts", ""),
            *(str(port.get_partial_shape()) for port in operation.outputs()),
        ),
        computes=facts.get("runtimePrecision", "").lower(),
    )


def runs(kind: str, implementation: str, micros: int) -> bool:
    """Whether a node does work at inference.

    The runtime's status "not executed" is no evidence, since it also means less than a
    microsecond. An in-place node has no implementation.
    """
    if kind in _NO_WORK:
        return False
    idle = implementation.startswith(_NONE) or not implementation
    return micros > 0 or not (kind in _IN_PLACE and idle)


def tied(
    original: Any, table: LayerTable, nodes: Sequence[RuntimeNode], marks: Marks
) -> tuple[Ties, Graph]:
    """Tie the nodes to the layers of a model, `original` as an ONNX message.

    A branch of an If whose layers run replaces the If; layers of other subgraphs belong to the
    control-flow layer. Returns the ties and the graph with these replacements.
    """
    live = {
        name for n in nodes if n.ran for m in marks_in(n.originals) for name in marks.get(m, ())
    }
    moved = frozenset(
        tensor.name
        for layer in table.nodes
        if layer.name in live and layer.parent
        for tensor in layer.outputs
    )
    whole, _ = inlined(original.graph, moved, frozenset())
    graph = without_sizes(whole, table, live)
    flat, parents = {node.name for node in graph.nodes}, parents_of(table)
    outer = {mark: climbed(names, parents, flat) for mark, names in marks.items()}
    made = tie(graph, nodes, outer, partial(twins, original.graph))
    opened = {parents[name] for name in flat if name in parents}
    apart = flat | {name for name, parent in parents.items() if parent in opened}
    return with_bodies(made, partial(with_inner, table=table, apart=apart)), graph


def steps_of(
    ties: Ties,
    nodes: Sequence[RuntimeNode],
    listed: Mapping[str, Listed],
    marks: Marks,
    device: str,
    halves: Mapping[str, Tensor] = _NONE_HALF,
) -> tuple[Step, ...]:
    """The steps of a trace, under names that are the same in every process.

    `halves` has the output of each layer of half precision: where a step computes it in another
    type, the step's output says so.
    """
    taken: Counter[str] = Counter()
    readers: dict[int, list[int]] = defaultdict(list)
    for place, node in enumerate(nodes):
        for source in node.inputs:
            readers[source].append(place)
    steps = []
    for number, tied_step in enumerate(ties.steps):
        members = [nodes[place] for place in tied_step.members]
        kinds = dict.fromkeys(_kind(node, listed) for node in members)
        first = tied_step.members[0]
        name = (
            _name(members, tied_step, marks)
            if tied_step.layers
            else _moved(first, nodes, readers, marks)
        )
        taken[name] += 1
        steps.append(
            Step(
                name=name if taken[name] == 1 else f"{name} ({taken[name]})",
                op_type=" + ".join(kinds),
                provider=device,
                layers=tied_step.layers,
                confidence=tied_step.confidence,
                evidence=tied_step.evidence,
                outputs=_widened(members, tied_step.layers, halves),
                position=number,
                nodes=len(members),
            )
        )
    return tuple(steps)


def halves_of(table: LayerTable) -> dict[str, Tensor]:
    """The last output of each layer that the model declares in half precision."""
    ends = {layer.name: layer.outputs[-1] for layer in table.nodes if layer.outputs}
    kinds = {name: by_name(tensor.dtype) for name, tensor in ends.items()}
    return {n: ends[n] for n, kind in kinds.items() if kind is not None and kind.half}


def _widened(
    members: Sequence[RuntimeNode], layers: Sequence[str], halves: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """The output of a step of half precision in the type that its nodes compute in."""
    half = [halves[name] for name in layers if name in halves]
    names = (ELEMENTS.get(node.computes, "") for node in members if node.kind not in _MOVING)
    kinds = [kind for name in names if (kind := by_name(name)) is not None]
    wide = [kind for kind in kinds if kind.kind is Kind.FLOAT and kind.bits > _HALF_BITS]
    return (replace(half[-1], dtype=wide[0].name),) if half and wide else ()


def _kind(node: RuntimeNode, listed: Mapping[str, Listed]) -> str:
    return listed[node.name].kind if node.name in listed else node.kind


def _name(members: Sequence[RuntimeNode], step: TiedStep, marks: Marks) -> str:
    """The layer of the step that its last marked node is named after; else its last layer."""
    named = [
        layer
        for node in members
        for mark in marks_in(node.name)
        for layer in marks.get(mark, ())
        if layer in step.layers
    ]
    return (named or list(step.layers))[-1]


def _moved(
    place: int, nodes: Sequence[RuntimeNode], readers: Mapping[int, Sequence[int]], marks: Marks
) -> str:
    """The name of a step without layers: the operation, the copied tensor and the reader.

    The runtime's own name is not used, since it may differ from process to process.
    """
    node = nodes[place]
    source = _known(node.inputs, nodes, lambda at: nodes[at].inputs, marks, -1)
    reader = _known(readers[place], nodes, lambda at: readers[at], marks, 0)
    of = f" of {source}" if source else ""
    return f"{node.kind}{of}{f' for {reader}' if reader else ''}"


def _known(
    places: Sequence[int],
    nodes: Sequence[RuntimeNode],
    onward: Callable[[int], Sequence[int]],
    marks: Marks,
    which: int,
) -> str:
    """The layer, input or output of the nearest node that has one, from these nodes onward."""
    seen: set[int] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop(0)
        if place in seen:
            continue
        seen.add(place)
        layers = [name for m in marks_in(nodes[place].originals) for name in marks.get(m, ())]
        if layers:
            return layers[which]
        if nodes[place].kind in _ENDS:
            return nodes[place].name.removesuffix(SINK)
        waiting += onward(place)
    return ""
