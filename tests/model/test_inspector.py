from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.networks import models
from support.networks.models import FLOAT, INT64, ints, node, value, weight

from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.layer import LayerKind


def table_of(made, folder, batch=1, dims=None):
    return inspect(open_model(str(models.save(made, folder))), batch, dims or {})


def by_name(table):
    return {layer.name: layer for layer in table}


def test_rows_come_in_first_appearance_order(tmp_path):
    names = [layer.name for layer in table_of(models.linear(), tmp_path)]
    assert names == ["x", "w", "b", "fc"]


def test_kinds_and_values_of_shape_operands(tmp_path):
    rows = by_name(table_of(models.lenet(), tmp_path, 2))
    assert rows["Input3"].kind is LayerKind.INPUT
    assert rows["Parameter5"].kind is LayerKind.INITIALIZER
    operand = rows["Parameter193_reshape1_shape"]
    assert (operand.kind, operand.layer_type) == (LayerKind.SHAPE_OPERAND, "ShapeOperand")
    assert operand.outputs[0].value == (256, 10)
    assert operand.outputs[0].shape == (2,)
    assert rows["Times212_reshape1"].inputs[1].value == (256, 10)


@pytest.mark.parametrize(
    ("op_type", "layer_type"),
    [("Sum", "ElementWise"), ("Min", "ElementWise"), ("Mul", "ElementWise"), ("Pow", "Pow"),
     ("MatMul", "Gemm"), ("PRelu", "Relu"), ("Sigmoid", "Sigmoid")],
)  # fmt: skip
def test_layer_types(tmp_path, op_type, layer_type):
    inputs = ["x"] if op_type == "Sigmoid" else ["x", "w"]
    made = models.model(
        [node(op_type, inputs, ["y"], "n")],
        [value("x", ["N", 4])],
        [value("y", None)],
        [weight("w", 4, 4)] if op_type == "MatMul" else [weight("w", 4)],
    )
    assert table_of(made, tmp_path).nodes[0].layer_type == layer_type


def test_operators_of_other_domains_keep_their_name(tmp_path):
    made = models.custom_domain()
    made.graph.node[1].op_type = "Add"
    layer = table_of(made, tmp_path).nodes[1]
    assert (layer.layer_type, layer.domain, layer.opset) == ("Add", "com.example", 1)
    assert layer.attributes == (("strength", "0.5"),)
    assert layer.outputs[0].shape is None


def test_declared_types_help_behind_unknown_operators(tmp_path):
    made = models.custom_domain()
    made.graph.value_info.append(value("y", ["N", 6]))
    made.graph.node.append(node("Relu", ["y"], ["z"], "after"))
    made.graph.output[0].CopyFrom(value("z", None))
    assert table_of(made, tmp_path, 3).nodes[2].outputs[0].shape == (3, 6)


def test_contrib_operators_have_shapes(tmp_path):
    made = models.model(
        [node("Gelu", ["x"], ["g"], "gelu", domain="com.microsoft"),
         node("MatMul", ["g", "w"], ["y"], "mm")],
        [value("x", ["N", 4])],
        [value("y", None)],
        [weight("w", 4, 2)],
        domains=["com.microsoft"],
    )  # fmt: skip
    table = table_of(made, tmp_path, 3)
    assert table.nodes[1].outputs[0].shape == (3, 2)
    assert (table.nodes[0].op_type, table.nodes[0].domain) == ("Gelu", "com.microsoft")


def test_initializers_that_are_inputs_too(tmp_path):
    made = models.linear(1)
    made.ir_version = 3
    made.graph.input.extend([value("w", [4, 3]), value("b", [3])])
    kinds = {layer.name: layer.kind.value for layer in table_of(made, tmp_path, 2)}
    assert kinds == {"x": "input", "w": "initializer", "b": "initializer", "fc": "node"}


