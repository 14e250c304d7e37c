"""Steps that another program measured, tied to ONNX layers by the names that it wrote.

For engines and profiles that came as files: no runtime can be asked what a step computes, so
names are all the evidence. `slice.assign`, which all backends share, adds the layers between
the named ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onnxprof.provenance.names import APPENDED, Evidence, Names
from onnxprof.provenance.order import placed
from onnxprof.provenance.runs import filled
from onnxprof.provenance.slice import Anchor, assign
from onnxprof.provenance.ties import TiedStep, Ties
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.layer import LayerTable
from onnxprof.records.step import Confidence

#: From the topology of a graph, the evidence of units, and the ONNX graph itself, to steps.
Tie = Callable[[Graph, Sequence[Evidence], Any], Ties]


def tie_by_names(graph: Graph, evidence: Sequence[Evidence], original: Any) -> Ties:
    """`tie` with the signature of `Tie`; the ONNX graph `original` is not needed."""
    del original
    return tie(graph, evidence)


def tie(graph: Graph, evidence: Sequence[Evidence]) -> Ties:
    """Close the sets of layers, and join units that compute parts of the same layers.

    Where several units name a layer, the last of them completes and keeps it. A unit that keeps
    no layer worked for the unit that keeps its last one: the two are one step. Units without a
    name are placed by `order.py` and `runs.py`. A layer is covered by at most one step.
    """
    alone = _with_grown(graph, placed(graph, evidence), helping=False)
    return _tied(graph, filled(graph, _with_grown(graph, _joined(alone), helping=True)))


def _with_grown(graph: Graph, evidence: Sequence[Evidence], *, helping: bool) -> list[Evidence]:
    """The evidence with fused activations added, for units that work for others or for the rest."""
    asked = [
        entry if bool(entry.works_for) is helping else replace(entry, grows=False, takes=())
        for entry in evidence
    ]
    claims = zip(evidence, _grown(graph, asked), strict=True)
    return [
        replace(entry, layers=layers, **({} if entry.works_for and not helping else _DONE))
        for entry, layers in claims
    ]


#: The fields of evidence whose fused activations are settled.
_DONE: Mapping[str, Any] = {"grows": False, "takes": ()}


def _joined(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence, in which a unit that works for another one has the layers of both."""
    made = list(evidence)
    for unit, entry in enumerate(evidence):
        others = range(unit + 1, len(made)) if entry.works_for > 0 else range(unit - 1, -1, -1)
        known = (at for at in others if evidence[at].layers and not evidence[at].works_for)
        other = next(known, None) if entry.works_for else None
        if other is not None:
            pair = (entry.layers, made[other].layers)[:: entry.works_for]
            layers = tuple(dict.fromkeys(name for part in pair for name in part))
            made[unit] = replace(made[unit], layers=layers)
            if entry.works_for > 0:
                made[other] = replace(made[other], layers=layers)
    return made


def _tied(graph: Graph, evidence: Sequence[Evidence]) -> Ties:
    claims = _grown(graph, evidence)
    owner = {name: unit for unit, layers in enumerate(claims) for name in layers}
    own = [tuple(n for n in layers if owner[n] == u) for u, layers in enumerate(claims)]
    handed = _handed(graph, claims, owner)
    nodes = {node.name: node for node in graph.nodes}
    anchors = []
    for unit, layers in enumerate(own):
        outputs = [t for name in layers if name in nodes for t in nodes[name].outputs]
        if outputs:
            tensors = tuple(t for t in outputs if t in handed) or tuple(outputs[-1:])
            anchors.append(
                Anchor(unit, tensors, _confidence(evidence[unit]), evidence[unit].source)
            )
    assignment = assign(graph, anchors)
    helps = {
        unit: owner[layers[-1]]
        for unit, layers in enumerate(claims)
        if layers and not assignment.layers.get(unit)
    }
    return Ties(
        tuple(_steps(evidence, assignment.layers, assignment.inferred, helps)), assignment.folded
    )


def _confidence(entry: Evidence) -> Confidence:
    return Confidence.EXACT if entry.exact else Confidence.INFERRED


def _grown(graph: Graph, evidence: Sequence[Evidence]) -> list[tuple[str, ...]]:
    """The layers that units claim, with the activations behind them that no other unit names."""
    when = {name: unit for unit, entry in enumerate(evidence) for name in entry.layers}
    consumers, nodes = graph.consumers(), {node.name: node for node in graph.nodes}
    maker = graph.producers()
    claims = []
    for unit, entry in enumerate(evidence):
        layers = entry.layers
        for operator in entry.takes if layers else ():
            after = _appended(layers[-1], nodes, consumers, graph, (operator,))
            if after and after not in when:
                when[after] = unit
                layers = (*layers, after)
        while entry.grows and layers and (after := _appended(layers[-1], nodes, consumers, graph)):
            sources = (maker[tensor].name for tensor in nodes[after].inputs if tensor in maker)
            if after in when or any(when.get(name, unit) > unit for name in sources):
                break  # named by another unit, or an operand is computed later
            when[after] = unit
            layers = (*layers, after)
        claims.append(layers)
    return claims


