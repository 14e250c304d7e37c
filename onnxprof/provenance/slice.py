"""From executed steps back to ONNX layers, for any runtime.

A step is identified by *anchors*: the tensors of the original graph that it produces. The
layers it covers are the backward slice from those anchors that stops at every other step's
anchors, at what is given, and at constants (docs/architecture.md, "Provenance").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnxprof.provenance.congruence import (
    constant_tensors,
    is_passive,
    representatives,
    shape_tensors,
)
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence


@dataclass(frozen=True, slots=True)
class Anchor:
    """The original tensors that an executed step produces, with the evidence for it."""

    step: int
    """Position among the executed steps, in execution order."""
    tensors: tuple[str, ...]
    confidence: Confidence
    evidence: str
    rank: int = 0
    """Of several steps that claim a tensor, the highest rank keeps it, then the earliest step."""
    closed: bool = False
    """Whether it was checked that the tensors follow from the inputs of the step alone. A layer
    that several such steps cover was computed in all of them, and goes to the first in the file."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The layers that steps cover, and the layers that no step needs."""

    layers: Mapping[int, tuple[str, ...]]
    """From a step's position to node names, in the original's order."""
    anchors: Mapping[int, Anchor]
    folded: tuple[str, ...] = ()
    inferred: frozenset[int] = field(default_factory=frozenset)
    """Steps that were given a layer which several steps could have computed."""
    shared: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Layers that equal another layer of their step, and so were computed with that."""


def assign(original: Graph, anchors: Sequence[Anchor], fixed: Iterable[str] = ()) -> Assignment:
    """Tie steps to the layers of `original`.

    `fixed` names original tensors that the executed graph holds as constants. Each layer is
    covered by at most one step. Of equal layers the one that was computed stands for all.
    Layers that work on shapes alone, and that no step yields, are folded.
    """
    kept = _settle(anchors)
    slicer = Slicer.of(original, kept, frozenset(fixed))
    claims = {i: slicer.behind(anchor.tensors, i) for i, anchor in kept.items()}
    owners, contested = _owners(original, claims, kept, slicer.same)
    shared = _twins(original, owners, kept, slicer)
    folded = _folded(original, owners, slicer)
    return Assignment(
        layers=_by_step(original, owners),
        anchors=kept,
        folded=folded,
        inferred=frozenset(owners[name] for name in contested),
        shared=_by_step(original, shared),
    )


@dataclass(frozen=True, slots=True)
class Slicer:
    """Backward slices of a graph, with the tensors that they stop at."""

    produced: Mapping[str, GraphNode]
    same: Mapping[str, str]
    """Representatives of equal tensors (congruence.py)."""
    constant: set[str]
    shapes: set[str]
    fixed: frozenset[str]
    holders: Mapping[str, set[int]]
    """From representatives of tensors to the steps that yield them."""
    skipped: set[str] = field(default_factory=set)
    """Tensors known from shapes alone that slices stopped at."""

    @classmethod
    def of(cls, graph: Graph, anchors: Mapping[int, Anchor], fixed: frozenset[str]) -> Slicer:
        """Prepare slices between the anchors of several steps."""
        same, constant = representatives(graph), constant_tensors(graph)
        holders: dict[str, set[int]] = defaultdict(set)
        for step, anchor in anchors.items():
            for tensor in anchor.tensors:
                holders[same.get(tensor, tensor)].add(step)
        shapes = shape_tensors(graph, constant)
        return cls(graph.producers(), same, constant, shapes, fixed, holders)

    def behind(self, tensors: Iterable[str], step: int = -1) -> list[str]:
        """Names of the nodes behind `tensors`, back to what other steps yield, nearest first."""
        wanted = list(tensors)
        on_shapes = self.shapes.issuperset(wanted)
        visited: dict[str, None] = {}
        while wanted:
            node = self.produced.get(wanted.pop())
            if node is None or node.name in visited:
                continue
            visited[node.name] = None
            wanted.extend(name for name in node.inputs if self._passes(name, step, on_shapes))
        return list(visited)

    def _passes(self, name: str, step: int, on_shapes: bool) -> bool:
        if name in self.constant or name in self.fixed:
            return False
        if self.holders.get(self.same.get(name, name), set()) - {step}:
            return False
        if name in self.shapes and not on_shapes:
            self.skipped.add(name)
            return False
        return True


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
            kept[anchor.step] = replace(anchor, tensors=tensors)
    return kept


def _owners(
    graph: Graph,
    claims: Mapping[int, list[str]],
    kept: Mapping[int, Anchor],
    same: Mapping[str, str],
) -> tuple[dict[str, int], set[str]]:
    """The step of each layer, and the names of the layers that several steps claim.

    A layer that several steps claim belongs to the step before them, if there is one. So does a
    layer that only passes an input on: the step behind it did no work for it.
    """
    claimants: dict[str, list[int]] = defaultdict(list)
    for step in sorted(claims):
        for name in claims[step]:
            claimants[name].append(step)
    source = {same.get(t, t): anchor.step for anchor in kept.values() for t in anchor.tensors}
    anchored = {t for anchor in kept.values() for t in anchor.tensors}
    contested = {
        name
        for name, steps in claimants.items()
        if len(steps) > 1 and not all(kept[step].closed for step in steps)
    }
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    made = {out: places[node.name] for node in graph.nodes for out in node.outputs}
    first = {step: made[anchor.tensors[0]] for step, anchor in kept.items() if anchor.closed}
    owners = {
        name: steps[0] if name in contested else min(steps, key=lambda s: first.get(s, s))
        for name, steps in claimants.items()
    }
    for node in graph.nodes:  # in topological order, so that a chain is followed
        dropped = is_passive(node) and node.name in owners and anchored.isdisjoint(node.outputs)
        if node.name in contested or dropped:
            read = [same.get(name, name) for name in node.inputs]
            before = [source[name] for name in read if name in source]
            owners[node.name] = max(before, default=owners[node.name])
            for name in node.outputs:
                source[same.get(name, name)] = owners[node.name]
    return owners, contested


def _twins(
    graph: Graph, owners: dict[str, int], kept: Mapping[int, Anchor], slicer: Slicer
) -> dict[str, int]:
    """Give layers that equal a covered layer to the step of that layer.

    Returns the steps of such layers, without those that only pass an input on.
    """
    same = slicer.same
    made = {same.get(t, t): anchor.step for anchor in kept.values() for t in anchor.tensors}
    for node in graph.nodes:
        if node.name in owners:
            made |= {same.get(out, out): owners[node.name] for out in node.outputs}
    shared, live = {}, _live(graph)
    for node in graph.nodes:
        if node.name not in live:
            continue
        outputs = node.outputs[:1] if is_passive(node) else node.outputs
        steps = {made.get(same.get(out, out), -1) for out in outputs}
        if node.name not in owners and len(steps) == 1 and -1 not in steps:
            owners[node.name] = steps.pop()
            if not is_passive(node):
                shared[node.name] = owners[node.name]
    return shared


def _live(graph: Graph) -> set[str]:
    """Names of the nodes that an output of the graph depends on; all, if no output is declared."""
    needed = set(graph.outputs) or {name for node in graph.nodes for name in node.outputs}
    live = set()
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            live.add(node.name)
            needed.update(node.inputs)
    return live


def _folded(graph: Graph, owners: Mapping[str, int], slicer: Slicer) -> tuple[str, ...]:
    behind = set(slicer.behind(slicer.fixed))
    behind |= set(slicer.behind(tuple(slicer.skipped)))
    return tuple(
        node.name
        for node in graph.nodes
        if node.name not in owners
        and (node.name in behind or (node.outputs and slicer.constant.issuperset(node.outputs)))
    )


def _by_step(graph: Graph, owners: Mapping[str, int]) -> dict[int, tuple[str, ...]]:
    """The layers of each step, in the order of the graph."""
    layers: dict[int, list[str]] = defaultdict(list)
    for node in graph.nodes:
        if node.name in owners:
            layers[owners[node.name]].append(node.name)
    return {step: tuple(names) for step, names in layers.items()}


def extend_forward(original: Graph, tensor: str, operators: Sequence[str]) -> str:
    """Follow `tensor` through the operators that a runtime appended to the step.

    Returns the last tensor reached; stops early where no consumer has the next operator.
    """
    consumers = original.consumers()
    for operator in operators:
        following = [n for n in consumers.get(tensor, ()) if n.op_type in operator.split("|")]
        if not following:
            break
        tensor = following[0].outputs[0]
    return tensor
