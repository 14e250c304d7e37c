"""Which tensors of a graph are quantised, and by which scale and zero point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from onnxprof.compare.quantised.operators import PASSING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

#: Positions of the output's scale and zero point among the inputs (operator specification, and
#: ContribOperators.md of onnxruntime); of other QLinear operators with one data input, 3 and 4.
_PLACES = {
    "QuantizeLinear": (1, 2),
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
    "QGemm": (7, 8),
    "QLinearConcat": (0, 1),
    "QLinearWhere": (7, 8),
}
_UNARY = (3, 4)


class Scale(NamedTuple):
    """Names of the tensors that turn integers into values."""

    scale: str
    zero_point: str
    """Empty for zero."""


def scales(graph: GraphProto) -> Mapping[str, Scale]:
    """The scales of tensors of the main graph, whose nodes come in the order of execution."""
    found: dict[str, Scale] = {}
    for node in graph.node:
        scale = _of(node, found)
        if scale is not None and scale.scale:
            found.update((name, scale) for name in _outputs(node) if name)
    for name, scale in _read_by(graph):
        found.setdefault(name, scale)
    return found


def _read_by(graph: GraphProto) -> Iterator[tuple[str, Scale]]:
    """What the graph itself turns into values: rows that a Gather took from quantised weights."""
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and len(node.input) > 1 and not node.attribute:
            yield node.input[0], Scale(node.input[1], node.input[2] if len(node.input) > 2 else "")


def _outputs(node: NodeProto) -> list[str]:
    return [node.output[0]] if node.op_type == "DynamicQuantizeLinear" else list(node.output)


def _of(node: NodeProto, known: Mapping[str, Scale]) -> Scale | None:
    inputs = list(node.input)
    if node.op_type == "DynamicQuantizeLinear":
        return Scale(node.output[1], node.output[2])
    if node.op_type in _PLACES or node.op_type.startswith("QLinear"):
        at, zero = _PLACES.get(node.op_type, _UNARY)
        if at >= len(inputs):  # a QGemm that yields floats
            return None
        return Scale(inputs[at], inputs[zero] if zero < len(inputs) else "")
    return known.get(inputs[0]) if node.op_type in PASSING and inputs else None
