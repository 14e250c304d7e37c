"""From executed steps back to ONNX layers, for any runtime.

A step is known by its *anchors*: the tensors of the original graph that it produces. The
layers it covers are the backward slice from those anchors that stops at every other step's
anchors, at what is given, and at constants (docs/architecture.md, "Provenance").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.records import Confidence

#: Operators whose result differs from call to call, so that it is never a constant.
RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}
    | {"Bernoulli"}
)

#: Operators that pass their input on at inference, so that a runtime drops them.
PASSIVE = frozenset({"Dropout", "Identity"})


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node of an original or executed graph; omitted inputs and outputs are left out."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hints: tuple[str, ...] = ()
    """Operators that the runtime says it appended to this step, in order."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One graph or subgraph: nodes in topological order, and the names of its constants."""

    nodes: tuple[GraphNode, ...]
    constants: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()

    def producers(self) -> dict[str, GraphNode]:
        """From each tensor to the node that yields it."""
        return {out: node for node in self.nodes for out in node.outputs}

    def consumers(self) -> dict[str, list[GraphNode]]:
        """From each tensor to the nodes that read it, in order."""
        found: dict[str, list[GraphNode]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return found


@dataclass(frozen=True, slots=True)
class Anchor:
    """Which original tensors an executed step is thought to produce, and why."""

    step: int
    """Position among the executed steps, in execution order."""
    tensors: tuple[str, ...]
    confidence: Confidence
    evidence: str
    rank: int = 0
    """Who keeps a tensor that several steps claim: the highest rank, then the earliest step."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which layers each step covers, and which layers no step needs."""

    layers: Mapping[int, tuple[str, ...]]
    """From a step's position to node names, in the original's order."""
    anchors: Mapping[int, Anchor]
    folded: tuple[str, ...] = ()
    inferred: frozenset[int] = field(default_factory=frozenset)
    """Steps that were given a layer which several steps could have computed."""


def assign(original: Graph, anchors: Sequence[Anchor], fixed: Iterable[str] = ()) -> Assignment:
    """Tie steps to the layers of `original`.

    `fixed` names original tensors that the executed graph holds as constants. Each layer is
    covered by at most one step.
    """
    fixed = frozenset(fixed)
    kept = _settle(anchors)
    produced = original.producers()
    constant = constant_tensors(original)
    stops = {t for anchor in kept.values() for t in anchor.tensors} | constant | fixed
    claims = {i: _slice(produced, anchor.tensors, stops) for i, anchor in kept.items()}
    owners, contested = _owners(original, claims, kept)
    behind = set(_slice(produced, fixed, stops)).difference(owners)
    layers: dict[int, list[str]] = defaultdict(list)
    for node in original.nodes:
        if node.name in owners:
            layers[owners[node.name]].append(node.name)
    return Assignment(
        layers={step: tuple(names) for step, names in layers.items()},
        anchors=kept,
        folded=tuple(
            node.name
            for node in original.nodes
            if node.name in behind or _is_constant(node, owners, constant)
        ),
        inferred=frozenset(owners[name] for name in contested),
    )


def _settle(anchors: Sequence[Anchor]) -> dict[int, Anchor]:
    """Give each tensor to one step; a step left without tensors covers nothing."""
    holder: dict[str, Anchor] = {}
    for anchor in sorted(anchors, key=lambda a: (-a.rank, a.step)):
        for tensor in anchor.tensors:
            holder.setdefault(tensor, anchor)
    kept: dict[int, Anchor] = {}
    for anchor in anchors:
        tensors = tuple(t for t in anchor.tensors if holder[t] is anchor)
        if tensors:
            kept[anchor.step] = Anchor(
                anchor.step, tensors, anchor.confidence, anchor.evidence, anchor.rank
            )
    return kept


def constant_tensors(graph: Graph) -> set[str]:
    """Tensors that do not depend on any input: initializers and what is computed from them."""
    known = set(graph.constants)
    for node in graph.nodes:
        if node.op_type not in RANDOM_OPERATORS and known.issuperset(node.inputs):
            known.update(node.outputs)
    return known


def _slice(produced: Mapping[str, GraphNode], tensors: Iterable[str], stops: set[str]) -> list[str]:
    """Names of the nodes behind `tensors`, back to `stops`, nearest first."""
    found: dict[str, None] = {}
    wanted = list(tensors)
    while wanted:
        node = produced.get(wanted.pop())
        if node is None or node.name in found:
            continue
        found[node.name] = None
        wanted.extend(name for name in node.inputs if name not in stops)
    return list(found)


def _owners(
    graph: Graph, claims: Mapping[int, list[str]], kept: Mapping[int, Anchor]
) -> tuple[dict[str, int], set[str]]:
    """One step a layer. What several claim belongs to the step before them, if there is one.

    So does what only passes its input on: it is no part of the work of the step after it.
    """
    claimants: dict[str, list[int]] = defaultdict(list)
    for step in sorted(claims):
        for name in claims[step]:
            claimants[name].append(step)
    source = {t: anchor.step for anchor in kept.values() for t in anchor.tensors}
    contested = {name for name, steps in claimants.items() if len(steps) > 1}
    owners = {name: steps[0] for name, steps in claimants.items()}
    for node in graph.nodes:  # in topological order, so that a chain is followed
        if node.name in contested or _is_dropped(node, owners, source):
            before = [source[name] for name in node.inputs if name in source]
            owners[node.name] = max(before, default=owners[node.name])
            source.update(dict.fromkeys(node.outputs, owners[node.name]))
    return owners, contested


def _is_dropped(node: GraphNode, owners: Mapping[str, int], source: Mapping[str, int]) -> bool:
    anchored = any(name in source for name in node.outputs)
    return node.op_type in PASSIVE and node.name in owners and not anchored


def _is_constant(node: GraphNode, owners: Mapping[str, int], constant: set[str]) -> bool:
    return node.name not in owners and bool(node.outputs) and constant.issuperset(node.outputs)


def extend_forward(original: Graph, tensor: str, operators: Sequence[str]) -> str:
    """Follow `tensor` through the operators that a runtime appended to its step.

    Returns the last tensor reached; stops early where no consumer has the next operator.
    """
    consumers = original.consumers()
    for operator in operators:
        following = [n for n in consumers.get(tensor, ()) if n.op_type in operator.split("|")]
        if not following:
            break
        tensor = following[0].outputs[0]
    return tensor
