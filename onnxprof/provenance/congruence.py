"""Which tensors of a graph are equal, and which are known from shapes alone.

Two nodes with the same operator, attributes and inputs yield the same values, so a runtime
may compute them once (value numbering; Cocke and Schwartz, 1970). The outputs of such nodes have
one representative, and so have constants of equal contents.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from onnxprof.model.graph.operators import RANDOM_OPERATORS
from onnxprof.provenance.topology import Graph, GraphNode

#: Operators that pass their first input on at inference, so that a runtime drops them.
PASSIVE = frozenset({"Dropout", "Identity"})

#: Operators that read the shape of a tensor but no values.
SHAPE_READERS = frozenset({"Shape", "Size"})


def signature(node: GraphNode, same: Mapping[str, str]) -> Hashable:
    """A key that is equal for nodes of equal results.

    None if the attributes are not known or the operator draws random numbers. `same` gives the
    representatives of inputs.
    """
    if not node.digest or node.op_type in RANDOM_OPERATORS:
        return None
    return node.op_type, node.digest, tuple(same.get(name, name) for name in node.inputs)


def representatives(graph: Graph) -> dict[str, str]:
    """From a tensor that equals an earlier one to the first equal one; others are left out."""
    same: dict[str, str] = {}
    first: dict[Hashable, str] = {}
    for name in sorted(graph.contents):
        same[name] = first.setdefault(("constant", graph.contents[name]), name)
    for node in graph.nodes:
        if is_passive(node):
            same[node.outputs[0]] = same.get(node.inputs[0], node.inputs[0])
            continue
        known = signature(node, same)
        for place, name in enumerate(node.outputs if known else ()):
            same[name] = first.setdefault((known, place), name)
    return {name: one for name, one in same.items() if name != one}


def is_passive(node: GraphNode) -> bool:
    """Whether the first output of a node equals the first input."""
    return node.op_type in PASSIVE and bool(node.inputs) and bool(node.outputs)


def constant_tensors(graph: Graph) -> set[str]:
    """Tensors that do not depend on any input: initializers and what is computed from them."""
    known = set(graph.constants)
    for node in graph.nodes:
        if node.op_type not in RANDOM_OPERATORS and known.issuperset(node.inputs):
            known.update(node.outputs)
    return known


def shape_tensors(graph: Graph, constant: set[str]) -> set[str]:
    """Tensors that depend on shapes of other tensors and constants, and on no values."""
    known: set[str] = set()
    for node in graph.nodes:
        if node.op_type in RANDOM_OPERATORS or not node.inputs:
            continue
        from_shapes = all(name in known or name in constant for name in node.inputs)
        if node.op_type in SHAPE_READERS or (from_shapes and not constant.issuperset(node.inputs)):
            known.update(node.outputs)
    return known
