"""The tensors at the boundary of layers: what they read from outside, what others read of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from onnxprof.provenance.topology import Graph, GraphNode


def boundary(
    covered: Sequence[GraphNode],
    readers: Mapping[str, Sequence[GraphNode]],
    results: Collection[str],
) -> tuple[list[str], list[str]]:
    """The tensors that nodes read from outside, and those of theirs that are read outside."""
    names = {node.name for node in covered}
    made = dict.fromkeys(name for node in covered for name in node.outputs)
    read = dict.fromkeys(name for node in covered for name in node.inputs)
    outs = [
        name
        for name in made
        if name in results or any(reader.name not in names for reader in readers.get(name, ()))
    ]
    return [name for name in read if name not in made], outs


class Layers:
    """The layers of a graph by name, and what reads their results."""

    def __init__(self, graph: Graph) -> None:
        self._results = frozenset(graph.outputs)
        self._readers = graph.consumers()
        self._by_name: dict[str, list[tuple[int, GraphNode]]] = {}
        for i, node in enumerate(graph.nodes):
            self._by_name.setdefault(node.name, []).append((i, node))

    def covered(self, names: Collection[str]) -> list[GraphNode]:
        """The layers of these names, in the order of the graph."""
        there = (place for name in set(names) for place in self._by_name.get(name, ()))
        return [node for _, node in sorted(there, key=itemgetter(0))]

    def ends(self, names: Collection[str]) -> list[str]:
        """Every tensor at the boundary of these layers."""
        ins, outs = boundary(self.covered(names), self._readers, self._results)
        return [*ins, *outs]
