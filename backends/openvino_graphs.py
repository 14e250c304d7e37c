"""The graph that OpenVINO runs, and the layers that its nodes are tied to.

Each executed node lists the operations that it computes, by the marks of `openvino_marks`.
That is evidence: nodes that optimisation made have no mark, and a fused bias may lose its
MatMul's. So nodes that share a layer, or that stand inside one, are put together into one
step, and what a step covers is closed by the slice of `provenance.assign`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onnxprof.backends.openvino_marks import Marks, marks_in
from onnxprof.provenance import (
    Anchor,
    Assignment,
    Graph,
    GraphNode,
    assign,
    constant_tensors,
)
from onnxprof.records import Confidence

#: Nodes of the runtime's graph that are no work: data, and the ends of the graph.
_DATA = frozenset({"Input", "Const", "Output", "Parameter", "Constant", "Result"})

_Next = Callable[[int], Sequence[int]]
_Near = Callable[[str], Sequence[GraphNode]]
_Onward = Callable[[GraphNode], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RuntimeNode:
    """A node of the graph that runs, as the runtime describes it."""

    name: str
    kind: str
    originals: str = ""
    """What it computes, as the runtime lists it; empty for a reorder that it inserted."""
    implementation: str = ""
    inputs: tuple[int, ...] = ()
    """Places of the nodes that it reads."""
    ran: bool = True
    """Whether it is work at inference: not in place, not fused into another."""


@dataclass(frozen=True, slots=True)
class TiedStep:
    """Executed nodes that are timed as one, and what they cover."""

    members: tuple[int, ...]
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Ties:
    """Every step in execution order, and the layers that were computed while loading."""

    steps: tuple[TiedStep, ...]
    folded: tuple[str, ...] = ()


def tie(original: Graph, nodes: Sequence[RuntimeNode], marks: Marks) -> Ties:
    """Tie the nodes, in execution order, to the layers of `original`.

    Each node that ran is in one step, and each layer in at most one.
    """
    clues = _Clues.gather(original, nodes, marks)
    groups = _Groups(nodes)
    adopted = _adopt(clues, groups)
    _unite_shared(clues, groups)
    members = groups.members()
    anchors = [
        anchor
        for number, places in enumerate(members)
        if (anchor := _anchor(number, places, clues, adopted))
    ]
    found = assign(original, anchors, fixed=clues.fixed())
    steps = tuple(_step(number, places, found) for number, places in enumerate(members))
    return Ties(steps, found.folded)


def _step(number: int, places: tuple[int, ...], found: Assignment) -> TiedStep:
    layers = found.layers.get(number, ())
    if not layers:
        return TiedStep(places)
    anchor = found.anchors[number]
    sure = anchor.confidence is Confidence.EXACT and number not in found.inferred
    confidence = Confidence.EXACT if sure else Confidence.INFERRED
    return TiedStep(places, layers, confidence, anchor.evidence)


def with_bodies(ties: Ties, inner: Mapping[str, Sequence[str]]) -> Ties:
    """The same, where a control-flow layer's step covers the layers of its subgraphs, too.

    The runtime times the control-flow node as a whole. `inner` maps such layers to those inside
    them, which no other step covers.
    """
    return replace(ties, steps=tuple(_with_body(step, inner) for step in ties.steps))


def _with_body(step: TiedStep, inner: Mapping[str, Sequence[str]]) -> TiedStep:
    more = tuple(name for layer in step.layers for name in inner.get(layer, ()))
    if not more:
        return step
    return replace(step, layers=(*step.layers, *more), confidence=Confidence.INFERRED)


@dataclass(slots=True)
class _Clues:
    """What the runtime's nodes say, and the original graph's edges."""

    original: Graph
    nodes: Sequence[RuntimeNode]
    layers: list[tuple[str, ...]]
    """For each node the layers that its marks stand for."""
    readers: list[list[int]]
    """For each node the nodes that read it."""
    by_name: Mapping[str, GraphNode]
    produced: Mapping[str, GraphNode]
    consumers: Mapping[str, list[GraphNode]]
    constant: set[str]
    """Tensors that depend on no input."""
    passed_by: set[str]
    """Layers that are not lost: some node names them, or they are constant."""

    @classmethod
    def gather(cls, original: Graph, nodes: Sequence[RuntimeNode], marks: Marks) -> _Clues:
        readers: list[list[int]] = [[] for _ in nodes]
        for place, node in enumerate(nodes):
            for source in dict.fromkeys(node.inputs):
                readers[source].append(place)
        by_name = {node.name: node for node in original.nodes}
        known = {mark: [n for n in names if n in by_name] for mark, names in marks.items()}
        layers = [
            tuple(dict.fromkeys(name for m in marks_in(n.originals) for name in known.get(m, ())))
            for n in nodes
        ]
        constant = constant_tensors(original)
        passed_by = {name for names in layers for name in names}
        passed_by |= {n.name for n in original.nodes if constant.issuperset(n.outputs)}
        return cls(
            *(original, nodes, layers, readers, by_name),
            *(original.producers(), original.consumers(), constant, passed_by),
        )

    def fixed(self) -> list[str]:
        """Tensors that the graph that runs holds as constants, and no node computes."""
        live = {n for i, names in enumerate(self.layers) if not self.is_data(i) for n in names}
        held = {n for i, names in enumerate(self.layers) if self.is_data(i) for n in names}
        return [t for name in held - live for t in self.by_name[name].outputs]

    def is_data(self, place: int) -> bool:
        return self.nodes[place].kind in _DATA

    def is_orphan(self, place: int) -> bool:
        """Whether a node is a layer's work, but does not say which layer's."""
        node = self.nodes[place]
        return node.ran and bool(node.originals) and not self.layers[place]

    def named_after(self, place: int) -> list[int]:
        """The nearest nodes behind this one that name layers."""
        return self._nearest(place, lambda at: self.readers[at])

    def named_before(self, place: int) -> list[int]:
        """The nearest nodes before this one that name layers, or are inputs."""
        return self._nearest(place, lambda at: self.nodes[at].inputs)

    def _nearest(self, place: int, step: _Next) -> list[int]:
        found: dict[int, None] = {}
        seen, waiting = {place}, [place]
        while waiting:
            for at in step(waiting.pop()):
                if at in seen:
                    continue
                seen.add(at)
                if self.layers[at] or self.nodes[at].kind in ("Input", "Parameter"):
                    found[at] = None
                else:
                    waiting.append(at)
        return sorted(found)

    def lost_between(self, before: Iterable[int], after: Iterable[int]) -> set[str]:
        """Layers on the way from some nodes to others that no node names."""
        start: list[str] = []
        for place in before:
            names = self.layers[place]
            inputs = (self.nodes[place].name,) if not names else ()
            start += [t for name in names for t in self.by_name[name].outputs]
            start += inputs
        ahead = self._reach(start, lambda t: self.consumers.get(t, ()), lambda n: n.outputs)
        wanted = [t for p in after for name in self.layers[p] for t in self.by_name[name].inputs]
        behind = self._reach(wanted, self._producer, lambda n: n.inputs)
        return ahead & behind

    def _producer(self, tensor: str) -> tuple[GraphNode, ...]:
        return (self.produced[tensor],) if tensor in self.produced else ()

    def _reach(self, tensors: list[str], near: _Near, onward: _Onward) -> set[str]:
        """Lost layers that can be reached over lost layers alone."""
        found: set[str] = set()
        waiting = list(tensors)
        while waiting:
            for node in near(waiting.pop()):
                if node.name not in self.passed_by and node.name not in found:
                    found.add(node.name)
                    waiting.extend(onward(node))
        return found


class _Groups:
    """Nodes that are one step, as a union-find over their places."""

    def __init__(self, nodes: Sequence[RuntimeNode]) -> None:
        self._parent = list(range(len(nodes)))
        self._ran = [place for place, node in enumerate(nodes) if node.ran]

    def find(self, place: int) -> int:
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def unite(self, one: int, other: int) -> None:
        """Both are one step from now on, which stands where the earlier one stands."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[second] = first

    def members(self) -> list[tuple[int, ...]]:
        """The places of each step that ran, in the order of their first ones."""
        found: dict[int, list[int]] = defaultdict(list)
        for place in self._ran:
            found[self.find(place)].append(place)
        return [tuple(places) for places in found.values()]


