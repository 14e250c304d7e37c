"""Measured units whose names do not tell which layers they are: placed by operator and order.

OpenVINO calls a convolution whose batch norm it folded `Multiply_9950`. What is left is the
kind of its work, when it ran, and which layers the units around it are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from onnxprof.provenance.names import APPENDED, Evidence
from onnxprof.provenance.topology import Graph, GraphNode


def placed(graph: Graph, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of units in the order in which they ran, with layers where names tell none.

    A unit that is known by activations has the layer of its operator in front of them. One
    that is known by nothing is the first layer of its operator that is left over, waits for
    none that is, and that nothing ran before which needs it; if there are several, one that the
    next unit that is known depends on.
    """
    if not any(found.operators for found in evidence):
        return list(evidence)
    layers = Layers(graph)
    taken = {name for found in evidence for name in found.layers}
    made = [_with_base(layers, found, taken) for found in evidence]
    wanted = {kind for found in made if not found.layers for kind in found.operators}
    left = [n.name for n in graph.nodes if n.op_type in wanted and n.name not in taken]
    done = 0
    for unit, found in enumerate(made):
        if not found.layers and found.operators:
            after = next((later.layers for later in made[unit + 1 :] if later.layers), ())
            if name := layers.first(left, found.operators, done, after):
                left.remove(name)
                made[unit] = replace(found, layers=(name,))
        done |= layers.needed(made[unit].layers)
    return made


class Layers:
    """The layers of a graph, and what each depends on, as a set of bits."""

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
        """The layers whose outputs one reads."""
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
        """The layer of these operators behind an activation, over its first operands first.

        What others read as well is no part of a fusion, unless there is nothing else.
        """
        found = [*self._bases(name, operators, taken)]
        alone = (each for each, is_alone in found if is_alone)
        return next(alone, found[0][0] if found else "")

    def _bases(
        self, name: str, operators: Sequence[str], taken: set[str]
    ) -> Iterator[tuple[str, bool]]:
        """Layers that may be it, and whether nothing else reads anything on the way."""
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
        """The first of those left over that can have run now; empty if there is none."""
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


def _with_base(layers: Layers, found: Evidence, taken: set[str]) -> Evidence:
    """The layer of its operator is added to what a unit took in, and to what is taken."""
    if not (found.layers and found.operators):
        return found
    base = layers.base(found.layers[0], found.operators, taken)
    if not base:
        return found
    taken.add(base)
    return replace(found, layers=(base, *found.layers))
