"""Which nodes did the work of layers whose marks optimisation lost.

A node that computes but names no layer did the layers between the neighbours. A layer that then
remains belongs to the node of an equal layer, if the graph computes the same twice; else to a node
behind or before it that can have computed it. A layer that only arranges data, and that no
working node names, was left out by the runtime.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.backends.openvino.graphs.clues import Clues, RuntimeNode

#: Returns a map from layers to the first equal layer; called only when needed.
Twins = Callable[[], Mapping[str, str]]


class Groups:
    """Groups of nodes that are one step, as a union-find over positions."""

    def __init__(self, nodes: Sequence[RuntimeNode]) -> None:
        self._parent = list(range(len(nodes)))
        self._ran = [place for place, node in enumerate(nodes) if node.ran]

    def find(self, place: int) -> int:
        """The position that represents the step."""
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def unite(self, one: int, other: int) -> None:
        """Join two steps into one, at the position of the earlier."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[second] = first

    def members(self) -> list[tuple[int, ...]]:
        """The positions of the nodes of every step that ran, in order of the last node.

        So what a step reads was computed by the steps before it.
        """
        by_root: dict[int, list[int]] = defaultdict(list)
        for place in self._ran:
            by_root[self.find(place)].append(place)
        return sorted(map(tuple, by_root.values()), key=max)


@dataclass(slots=True)
class Held:
    """Layers of nodes that do not name them."""

    layers: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    unsure: set[int] = field(default_factory=set)
    """Nodes whose layers are uncertain, or that have no mark themselves."""
    shared: set[str] = field(default_factory=set)
    """Layers that the node of an equal layer computes."""

    def add(self, place: int, layers: Iterable[str], *, sure: bool = False) -> None:
        """Add layers to a node."""
        self.layers[place] += [name for name in layers if name not in self.layers[place]]
        if not sure:
            self.unsure.add(place)


def hold(clues: Clues, groups: Groups, twins: Twins) -> Held:
    """Give every layer that no node names a node, if one can have computed it."""
    held = Held()
    _copiers(clues, groups, held)
    _orphans(clues, groups, held)
    clues.lost.difference_update(*held.layers.values())
    if clues.lost:
        _Holders(clues, held, twins()).find_all()
    for place in range(len(clues.nodes)):
        if clues.is_open(place) and not held.layers.get(place):
            held.unsure.add(place)  # it computed something more that is not known
    return held


def _copiers(clues: Clues, groups: Groups, held: Held) -> None:
    """Give an in-place Concat to the reorders that copy the inputs into place."""
    first: dict[str, int] = {}
    for place in range(len(clues.nodes)):
        for name in clues.copied_into(place):
            held.add(place, (name,))
            groups.unite(place, first.setdefault(name, place))


def _orphans(clues: Clues, groups: Groups, held: Held) -> None:
    """Give nodes without a mark the unnamed layers between their neighbours.

    Where there are none, the node is a part of the next node's work.
    """
    first: dict[str, int] = {}
    for place in range(len(clues.nodes)):
        if not clues.is_orphan(place):
            continue
        lost = clues.lost_between(clues.before(place), clues.after(place))
        if lost and clues.may_hold(place, lost):
            names = [n.name for n in clues.original.nodes if n.name in lost]
            held.add(place, names, sure=len(names) == 1 and clues.is_kind(place, names[0], ()))
            for name in held.layers[place]:
                groups.unite(place, first.setdefault(name, place))
        else:
            helped = _helped(clues, place)
            if helped is not None:
                groups.unite(place, helped)
            held.add(place, ())


def _helped(clues: Clues, place: int) -> int | None:
    """The node whose work a node is a part of: the next one, or for a Concat the one before.

    None for a reported node right behind the inputs, which benchmark_app may have inserted.
    """
    sources = clues.before(place)
    before = [at for at in sources if clues.nodes[at].ran]
    if clues.joins(place) and before:
        return before[-1]
    if clues.reported and all(clues.is_data(at) for at in sources):
        return None
    return next((at for at in clues.after(place) if clues.nodes[at].ran), None)


