"""Names that onnxruntime gives to tensors of a branch that replaced its If."""

from __future__ import annotations

import re

from onnxprof.provenance.topology import Graph, GraphNode

#: The runtime's prefix for names moved out of a branch of an If with a constant condition.
_MOVED = re.compile(r"_if_(?:then|else)_branch(?:_token_\d+)?_")


def original_name(name: str) -> str:
    """A tensor's name without the marks that inlining put before it."""
    while match := _MOVED.match(name):
        name = name[match.end() :]
    return name


def unmarked(graph: Graph) -> Graph:
    """The executed graph with the names that tensors had inside their branches."""
    return Graph(
        tuple(
            GraphNode(
                node.name,
                node.op_type,
                tuple(map(original_name, node.inputs)),
                tuple(map(original_name, node.outputs)),
                node.hints,
                node.digest,
            )
            for node in graph.nodes
        ),
        frozenset(map(original_name, graph.constants)),
        graph.outputs,
        {original_name(name): digest for name, digest in graph.contents.items()},
    )


def moved_tensors(graph: Graph) -> frozenset[str]:
    """Original names of the tensors that came out of a branch."""
    names = {name for node in graph.nodes for name in node.outputs} | graph.constants
    return frozenset(original_name(name) for name in names if _MOVED.match(name))
