"""Operands whose type only an outer scope knows, or nobody: rows or a clear word."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from onnxprof.errors import OnnxprofError
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect

FLOAT = TensorProto.FLOAT
_OPSETS = [helper.make_opsetid(*each) for each in (("", 17), ("com.microsoft", 1), ("own", 1))]


def _ms(op_type: str, *inputs: str, **attributes: int) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs, ["a"], "op", domain="com.microsoft", **attributes)


def _loop() -> onnx.NodeProto:
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("ci", "co"), ("xi", "xo"))]
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in side]
        for side in (
            (("i", TensorProto.INT64, []), ("ci", TensorProto.BOOL, []), ("xi", FLOAT, None)),
            (("co", TensorProto.BOOL, []), ("xo", FLOAT, None)),
        )
    ]
    return helper.make_node(
        "Loop", ["", "mask", "x"], ["a"], body=helper.make_graph(nodes, "b", *ends)
    )


OPERATORS = {
    "Attention": _ms("Attention", "x", "w", "b", "mask", num_heads=2),
    "MultiHeadAttention": _ms("MultiHeadAttention", *"xxx", "", "", "mask", num_heads=2),
    "GroupQueryAttention": _ms(
        *("GroupQueryAttention", *"xxx", "", "", "mask", "mask"), num_heads=2, kv_num_heads=2
    ),
    "SkipLayerNormalization": _ms("SkipLayerNormalization", "x", "mask", "b"),
    "Where": helper.make_node("Where", ["mask", "x", "x"], ["a"]),
    "Add": helper.make_node("Add", ["x", "mask"], ["a"]),
    "Reshape": helper.make_node("Reshape", ["x", "mask"], ["a"]),
    "Resize": helper.make_node("Resize", ["x", "", "", "mask"], ["a"]),
    "Dropout": helper.make_node("Dropout", ["x", "", "mask"], ["a"]),
    "DequantizeLinear": helper.make_node("DequantizeLinear", ["mask", "b"], ["a"]),
    "CastLike": helper.make_node("CastLike", ["x", "mask"], ["a"]),
    "Loop": _loop(),
}
_SEQUENCE = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
#: Nodes before it and inputs of the model that make the mask, or do not.
SOURCES = {
    "nowhere": ((), ()),
    "unknown operator": ((helper.make_node("Weird", ["x"], ["mask"], domain="own"),), ()),
    "input without a type": ((), (onnx.ValueInfoProto(name="mask"),)),
    "input with an empty type": ((), (helper.make_value_info("mask", onnx.TypeProto()),)),
    "sequence": ((), (helper.make_value_info("mask", _SEQUENCE),)),
    "typed outside": (
        (helper.make_node("Identity", ["m"], ["mask"]),),
        (helper.make_tensor_value_info("m", TensorProto.INT32, [1, 4]),),
    ),
}


def _branch(nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, output, [], [helper.make_tensor_value_info(output, FLOAT, None)]
    )


def _in_if(node: onnx.NodeProto, output: str) -> onnx.NodeProto:
    other = _branch([helper.make_node("Identity", ["x"], ["e"])], "e")
    return helper.make_node(
        "If", ["c"], [output], "if", then_branch=_branch([node], "a"), else_branch=other
    )


def _placed(
    node: onnx.NodeProto, place: str
) -> tuple[list[onnx.NodeProto], list[onnx.FunctionProto]]:
    """The nodes that yield y, and local functions."""
    if place == "graph":
        return [node, helper.make_node("Identity", ["a"], ["y"])], []
    if place == "branch":
        return [_in_if(node, "y")], []
    inner, given = (node, ["x", "w", "b", "mask"]) if place == "function" else (
        _in_if(node, "z"),
        ["x", "c"],
    )  # fmt: skip
    made = helper.make_function("own", "F", given, [inner.output[0]], [inner], _OPSETS[:2])
    return [helper.make_node("F", given, ["y"], "call", domain="own")], [made]


def model(operator: str, source: str, place: str) -> onnx.ModelProto:
    before, inputs = SOURCES[source]
    nodes, functions = _placed(OPERATORS[operator], place)
    x = helper.make_tensor_value_info("x", FLOAT, [1, 4, 8])
    c = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    weights = [helper.make_tensor("w", FLOAT, [8, 24], [0.0] * 192)]
    weights.append(helper.make_tensor("b", FLOAT, [24], [0.0] * 24))
    y = helper.make_tensor_value_info("y", FLOAT, None)
    graph = helper.make_graph([*before, *nodes], "g", [x, c, *inputs], [y], weights)
    return helper.make_model(graph, opset_imports=_OPSETS, functions=functions, ir_version=8)


def _refusal(path: Path, batch: int) -> str:
    """What is said of a model that is refused; empty where it has rows."""
    try:
        opened = open_model(str(path))
        assert inspect(opened, batch).nodes
        prepare(opened, batch, {})
    except OnnxprofError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("place", ["graph", "branch", "function", "branch of a function"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_types_that_only_others_know(operator: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for source, batch in product(SOURCES, (1, 2)):
        path.write_bytes(model(operator, source, place).SerializeToString())
        told = _refusal(path, batch)
        assert told == "" or ("m.onnx" in told and "\n" not in told and len(told) < 1000)