def _adopt(clues: _Clues, groups: _Groups) -> dict[int, tuple[str, ...]]:
    """Give nodes without a mark the layers that they stand among.

    Those between them and the next marked nodes which no node names; else those of a node
    behind them that does no work of its own; else they are a part of the next node's work.
    """
    adopted: dict[int, tuple[str, ...]] = {}
    holder: dict[str, int] = {}
    for place in range(len(clues.nodes)):
        if not clues.is_orphan(place):
            continue
        after = clues.named_after(place)
        lost = clues.lost_between(clues.named_before(place), after)
        idle = [at for at in after if not clues.nodes[at].ran and clues.layers[at]]
        layers = lost or {name for at in idle[:1] for name in clues.layers[at]}
        if layers:
            adopted[place] = tuple(n.name for n in clues.original.nodes if n.name in layers)
            for name in adopted[place]:
                groups.unite(place, holder.setdefault(name, place))
        elif after:
            groups.unite(place, after[0])
            adopted[place] = ()
    return adopted


def _unite_shared(clues: _Clues, groups: _Groups) -> None:
    """A node whose every layer is another's as well is a part of that other's step."""
    holders: dict[str, list[int]] = defaultdict(list)
    for place, names in enumerate(clues.layers):
        if clues.nodes[place].ran:
            for name in names:
                holders[name].append(place)
    own = {p for names in holders.values() if len(names) == 1 for p in names}
    for place, names in enumerate(clues.layers):
        if clues.nodes[place].ran and names and place not in own:
            others = [at for at in holders[names[-1]] if at != place]
            groups.unite(place, next((at for at in others if at in own), others[0]))


def _anchor(
    number: int, places: tuple[int, ...], clues: _Clues, adopted: Mapping[int, tuple[str, ...]]
) -> Anchor | None:
    """The tensors by which the layers of a step reach the rest of the graph."""
    stated = [name for place in places for name in clues.layers[place]]
    guessed = [name for place in places for name in adopted.get(place, ())]
    layers = set(stated) | set(guessed)
    tensors = tuple(
        tensor
        for name in dict.fromkeys((*stated, *guessed))
        for tensor in clues.by_name[name].outputs
        if tensor not in clues.constant and _is_boundary(tensor, layers, clues)
    )
    if not tensors:
        return None
    sure = not any(place in adopted for place in places)
    return Anchor(
        number,
        tensors,
        Confidence.EXACT if sure else Confidence.INFERRED,
        "names of its operations" if sure else "place among named nodes",
        rank=1 if stated else 0,
    )


def _is_boundary(tensor: str, layers: set[str], clues: _Clues) -> bool:
    readers = clues.consumers.get(tensor, ())
    outside = any(node.name not in layers for node in readers)
    return outside or not readers or tensor in clues.original.outputs
