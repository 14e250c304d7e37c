"""Runtime operators that differ from a standard one in layout, activation or extra operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import onnx
from onnx import NodeProto

from onnxprof.model.shapes.rules import onnx_rules
from onnxprof.model.shapes.rules.call import Call, Rule, Types
from onnxprof.model.shapes.rules.scope import Scope, element_type, shape_of, tensor_type
from onnxprof.records.layer import Shape

#: The opset whose rules are asked.
_OPSET = 17
_FLOAT = onnx.TensorProto.FLOAT


def _standard(
    call: Call,
    op_type: str,
    positions: Sequence[int] = (),
    last: bool = False,
    elements: int | None = None,
) -> Types:
    """The shape that a standard operator yields for the operands at these positions.

    `last`: the first operand and the output have their channels last.
    """
    chosen = positions or range(len(call.node.input))
    names = [call.name(i) for i in chosen]
    scope = Scope(call.scope)
    for position, name in zip(chosen, names, strict=True):
        held = call.shape(position)
        shape = _first(held) if last and held is not None and position == chosen[0] else held
        kind = _plain(call.elements(position))
        if name and (shape, kind) != (held, call.elements(position)):
            scope.declare(name, tensor_type(kind, shape))
    node = _node(call.node, op_type, names)
    types = onnx_rules.ask(Call(node, scope, {**call.opsets, "": _OPSET}))
    kind = elements or call.elements(chosen[0])
    shapes = [None if held is None else shape_of(held) for held in types]
    return [tensor_type(kind, _last(shape) if last else shape) for shape in shapes[:1]]


def _plain(elements: int) -> int:
    """Replace 8-bit integers, which standard operators refuse, by float: only shapes matter."""
    return _FLOAT if elements in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) else elements


def _node(node: NodeProto, op_type: str, names: Sequence[str]) -> NodeProto:
    made = onnx.helper.make_node(op_type, list(names), list(node.output[:1]))
    known = onnx_rules.schema_of(op_type, "", _OPSET).attributes
    made.attribute.extend(a for a in node.attribute if a.name in known)
    return made


def _first(shape: tuple[int | str | None, ...]) -> Shape:
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else shape


def _last(shape: Shape) -> Shape:
    return shape if shape is None or len(shape) < 3 else (shape[0], *shape[2:], shape[1])


def _integer_convolution(call: Call) -> Types:
    """X, its scale and zero point, W: the output's type is that of its zero point."""
    last = bool(call.integer("channels_last"))
    return _standard(call, "Conv", (0, 3), last, call.elements(7))


def _pool(call: Call) -> Types:
    return _standard(call, "AveragePool", (0,), bool(call.integer("channels_last")))


def _reduced(call: Call) -> Types:
    return _standard(call, "ReduceMean", (0,))


def _quantised(call: Call) -> Types:
    kind = element_type(call.type(2)) or onnx.TensorProto.UINT8
    return call.types(call.shape(0), elements=kind)


def _dequantised(call: Call) -> Types:
    return call.types(call.shape(0), elements=call.elements(1))


RULES: Mapping[str, Rule] = {
    "FusedConv": partial(_standard, op_type="Conv", positions=(0, 1)),
    "NhwcConv": partial(_standard, op_type="Conv", positions=(0, 1), last=True),
    "NhwcFusedConv": partial(_standard, op_type="Conv", positions=(0, 1), last=True),
    "NhwcMaxPool": partial(_standard, op_type="MaxPool", positions=(0,), last=True),
    "MaxpoolWithMask": partial(_standard, op_type="MaxPool", positions=(0,)),
    "QLinearConv": _integer_convolution,
    "QLinearAveragePool": _pool,
    "QLinearReduceMean": _reduced,
    "QuantizeLinear": _quantised,
    "DequantizeLinear": _dequantised,
    "GridSample": partial(_standard, op_type="GridSample", positions=(0, 1)),
    "Pad": partial(_standard, op_type="Pad", positions=(0, 1)),
}