def test_unused_initializers_are_left_out_and_unused_inputs_come_last(tmp_path):
    made = models.linear()
    made.graph.initializer.append(weight("spare", 2))
    made.graph.input.append(value("extra", ["N", 2]))
    names = [layer.name for layer in table_of(made, tmp_path)]
    assert names == ["x", "w", "b", "fc", "extra"]


def test_constant_nodes_are_layers(tmp_path):
    made = models.model(
        [node("Constant", [], ["c"], "const", value=weight("", 4)),
         node("Add", ["x", "c"], ["y"], "add")],
        [value("x", ["N", 4])],
        [value("y", None)],
    )  # fmt: skip
    rows = by_name(table_of(made, tmp_path))
    assert rows["const"].kind is LayerKind.NODE
    assert rows["const"].attributes == (("value", "float32[4]"),)
    assert rows["const"].outputs[0].shape == (4,)


def test_branches_follow_their_if_and_do_not_repeat_captures(tmp_path):
    table = table_of(models.branching(), tmp_path, 2)
    names = [(layer.name, layer.parent) for layer in table]
    assert names == [
        ("x", ""), ("relu", ""), ("fast", ""), ("choose", ""),
        ("w", ""), ("branch_mul", "choose"), ("shape", "choose"), ("branch_reshape", "choose"),
        ("branch_mul#2", "choose"), ("shape", "choose"), ("branch_reshape#2", "choose"),
    ]  # fmt: skip
    rows = by_name(table)
    assert rows["branch_mul#2"].given_name == "branch_mul"
    assert rows["branch_reshape"].outputs[0].shape == (2, 8)
    assert dict(rows["choose"].attributes)["then_branch"] == "graph(Mul, 2 nodes)"


def test_loop_body_is_listed_and_its_inputs_are_no_model_inputs(tmp_path):
    table = table_of(models.looped(), tmp_path, 2)
    assert [x.name for x in table if x.kind is LayerKind.INPUT] == ["x"]
    double = by_name(table)["double"]
    assert (double.parent, double.outputs[0].shape) == ("loop", (2, 4))


def test_scan(tmp_path):
    body = helper.make_graph(
        [node("Add", ["s", "e"], ["s2"], "sum"), node("Identity", ["s2"], ["o"], "copy")],
        "body",
        [value("s", [4]), value("e", [4])],
        [value("s2", [4]), value("o", [4])],
    )
    made = models.model(
        [node("Scan", ["init", "x"], ["last", "all"], "scan", body=body, num_scan_inputs=1)],
        [value("x", ["N", 4])],
        [value("all", None)],
        [weight("init", 4)],
    )
    rows = by_name(table_of(made, tmp_path, 5))
    assert rows["scan"].outputs[1].shape == (5, 4)
    assert rows["sum"].outputs[0].shape == (4,)


def test_the_nodes_of_local_functions_are_layers_with_the_call_as_scope(tmp_path):
    table = table_of(models.with_function(), tmp_path, 3)
    calls = [n.name for n in models.with_function().graph.node]
    found = [layer.name.rpartition("/")[0] for layer in table.nodes]
    assert found == [calls[0], calls[0], calls[1], calls[1]]
    assert [x.op_type for x in table.nodes] == ["Sigmoid", "Mul"] * 2
    assert table.nodes[-1].outputs[0].shape == (3, 4)


def test_sequence_and_optional_types(tmp_path):
    rows = by_name(table_of(models.sequences(), tmp_path))
    assert rows["split"].outputs[0].dtype == "sequence(float32)"
    assert rows["at"].outputs[0].dtype == "float32"
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ["N", 2]))
    made = models.model(
        [node("OptionalGetElement", ["o"], ["y"], "get")],
        [helper.make_value_info("o", optional)],
        [value("y", None)],
        opset=18,
    )
    rows = by_name(table_of(made, tmp_path, 4))
    assert rows["o"].outputs[0].dtype == "optional(float32)"
    assert rows["get"].outputs[0].shape == (4, 2)


