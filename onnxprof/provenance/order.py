"""Measured units whose names do not tell which layers they are: placed by operator and order.

OpenVINO calls a convolution with a folded batch norm `Multiply_9950`. The evidence that remains
is the unit's operator, the execution order, and the layers of the units around it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from onnxprof.provenance.names import APPENDED, Evidence
from onnxprof.provenance.topology import Graph, GraphNode


def placed(graph: Graph, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of units in execution order, with layers added where names give none.

    A unit named after activations gets the layer of its operator in front of them. A unit
    without a name gets the first unclaimed layer of its operator that depends on no unclaimed
    layer and that no earlier unit depends on; of several, one that the next named unit
    depends on.
    """
    if not any(entry.operators for entry in evidence):
        return list(evidence)
    layers = Layers(graph)
    taken = {name for entry in evidence for name in entry.layers}
    made = [_with_base(layers, entry, taken) for entry in evidence]
    wanted = {kind for entry in made if not entry.layers for kind in entry.operators}
    left = [n.name for n in graph.nodes if n.op_type in wanted and n.name not in taken]
    done = 0
    for unit, entry in enumerate(made):
        if not entry.layers and entry.operators:
            after = next((later.layers for later in made[unit + 1 :] if later.layers), ())
            if name := layers.first(left, entry.operators, done, after):
                left.remove(name)
                made[unit] = replace(entry, layers=(name,))
        done |= layers.needed(made[unit].layers)
    return made


class Layers:
    """The layers of a graph with the layers that they depend on, as sets of bits."""

    def __init__(self, graph: Graph) -> None:
        self._maker = {tensor: node for node in graph.nodes for tensor in node.outputs}
        self._nodes = {node.name: node for node in graph.nodes}
        self._bit = {node.name: 1 << i for i, node in enumerate(graph.nodes)}
        self._before: dict[str, int] = {}
        self._readers: dict[str, set[str]] = defaultdict(set)
        for node in graph.nodes:
            bits = 0
            for source in self.sources(node):
                bits |= self._bit[source.name] | self._before.get(source.name, 0)
                self._readers[source.name].add(node.name)
            self._before[node.name] = bits

    def sources(self, node: GraphNode) -> Iterator[GraphNode]:
        """The layers whose outputs a layer reads."""
        return (self._maker[tensor] for tensor in node.inputs if tensor in self._maker)

    def has(self, bits: int, name: str) -> bool:
        """Whether a layer is in a set of bits."""
        return bool(self._bit[name] & bits)

    def needed(self, names: Iterable[str]) -> int:
        """These layers and all that they depend on."""
        bits = 0
        for name in names:
            bits |= self._bit.get(name, 0) | self._before.get(name, 0)
        return bits

    def base(self, name: str, operators: Sequence[str], taken: set[str]) -> str:
        """The layer of one of these operators whose result an activation reads; empty for none.

        First operands are searched first. A layer whose result other layers read too is taken
        only if there is no other, since a fusion would need it twice.
        """
        candidates = [*self._bases(name, operators, taken)]
        alone = (candidate for candidate, is_alone in candidates if is_alone)
        return next(alone, candidates[0][0] if candidates else "")

    def _bases(
        self, name: str, operators: Sequence[str], taken: set[str]
    ) -> Iterator[tuple[str, bool]]:
        """Candidate layers, and whether no other layer reads a tensor on the way to them."""
        waiting = [(self._nodes[name], True)] if name in self._nodes else []
        seen = set[str]()
        while waiting:
            node, alone = waiting.pop()
            if node.op_type in operators and node.name != name:
                yield node.name, alone
            elif node.name == name or node.op_type in APPENDED:
                sources = [s for s in self.sources(node) if s.name not in taken | seen]
                seen |= {source.name for source in sources}
                waiting += [(s, alone and len(self._readers[s.name]) == 1) for s in sources[::-1]]

    def first(
        self, left: Sequence[str], operators: Sequence[str], done: int, after: Sequence[str]
    ) -> str:
        """The first layer of `left` whose dependencies are done; empty if there is none."""
        waiting = self._bits(left)
        ready = [
            name
            for name in left
            if self._nodes[name].op_type in operators
            and not self._before[name] & waiting
            and not self._bit[name] & done
        ]
        needed = self.needed(after)
        return next((n for n in ready if self._bit[n] & needed), ready[0] if ready else "")

    def _bits(self, names: Iterable[str]) -> int:
        bits = 0
        for name in names:
            bits |= self._bit[name]
        return bits


def _with_base(layers: Layers, entry: Evidence, taken: set[str]) -> Evidence:
    """The evidence with the layer in front of the activations, which is added to `taken`."""
    if not (entry.layers and entry.operators):
        return entry
    base = layers.base(entry.layers[0], entry.operators, taken)
    if not base:
        return entry
    taken.add(base)
    return replace(entry, layers=(base, *entry.layers))
