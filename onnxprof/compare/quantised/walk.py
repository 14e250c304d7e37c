"""A walk through a quantised network, with what its tensors carry of the float one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from onnxprof.compare.quantised.graph import Graph, upwards
from onnxprof.compare.quantised.names import origins
from onnxprof.compare.quantised.operators import (
    ABSORBED,
    QUANTISERS,
    float_operator,
)
from onnxprof.compare.quantised.outlook import depth, followers, outlooks
from onnxprof.records.layer import Layer

#: How many float layers in a row a kernel may take in, and how many a fused node stands for.
_CHAIN, _SLICE = 6, 400


@dataclass(slots=True)
class Walk:
    """State of one walk; `run` fills it."""

    original: Graph
    quantised: Graph
    pinned: Mapping[str, str]
    """Float layers of nodes, by name, that are known before."""
    value: dict[str, str] = field(default_factory=dict)
    """From tensors of the quantised network to the float tensors that they carry."""
    head: dict[str, str] = field(default_factory=dict)
    """From nodes to the float layers that they are."""
    owner: dict[str, str] = field(default_factory=dict)
    """The same, and of nodes that rescale what a head yields, that head's."""
    taken: dict[str, str] = field(default_factory=dict)
    """From float layers to the float layer that stands for them; themselves if they have nodes."""
    named: set[str] = field(default_factory=set)
    """Float layers whose names, tensors or weights say the same."""
    _chains: dict[str, dict[str, int]] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)
    _alike: dict[str, list[Layer]] = field(default_factory=dict)
    """The float layers by their operators."""
    _ahead: tuple[Mapping[str, tuple[int, ...]], ...] = ({}, {})

    def run(self) -> None:
        """Walk from the inputs to the outputs."""
        self._places = {node.name: i for i, node in enumerate(self.original.nodes)}
        for node in self.original.nodes:
            self._alike.setdefault(float_operator(node.op_type), []).append(node)
        self._ahead = outlooks(self.original), outlooks(self.quantised)
        self._begin()
        for node in self.quantised.nodes:
            if not self.quantised.is_fixed(node):
                self._place(node)

    def _begin(self) -> None:
        """Pair the inputs: by name, else by type and by what reads them, else by order."""
        left = [name for name in self.original.given if name not in self.quantised.given]
        for name in self.quantised.given:
            if name in self.original.given:
                self.value[name] = name
                continue
            kind = self.quantised.kinds.get(name)
            alike = [other for other in left if self.original.kinds.get(other) == kind]
            if alike:
                mine = self._read_by(self.quantised, 1, name)
                best = max(alike, key=lambda o: depth(self._read_by(self.original, 0, o), mine))
                self.value[name] = best
                left.remove(best)

    def _read_by(self, graph: Graph, side: int, tensor: str) -> tuple[int, ...]:
        """The outlooks of a tensor's readers as one."""
        readers = [reader.name for reader in followers(graph, [tensor])]
        told = sorted(self._ahead[side][name] for name in readers)
        return tuple(hash(level) for level in zip(*map(tuple, told), strict=False))

    def _place(self, node: Layer) -> None:
        data = self.quantised.data(node)
        if node.op_type in QUANTISERS:
            self._pass(node, data)
        elif self._rescales(node):
            self._pass(node, data)
            self._own(node, data)
        elif (layer := self._pinned(node) or self._best(node, data)) is not None:
            self._bind(node, layer)
        elif len(data) == 1 and data[0] in self.value and _operator(node) in ABSORBED:
            self._pass(node, data)
            self._own(node, data)
        else:
            self._fused(node, data)

    def _pass(self, node: Layer, data: list[str]) -> None:
        if data and data[0] in self.value:
            self.value[node.outputs[0].name] = self.value[data[0]]

    def _own(self, node: Layer, data: list[str]) -> None:
        """Count it to what it rescales."""
        maker = self.quantised.behind(data[0]) if data else None
        if maker is not None and maker.name in self.owner:
            self.owner[node.name] = self.owner[maker.name]

    def _rescales(self, node: Layer) -> bool:
        """Whether it multiplies an integer result by scales of the inference, or casts it."""
        inputs = [t.name for t in node.inputs]
        if node.op_type == "Mul":
            return any(name in self.quantised.scales for name in inputs)
        maker = self.quantised.maker.get(inputs[0]) if inputs else None
        return node.op_type == "Cast" and maker is not None and "Integer" in maker.op_type

    def _bind(self, node: Layer, layer: Layer) -> None:
        self.head[node.name] = self.owner[node.name] = layer.name
        self.taken[layer.name] = layer.name
        if self._likeness(node, layer):
            self.named.add(layer.name)
        for theirs, ours in zip(node.outputs, layer.outputs, strict=False):
            self.value[theirs.name] = ours.name

    def _pinned(self, node: Layer) -> Layer | None:
        name = self.pinned.get(node.name)
        return None if name is None else self.original.nodes[self._places[name]]

    def _best(self, node: Layer, data: list[str]) -> Layer | None:
        """The free layer that reads what the node reads, or else that names propose."""
        known = [self.value[name] for name in data if name in self.value]
        fitting = list(self._reading(node, known, len(data)))
        if not fitting and len(known) < max(1, len(data)):
            fitting = [(layer, 0) for layer in self._proposed(node)]
        ranked = [(*self._score(node, layer), -hops, i) for i, (layer, hops) in enumerate(fitting)]
        return fitting[max(ranked)[-1]][0] if ranked else None

    def _score(self, node: Layer, layer: Layer) -> tuple[int, int, int, int]:
        alike = self.quantised.signature(node) == self.original.signature(layer)
        ours, theirs = (
            its.get(name, ())
            for its, name in zip(self._ahead, (layer.name, node.name), strict=True)
        )
        ahead = depth(ours, theirs)
        return self._likeness(node, layer), alike, ahead, -self._places[layer.name]

    def _reading(self, node: Layer, known: list[str], count: int) -> Iterator[tuple[Layer, int]]:
        """(free layers that read these tensors or what follows from them, over how many others)."""
        if not known:
            return
        chains = [self.chain(tensor) for tensor in known]
        readers = {
            layer.name: layer
            for tensor in chains[0]
            for layer in self.original.readers.get(tensor, ())
        }
        for layer in readers.values():
            ours = self.original.data(layer)
            if self._fits(node, layer) and len(ours) == count:
                hops = _paired(chains, ours)
                if hops is not None:
                    yield layer, hops

    def _fits(self, node: Layer, layer: Layer) -> bool:
        """Whether a layer is free, and of the same operator with as large a weight."""
        if layer.name in self.taken or self.original.is_fixed(layer):
            return False
        if float_operator(node.op_type) != float_operator(layer.op_type):
            return False
        if "NBits" in node.op_type or "Bnb4" in node.op_type:  # weights are packed
            return True
        return _compatible(self.quantised.signature(node), self.original.signature(layer))

    def _proposed(self, node: Layer) -> Iterator[Layer]:
        """Layers that the names of the node and of what it yields propose."""
        for layer in self._alike.get(float_operator(node.op_type), ()):
            if self._fits(node, layer) and self._likeness(node, layer):
                yield layer

    def _likeness(self, node: Layer, layer: Layer) -> int:
        """How many of these agree: node name, weight name, name of the output."""
        ours, weight = layer.given_name, self.original.weight(layer)
        following = self.chain(layer.outputs[0].name) if layer.outputs else {}
        yields = (name for t in node.outputs for name in origins(t.name))
        return (
            (bool(ours) and ours in origins(node.given_name))
            + (bool(weight) and weight in origins(self.quantised.weight(node)))
            + any(name in following for name in yields)
        )

    def chain(self, tensor: str) -> dict[str, int]:
        """What follows from a tensor through layers that a kernel may take in: tensor, how far."""
        if tensor not in self._chains:
            found = {tensor: 0}
            waiting = [tensor]
            while waiting:
                name = waiting.pop(0)
                if found[name] >= _CHAIN:
                    break
                for layer in self.original.readers.get(name, ()):
                    takes_in = layer.op_type in ABSORBED and len(self.original.data(layer)) == 1
                    for output in layer.outputs if takes_in else ():
                        if output.name not in found:
                            found[output.name] = found[name] + 1
                            waiting.append(output.name)
            self._chains[tensor] = found
        return self._chains[tensor]

    def _fused(self, node: Layer, data: list[str]) -> None:
        """Tie a node of no float operator to all layers between what it reads and yields."""
        known = self._named_tensor(node)
        if not known:
            return
        ends = {self.value[n] for n in data if n in self.value}
        ends |= {t for e in list(ends) for t in self.chain(e)} - {known}
        layers = upwards(self.original, known, frozenset(ends), _SLICE)
        if layers and not any(layer.name in self.taken for layer in layers):
            head = self.original.maker[known].name
            self.head[node.name] = self.owner[node.name] = head
            self.taken |= dict.fromkeys((layer.name for layer in layers), head)
            self.named.add(head)
        self.value[node.outputs[0].name] = known

    def _named_tensor(self, node: Layer) -> str:
        if not node.outputs:
            return ""
        names = (n for n in origins(node.outputs[0].name) if n in self.original.maker)
        return next(names, "")


def _operator(node: Layer) -> str:
    return float_operator(node.op_type)


def _paired(chains: list[dict[str, int]], inputs: Iterable[str]) -> int | None:
    """Hops in all, if each chain leads to an input of its own; first come, first served."""
    left, hops = list(inputs), 0
    for chain in chains:
        reached = [name for name in left if name in chain]
        if not reached:
            return None
        nearest = min(reached, key=lambda name: chain[name])
        left.remove(nearest)
        hops += chain[nearest]
    return hops


def _compatible(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    """Whether attributes and sizes that both give are equal."""
    *told_a, sizes_a = a
    *told_b, sizes_b = b
    if sizes_a and sizes_b and sizes_a != sizes_b:
        return False
    return all(not x or not y or x == y for x, y in zip(told_a, told_b, strict=True))
