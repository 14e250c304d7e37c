"""Steps that another program measured, tied to ONNX layers by the names that it wrote.

For engines and profiles that came as files: there is no runtime at hand to ask what a step
computes, so names are all the evidence. The set behind a name is closed by the slice that all
backends share (`provenance.assign`).
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

#: From the topology of a graph, what units say, and the graph itself, to steps.
Tie = Callable[[Graph, Sequence[Evidence], Any], Ties]


def tie_by_names(graph: Graph, evidence: Sequence[Evidence], original: Any) -> Ties:
    """`tie`, for who has the graph itself at hand as well."""
    del original
    return tie(graph, evidence)


def tie(graph: Graph, evidence: Sequence[Evidence]) -> Ties:
    """Close the sets of layers, and join units that compute parts of the same layers.

    Where several units name a layer, the last of them completes it, so it is that one's. A
    unit that is left with nothing worked for the one that has its last layer: the two are one
    step. Units without a name are placed by `named_places.py` and `named_runs.py`. Each
    layer is covered by at most one step.
    """
    alone = _with_grown(graph, placed(graph, evidence), helping=False)
    return _tied(graph, filled(graph, _with_grown(graph, _joined(alone), helping=True)))


def _with_grown(graph: Graph, evidence: Sequence[Evidence], *, helping: bool) -> list[Evidence]:
    """The evidence with what units took in; of those alone that help others, or do not."""
    asked = [
        found if bool(found.works_for) is helping else replace(found, grows=False, takes=())
        for found in evidence
    ]
    claims = zip(evidence, _grown(graph, asked), strict=True)
    return [
        replace(found, layers=layers, **({} if found.works_for and not helping else _DONE))
        for found, layers in claims
    ]


#: What is left to find of evidence whose growth is known.
_DONE: Mapping[str, Any] = {"grows": False, "takes": ()}


def _joined(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence, where a unit that works for another and that other share their layers."""
    made = list(evidence)
    for unit, found in enumerate(evidence):
        others = range(unit + 1, len(made)) if found.works_for > 0 else range(unit - 1, -1, -1)
        known = (at for at in others if evidence[at].layers and not evidence[at].works_for)
        other = next(known, None) if found.works_for else None
        if other is not None:
            pair = (found.layers, made[other].layers)[:: found.works_for]
            layers = tuple(dict.fromkeys(name for part in pair for name in part))
            made[unit] = replace(made[unit], layers=layers)
            if found.works_for > 0:
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
            anchors.append(Anchor(unit, tensors, _confidence(evidence[unit]), evidence[unit].told))
    found = assign(graph, anchors)
    helps = {
        unit: owner[layers[-1]]
        for unit, layers in enumerate(claims)
        if layers and not found.layers.get(unit)
    }
    return Ties(tuple(_steps(evidence, found.layers, found.inferred, helps)), found.folded)


def _confidence(found: Evidence) -> Confidence:
    return Confidence.EXACT if found.exact else Confidence.INFERRED


def _grown(graph: Graph, evidence: Sequence[Evidence]) -> list[tuple[str, ...]]:
    """What each unit claims, with activations after it that nobody else names."""
    when = {name: unit for unit, found in enumerate(evidence) for name in found.layers}
    consumers, nodes = graph.consumers(), {node.name: node for node in graph.nodes}
    maker = graph.producers()
    claims = []
    for unit, found in enumerate(evidence):
        layers = found.layers
        for operator in found.takes if layers else ():
            after = _appended(layers[-1], nodes, consumers, graph, (operator,))
            if after and after not in when:
                when[after] = unit
                layers = (*layers, after)
        while found.grows and layers and (after := _appended(layers[-1], nodes, consumers, graph)):
            sources = (maker[tensor].name for tensor in nodes[after].inputs if tensor in maker)
            if after in when or any(when.get(name, unit) > unit for name in sources):
                break  # another's, or one of its operands was not there yet
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
    """The one activation that alone reads what a layer yields; empty where there is none."""
    outputs = nodes[last].outputs if last in nodes else ()
    readers = [reader for tensor in outputs for reader in consumers.get(tensor, ())]
    if len(readers) != 1 or not graph.outputs or set(outputs) & set(graph.outputs):
        return ""
    return readers[0].name if readers[0].op_type in operators else ""


def _handed(
    graph: Graph, claims: Sequence[Sequence[str]], owner: Mapping[str, int]
) -> frozenset[str]:
    """Tensors that pass from one unit to another, out of the model, or to nobody."""
    claimed = [frozenset(layers) for layers in claims]
    read: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        for tensor in node.inputs:
            read[tensor].append(node.name)
    found = set(graph.outputs)
    for node in graph.nodes:
        unit = owner.get(node.name)
        inside = frozenset() if unit is None else claimed[unit]
        for tensor in node.outputs:
            readers = read[tensor]
            if not all(name in inside and owner[name] == unit for name in readers) or not readers:
                found.add(tensor)
    return frozenset(found)


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
            evidence[unit].told,
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


def _weaker(found: Evidence, inferred: bool) -> Confidence:
    return Confidence.INFERRED if inferred else _confidence(found)


def missing(names: Names, evidence: Iterable[Evidence]) -> tuple[int, int]:
    """How many of the ONNX names that were read the model does not have, and how many there are."""
    told = Counter(name for found in evidence for name in found.names)
    strange = sum(not names.resolved((name,)) for name in told)
    return strange, len(told)


def without_sizes(graph: Graph, table: LayerTable, named: Iterable[str]) -> Graph:
    """The graph with known sizes as constants: runtimes compute them while they build.

    What a step is named after is left as it is.
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

    What stands in `graph` stays as it is; without one only the outermost layers stay.
    """
    found = []
    for name in names:
        while name not in graph and name in parents:
            name = parents[name]
        found.append(name)
    return tuple(dict.fromkeys(found))


def parents_of(table: LayerTable) -> dict[str, str]:
    """From each layer of a subgraph to the control-flow layer that holds it."""
    return {layer.name: layer.parent for layer in table.nodes if layer.parent}


def outermost(found: Evidence, table: LayerTable) -> Evidence:
    """The evidence with the control-flow layers of the main graph for what lies in subgraphs."""
    return replace(found, layers=climbed(found.layers, parents_of(table)))


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
