"""A graph of nodes and the tensors between them, without weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node of an original or executed graph; omitted inputs and outputs are left out."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hints: tuple[str, ...] = ()
    """Operators that the runtime says it appended to this step, in order."""
    digest: str = ""
    """A digest of the attributes and of which inputs are present; empty if not comparable."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One graph or subgraph: nodes in topological order, and names of constants."""

    nodes: tuple[GraphNode, ...]
    constants: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    """A digest of the contents of constants, as far as they are known."""

    def producers(self) -> dict[str, GraphNode]:
        """From a tensor to the node that yields it."""
        return {out: node for node in self.nodes for out in node.outputs}

    def consumers(self) -> dict[str, list[GraphNode]]:
        """From a tensor to the nodes that read it, in order."""
        readers: dict[str, list[GraphNode]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return readers