class _Holders:
    """Finds a node for every remaining layer."""

    def __init__(self, clues: Clues, held: Held, twins: Mapping[str, str]) -> None:
        self._clues, self._held, self._twins = clues, held, twins
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, names in enumerate(clues.layers):
            if clues.nodes[place].ran:
                for name in names:
                    self._places[name].append(place)
        for place, held_names in held.layers.items():
            for name in held_names:
                self._places[name].append(place)

    def find_all(self) -> None:
        """Every layer that can be given to a node, by the surest rule that fits any."""
        rules = (
            self._by_twin,
            self._by_kind,
            self._between,
            self._dequantised,
            self._chained,
            self._nearest,
        )
        progress = True
        while progress:  # every layer that is placed narrows down the others
            progress = any(sum(rule(name) for name in self._left()) for rule in rules)

    def _left(self) -> list[str]:
        """The remaining layers, last first, so that the nodes behind them are known."""
        nodes = reversed(self._clues.original.nodes)
        return [node.name for node in nodes if node.name in self._clues.lost]

    def _by_twin(self, layer: str) -> bool:
        place = self._twin(layer)
        if place is not None:
            self._held.shared.add(layer)
        return self._give(place, layer, sure=True)

    def _by_kind(self, layer: str) -> bool:
        near = self._near(layer, behind=True)
        fits = (p for p in near if self._clues.is_kind(p, layer, self._has(p)))
        return self._give(next(fits, None), layer, sure=True)

    def _between(self, layer: str) -> bool:
        near = self._near(layer, behind=True)
        fits = (p for p in near if self._clues.is_between(layer, self._has(p)))
        return self._give(next(fits, None), layer, sure=True)

    def _dequantised(self, layer: str) -> bool:
        """Give a DequantizeLinear to the node that reads the eight bits."""
        near = self._near(layer, behind=True)
        place = near[0] if near and self._clues.widens(layer) else None
        return self._give(place, layer, sure=self._clues.is_quantised_before(layer))

    def _chained(self, layer: str) -> bool:
        """Give the layer to a chain behind it."""
        near = self._near(layer, behind=True)
        place = next((place for place in near if self._clues.is_chain(place)), None)
        return self._give(place, layer, sure=self._only_open(layer) == place)

    def _nearest(self, layer: str) -> bool:
        """Give the layer to a node before it with fused operations, else to any node behind it."""
        before = [at for at in self._near(layer, behind=False) if self._clues.is_open(at)]
        candidates = (*before[-1:], *self._near(layer, behind=True))
        place = candidates[0] if candidates else None
        return self._give(place, layer, sure=self._only_open(layer) == place)

    def _has(self, place: int) -> set[str]:
        return {*self._clues.layers[place], *self._held.layers.get(place, ())}

    def _only_open(self, layer: str) -> int | None:
        """The only node around a layer that did unnamed work; None if there are several or none."""
        near = {*self._near(layer, behind=True), *self._near(layer, behind=False)}
        candidates = [place for place in near if self._clues.is_open(place)]
        return candidates[0] if len(candidates) == 1 else None

    def _twin(self, layer: str) -> int | None:
        root = self._twins.get(layer, layer)
        same = [name for name in (root, *self._twins) if self._twins.get(name, name) == root]
        return next((p for name in same if name != layer for p in self._places[name]), None)

    def _near(self, layer: str, *, behind: bool) -> list[int]:
        names = self._clues.around(layer, behind=behind)
        places = {place for name in names for place in self._places[name]}
        return sorted(place for place in places if self._clues.may_compute(place))

    def _give(self, place: int | None, layer: str, *, sure: bool) -> bool:
        if place is None:
            return False
        self._held.add(place, (layer,), sure=sure)
        self._places[layer].append(place)
        self._clues.lost.discard(layer)
        return True


def unite_shared(clues: Clues, groups: Groups) -> None:
    """Join a node with another one if all of its layers are named by other nodes, too."""
    holders: dict[str, list[int]] = defaultdict(list)
    for place, names in _working(clues):
        for name in names:
            holders[name].append(place)
    own = {p for names in holders.values() if len(names) == 1 for p in names}
    for place, names in _working(clues):
        if names and place not in own:
            others = [at for at in holders[names[-1]] if at != place]
            groups.unite(place, next((at for at in others if at in own), others[0]))


def _working(clues: Clues) -> Iterator[tuple[int, tuple[str, ...]]]:
    return ((i, names) for i, names in enumerate(clues.layers) if clues.nodes[i].ran)