def _appended(
    last: str,
    nodes: Mapping[str, GraphNode],
    consumers: Mapping[str, list[GraphNode]],
    graph: Graph,
    operators: Collection[str] = APPENDED,
) -> str:
    """The activation that is the only reader of a layer's output; empty where there is none."""
    outputs = nodes[last].outputs if last in nodes else ()
    readers = [reader for tensor in outputs for reader in consumers.get(tensor, ())]
    if len(readers) != 1 or not graph.outputs or set(outputs) & set(graph.outputs):
        return ""
    return readers[0].name if readers[0].op_type in operators else ""


def _handed(
    graph: Graph, claims: Sequence[Sequence[str]], owner: Mapping[str, int]
) -> frozenset[str]:
    """Tensors that pass from one unit to another, are outputs of the model, or have no reader."""
    claimed = [frozenset(layers) for layers in claims]
    read: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        for tensor in node.inputs:
            read[tensor].append(node.name)
    tensors = set(graph.outputs)
    for node in graph.nodes:
        unit = owner.get(node.name)
        inside = frozenset() if unit is None else claimed[unit]
        for tensor in node.outputs:
            readers = read[tensor]
            if not all(name in inside and owner[name] == unit for name in readers) or not readers:
                tensors.add(tensor)
    return frozenset(tensors)


def _steps(
    evidence: Sequence[Evidence],
    layers: Mapping[int, tuple[str, ...]],
    inferred: frozenset[int],
    helps: Mapping[int, int],
) -> Iterable[TiedStep]:
    members: dict[int, list[int]] = defaultdict(list)
    for unit in range(len(evidence)):
        members[_served(unit, helps)].append(unit)
    steps = [
        TiedStep(
            tuple(joined),
            layers.get(unit, ()),
            _weaker(evidence[unit], unit in inferred) if layers.get(unit) else Confidence.NONE,
            evidence[unit].source,
        )
        for unit, joined in members.items()
    ]
    return sorted(steps, key=lambda step: step.members[0])


def _served(unit: int, helps: Mapping[int, int]) -> int:
    seen = set()
    while unit in helps and unit not in seen:
        seen.add(unit)
        unit = helps[unit]
    return unit


def _weaker(entry: Evidence, inferred: bool) -> Confidence:
    return Confidence.INFERRED if inferred else _confidence(entry)


def missing(names: Names, evidence: Iterable[Evidence]) -> tuple[int, int]:
    """How many of the names that were read are unknown to the model, and how many were read."""
    mentions = Counter(name for entry in evidence for name in entry.names)
    strange = sum(not names.resolved((name,)) for name in mentions)
    return strange, len(mentions)


def without_sizes(graph: Graph, table: LayerTable, named: Iterable[str]) -> Graph:
    """The graph with known sizes as constants: runtimes compute them while they build.

    Layers in `named`, after which steps are named, stay nodes.
    """
    kept = frozenset(named)
    sizes = frozenset(
        layer.outputs[0].name
        for layer in table.nodes
        if layer.op_type in ("Shape", "Size") and not layer.domain and layer.name not in kept
        if all(tensor.is_static for tensor in layer.inputs)
    )
    return replace(graph, constants=graph.constants | sizes)


def climbed(
    names: Iterable[str], parents: Mapping[str, str], graph: Collection[str] = ()
) -> tuple[str, ...]:
    """The layers, those of subgraphs replaced by the control-flow layers around them.

    Layers named in `graph` stay; if it is empty, only the outermost layers do.
    """
    outer = []
    for name in names:
        while name not in graph and name in parents:
            name = parents[name]
        outer.append(name)
    return tuple(dict.fromkeys(outer))


def parents_of(table: LayerTable) -> dict[str, str]:
    """From a layer of a subgraph to the control-flow layer that holds it."""
    return {layer.name: layer.parent for layer in table.nodes if layer.parent}


def outermost(entry: Evidence, table: LayerTable) -> Evidence:
    """The evidence, in which control-flow layers replace the layers of their subgraphs."""
    return replace(entry, layers=climbed(entry.layers, parents_of(table)))


def with_inner(
    layers: Sequence[str], table: LayerTable, apart: Collection[str] = ()
) -> tuple[str, ...]:
    """Layers in table order, with those inside of a control-flow layer's subgraphs.

    `apart` are those of subgraphs that were put in their control-flow layer's place, or never run.
    """
    covered = set(layers)
    for layer in table.nodes:  # a subgraph's layers may come before or after, but nest inwards
        if layer.parent in covered and layer.name not in apart:
            covered.add(layer.name)
    return tuple(layer.name for layer in table.nodes if layer.name in covered)