def test_computed_targets_are_followed(tmp_path):
    """Shape arithmetic that onnx's data propagation gives up on."""
    made = models.model(
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Gather", ["s", "i0"], ["n"], "n", axis=0),
            node("Gather", ["s", "i1"], ["c"], "c", axis=0),
            node("ReduceProd", ["c"], ["p"], "prod", keepdims=1),
            node("Div", ["p", "two"], ["half"], "half"),
            node("Concat", ["n", "half", "two"], ["target"], "target", axis=0),
            node("Reshape", ["x", "target"], ["y"], "reshape"),
        ],
        [value("x", ["N", 6])],
        [value("y", None)],
        [ints("i0", 0), ints("i1", 1), ints("two", 2)],
    )
    table = table_of(made, tmp_path, 4)
    assert table.nodes[-1].outputs[0].shape == (4, 3, 2)
    assert table.nodes[-1].inputs[1].value == (4, 3, 2)


def test_dims_are_given_or_stay_symbolic(tmp_path):
    made = models.model(
        [node("Relu", ["x"], ["y"], "relu")],
        [value("x", ["N", "tokens"])],
        [value("y", ["N", "tokens"])],
    )
    assert table_of(made, tmp_path, 2).nodes[0].outputs[0].shape == (2, "tokens")
    table = table_of(made, tmp_path, 2, {"tokens": 9})
    assert table.nodes[0].outputs[0].shape == (2, 9)
    assert table.dims == (("tokens", 9),)


def test_model_without_shapes(tmp_path):
    made = models.model(
        [node("Relu", ["x"], ["y"], "relu")], [value("x", None)], [value("y", None)]
    )
    table = table_of(made, tmp_path)
    assert table.nodes[0].outputs[0].shape is None
    assert table.nodes[0].outputs[0].dtype == "float32"


def test_old_opset_is_inspected(tmp_path):
    made = models.model(
        [node("Relu", ["x"], ["y"], "relu")],
        [value("x", ["N", 2])],
        [value("y", ["N", 2])],
        opset=6,
        ir_version=3,
    )
    assert table_of(made, tmp_path, 4).nodes[0].outputs[0].shape == (4, 2)


def test_attributes_as_text(tmp_path):
    made = models.model(
        [node("Wobble", ["x"], ["y"], "n", domain="d", f=0.1, i=3, s=b"\xff", text="hi",
              fs=[0.5, 2.0], many=list(range(40)), t=weight("t", 2, 3), names=["a", "b"])],
        [value("x", [1])],
        [value("y", None)],
        domains=["d"],
    )  # fmt: skip
    text = dict(table_of(made, tmp_path).nodes[0].attributes)
    assert text["f"] == "0.1"
    assert text["i"] == "3"
    assert text["s"] == r"\xff"
    assert text["text"] == "hi"
    assert text["fs"] == "[0.5,2]"
    assert text["names"] == "[a,b]"
    assert text["t"] == "float32[2,3]"
    assert text["many"].endswith(",15,… 40 in all]")


def test_dtypes_have_numpy_names(tmp_path):
    half = numpy_helper.from_array(np.zeros(2, np.float16), "h")
    made = models.model(
        [node("Cast", ["x"], ["b"], "cast", to=onnx.TensorProto.BFLOAT16),
         node("Add", ["f", "h"], ["g"], "add"),
         node("ArgMax", ["x"], ["a"], "argmax")],
        [value("x", ["N", 2]), value("f", ["N", 2], onnx.TensorProto.FLOAT16)],
        [value("b", None, onnx.TensorProto.BFLOAT16), value("g", None, onnx.TensorProto.FLOAT16),
         value("a", None, INT64)],
        [half],
    )  # fmt: skip
    table = table_of(made, tmp_path)
    assert [x.outputs[0].dtype for x in table.nodes] == ["bfloat16", "float16", "int64"]
