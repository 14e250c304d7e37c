"""Weights that reach their operator through a Reshape, as initializers of the shape that it gives.

Translations of operators with packed weights take constants alone. Where two operators share a
table, one of them reads it through a Reshape, which changes nothing in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onnxprof.backends.openvino.rewrites.nodes import known_shape
from onnxprof.records.layer import Tensor

#: Operands that must be constants, by operator.
_OPERANDS: Mapping[str, tuple[int, ...]] = {
    "GatherBlockQuantized": (0, 2, 3),
    "MatMulNBits": (1, 2, 3),
}
#: Operators that leave the elements of their first operand in place.
_IN_PLACE = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")


def hold(graphs: Iterable[Any], tensors: Mapping[str, Tensor]) -> bool:
    """Put initializers in place of reshaped ones; returns whether there were any."""
    graphs = list(graphs)
    wanted = {
        node.input[place]
        for graph in graphs
        for node in graph.node
        for place in _OPERANDS.get(node.op_type, ())
        if place < len(node.input)
    }
    held = stored(graphs)
    made = [_hold(graph, wanted, held, tensors) for graph in graphs]
    return any(made)


def stored(graphs: Iterable[Any]) -> dict[str, Any]:
    """Initializers and Constants by name."""
    held: dict[str, Any] = {}
    for graph in graphs:
        held.update((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                held[node.output[0]] = value
    return held


def _hold(
    graph: Any, wanted: set[str], held: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> bool:
    given = {output.name for output in graph.output}
    makers = {name: node for node in graph.node for name in node.output}
    replaced = []
    for name in sorted(wanted & makers.keys() - given):
        source = _source(makers, name)
        shape = known_shape(tensors, name)
        if source == name or source not in held or shape is None:
            continue
        made = graph.initializer.add()
        made.CopyFrom(held[source])
        made.name = name
        made.ClearField("dims")
        made.dims.extend(shape)
        replaced.append(makers[name])
    for node in replaced:
        graph.node.remove(node)
    return bool(replaced)


def _source(makers: Mapping[str, Any], name: str) -> str:
    """The tensor whose elements these are."""
    while (node := makers.get(name)) is not None and node.op_type in _IN_PLACE:
        name = node.input[0]
    return name
