"""An earlier form of a graph, with indices to find the results of a later form in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from onnxprof.provenance.congruence import (
    constant_tensors,
    representatives,
    shape_tensors,
    signature,
)
from onnxprof.provenance.topology import Graph, GraphNode

#: The most nodes in the slice of one step.
_LONGEST = 4096
#: The most layers between a step's inputs and the first operator of the step.
_AHEAD = 6


@dataclass(slots=True)
class Slice:
    """The nodes between a tensor and the known tensors."""

    nodes: list[GraphNode] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    """The known tensors and the constants that the slice ends at, by representatives."""


class Earlier:
    """The earlier form: producers and readers of tensors, and classes of equal tensors."""

    def __init__(self, graph: Graph, outer: Mapping[str, str]) -> None:
        self.graph = graph
        self.produced = graph.producers()
        self.same = {**outer, **representatives(graph)}
        self.constant = constant_tensors(graph)
        self.shapes = shape_tensors(graph, self.constant)
        self.by_name: dict[str, GraphNode] = {}
        self.operators = {node.op_type for node in graph.nodes}
        self._by_contents = {digest: name for name, digest in graph.contents.items()}
        self._signatures: dict[Hashable, list[GraphNode]] = defaultdict(list)
        self._behind: dict[str, frozenset[str]] = {}
        self.readers: dict[str, list[GraphNode]] = defaultdict(list)
        for node in graph.nodes:
            self.by_name.setdefault(node.name, node)
            if known := signature(node, self.same):
                self._signatures[known].append(node)
            for name in dict.fromkeys(map(self.one, node.inputs)):
                self.readers[name].append(node)

    def one(self, name: str) -> str:
        """The representative of a tensor."""
        return self.same.get(name, name)

    def constant_like(self, name: str, digest: str) -> str:
        """The constant with this name, or else with these contents; empty if there is none."""
        if name in self.constant or name in self.produced:
            return self.one(name)
        return self.one(self._by_contents.get(digest, "")) if digest else ""

    def equal(self, node: GraphNode, carried: Mapping[str, str]) -> list[GraphNode]:
        """Nodes that apply the same operator to the same inputs."""
        if any(name not in carried for name in node.inputs):
            return []
        return self._signatures.get(signature(node, carried), [])

    def between(self, tensor: str, known: Collection[str]) -> Slice | None:
        """The slice from `known` tensors and constants to `tensor`; None if more is needed.

        Chains that read shapes alone are left out, since runtimes know them while loading.
        """
        result, seen, wanted = Slice(), set[str](), [tensor]
        on_shapes = tensor in self.shapes
        while wanted:
            node = self.produced.get(wanted.pop())
            if node is None or len(seen) > _LONGEST:
                return None
            if node.name in seen:
                continue
            seen.add(node.name)
            result.nodes.append(node)
            for name in node.inputs:
                one = self.one(name)
                if one in known:
                    result.reached.add(one)
                elif name in self.constant:
                    result.reached |= self._stored(name)
                elif on_shapes or name not in self.shapes:
                    wanted.append(name)
        return result

    def _stored(self, name: str) -> frozenset[str]:
        """A constant and the constants that it is computed from, by representatives."""
        if name not in self._behind:
            seen, wanted = set[str](), [name]
            while wanted:
                if (one := self.one(wanted.pop())) not in seen:
                    seen.add(one)
                    maker = self.produced.get(one)
                    wanted.extend(maker.inputs if maker else ())
            self._behind[name] = frozenset(seen)
        return self._behind[name]

    def ahead(self, known: Collection[str], operators: Collection[str]) -> Iterator[GraphNode]:
        """Nodes with these operators among the nearest readers of the known tensors."""
        seen, level = set[str](), list(known)
        for _ in range(_AHEAD):
            nodes = {n.name: n for name in level for n in self.readers.get(name, ())}
            fresh = [node for name, node in nodes.items() if name not in seen]
            seen.update(nodes)
            yield from (node for node in fresh if node.op_type in operators)
            level = [self.one(out) for node in fresh for out in node.outputs]
