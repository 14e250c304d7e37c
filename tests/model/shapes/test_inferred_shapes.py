"""Shapes and dtypes that trials found wrong or unknown, and that they are those of a real run."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import fusions, models
from support.networks.models import BOOL, FLOAT, INT64, ints, node, value, weight

from onnxprof.errors import UsageError
from onnxprof.model.feeds import generate
from onnxprof.model.file import declared_fills, missing_dims, open_model, prepare
from onnxprof.model.layers import inspect


def opened(made, folder):
    return open_model(str(models.save(made, folder)))


def outputs(table):
    return {t.name: t for layer in table.nodes for t in layer.outputs}


def compare_with_run(model, batch, dims):
    """How many tensors of the main graph have the shape and the dtype that a run gives them."""
    table = inspect(model, batch, dims)
    prepared = prepare(model, batch, dims)
    data = prepared.source if isinstance(prepared.source, bytes) else prepared.source.read_bytes()
    made = onnx.load_model_from_string(data)
    there = {output.name for output in made.graph.output}
    wanted = [o for n in made.graph.node for o in n.output if o and o not in there]
    made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name, size in prepared.free_dims:
        options.add_free_dimension_override_by_name(name, size)
    session = ort.InferenceSession(made.SerializeToString(), options)
    feeds = generate(table, 0, declared_fills(model))
    names = [output.name for output in session.get_outputs()]
    seen = dict(zip(names, session.run(None, feeds), strict=True))
    known = outputs(table)
    count = 0
    for name in (o for n in made.graph.node for o in n.output if o):
        real: Any = seen[name]
        if isinstance(real, np.ndarray):
            kind = "string" if real.dtype == object else str(real.dtype)
            assert (name, known[name].dtype, known[name].shape) == (name, kind, real.shape)
            count += 1
    return count


def scalar_gather():
    """x.shape[1] as torch writes it: a Gather with a scalar index."""
    return models.model(
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Constant", [], ["one"], "c", value_int=1),
            node("Gather", ["s", "one"], ["len"], "gather"),
            node("Constant", [], ["ax"], "c2", value_ints=[0]),
            node("Constant", [], ["m1"], "c3", value_ints=[-1]),
            node("Unsqueeze", ["len", "ax"], ["len1"], "unsq"),
            node("Concat", ["m1", "len1"], ["target"], "concat", axis=0),
            node("Reshape", ["x", "target"], ["y"], "reshape"),
            node("Relu", ["y"], ["z"], "relu"),
        ],
        [value("x", ["batch", "seq", 4])],
        [value("z", ["a", "b"])],
    )


def test_a_scalar_gather_of_a_shape_is_an_integer_and_keeps_ranks(tmp_path):
    table = inspect(opened(scalar_gather(), tmp_path), 2, {})
    found = outputs(table)
    assert (found["len"].dtype, found["len"].shape) == ("int64", ())
    assert (found["target"].dtype, found["target"].shape) == ("int64", (2,))
    assert found["y"].shape == found["z"].shape == (8, "seq")
    table = inspect(opened(scalar_gather(), tmp_path), 2, {"seq": 3})
    assert outputs(table)["z"].shape == (8, 3)


@pytest.mark.parametrize(
    ("operator", "operand", "size"),
    [("Mul", 4, "4*seq"), ("Add", 3, "seq + 3"), ("Sub", 1, "seq - 1"), ("Div", 2, "(seq//2)")],
)
def test_arithmetic_on_symbols_is_kept(tmp_path, operator, operand, size):
    made = models.model(
        [
            node("Shape", ["x"], ["s"], "shape", start=1, end=2),
            node(operator, ["s", "k"], ["t"], "arithmetic"),
            node("ConstantOfShape", ["t"], ["y"], "fill"),
        ],
        [value("x", ["batch", "seq"])],
        [value("y", None)],
        [ints("k", operand)],
    )
    assert outputs(inspect(opened(made, tmp_path), 1, {}))["y"].shape == (size,)
    assert compare_with_run(opened(made, tmp_path), 1, {"seq": 7}) == 3


def looped():
    body = helper.make_graph(
        [node("MatMul", ["st", "W"], ["mm"], "mm"), node("Tanh", ["mm"], ["st2"], "tanh"),
         node("Identity", ["ci"], ["co"], "co"), node("Identity", ["st2"], ["scan"], "scan")],
        "b",
        [value("it", [], INT64), value("ci", [], BOOL), value("st", None)],
        [value("co", [], BOOL), value("st2", None), value("scan", None)],
    )  # fmt: skip
    return models.model(
        [node("Loop", ["trip", "", "x"], ["fin", "seq"], "loop", body=body)],
        [value("x", ["N", 16])],
        [value("fin", ["N", 16]), value("seq", None)],
        [numpy_helper.from_array(np.int64(5), "trip"), weight("W", 16, 16)],
    )


def test_a_loops_body_and_what_it_stacks(tmp_path):
    model = opened(looped(), tmp_path)
    found = outputs(inspect(model, 3, {}))
    assert found["mm"].shape == found["st2"].shape == found["scan"].shape == (3, 16)
    assert (found["fin"].shape, found["seq"].shape) == ((3, 16), (5, 3, 16))
    assert compare_with_run(model, 3, {}) == 2


def grown(stops):
    """What the loop carries gets longer; with `stops` the body decides when to end."""
    nodes = [node("Concat", ["st", "x"], ["st2"], "grow", axis=0)]
    nodes.append(node("Less", ["it", "limit"], ["co"], "less") if stops
                 else node("Identity", ["ci"], ["co"], "co"))  # fmt: skip
    body = helper.make_graph(
        [*nodes, node("ReduceSum", ["st2"], ["row"], "sum", keepdims=0)], "b",
        [value("it", [], INT64), value("ci", [], BOOL), value("st", None)],
        [value("co", [], BOOL), value("st2", None), value("row", None)],
    )  # fmt: skip
    return models.model(
        [node("Loop", ["trip", "", "x"], ["fin", "rows"], "loop", body=body)],
        [value("x", ["N", 4])], [value("fin", None), value("rows", None)],
        [numpy_helper.from_array(np.int64(n), name) for name, n in (("trip", 3), ("limit", 1))],
    )  # fmt: skip


def test_what_a_loop_changes_is_unknown_and_the_rest_is_not(tmp_path):
    found = outputs(inspect(opened(grown(False), tmp_path), 2, {}))
    assert found["fin"].shape == (None, 4)
    assert found["rows"].shape == (3,)
    found = outputs(inspect(opened(grown(True), tmp_path), 2, {}))
    assert found["rows"].shape == (None,)


def test_branches_that_differ_leave_open_what_differs(tmp_path):
    sides = [
        helper.make_graph([node("Concat", ["x"] * n, ["r"], f"cat{n}", axis=0)], "g", [],
                          [value("r", None)])
        for n in (1, 2)
    ]  # fmt: skip
    made = models.model(
        [node("If", ["c"], ["y"], "if", then_branch=sides[0], else_branch=sides[1])],
        [value("x", ["N", 4]), value("c", [], BOOL)],
        [value("y", None)],
    )
    assert outputs(inspect(opened(made, tmp_path), 1, {}))["y"].shape == (None, 4)
    made.graph.input.pop()
    made.graph.initializer.append(numpy_helper.from_array(np.array(False), "c"))
    table = inspect(opened(made, tmp_path), 3, {})
    assert table.nodes[0].outputs[0].shape == (6, 4)


def test_sparse_weights_have_a_shape(tmp_path):
    held = helper.make_tensor("W", FLOAT, [3], [1.0, 2.0, 3.0])
    places = helper.make_tensor("W_idx", INT64, [3], [0, 5, 18])
    made = models.model(
        [node("MatMul", ["x", "W"], ["h"], "mm"), node("Relu", ["h"], ["y"], "relu")],
        [value("x", ["N", 4])], [value("y", ["N", 8])],
    )  # fmt: skip
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(held, places, [4, 8]))
    model = opened(made, tmp_path)
    table = inspect(model, 2, {})
    assert table.nodes[0].inputs[1].shape == (4, 8)
    assert outputs(table)["y"].shape == (2, 8)
    assert model.parameters == 3


def guided():
    """Classifier-free guidance: one input has twice the batch."""
    return models.model(
        [node("Split", ["latents"], ["u", "c"], "split", axis=0, num_outputs=2),
         node("Mul", ["c", "scale"], ["y"], "mul")],
        [value("latents", ["2*batch_size", 4, 8, 8]), value("scale", ["batch_size", 1, 1, 1])],
        [value("y", ["batch_size", 4, 8, 8])],
        opset=18,
    )  # fmt: skip


def test_twice_the_batch_is_twice_the_batch(tmp_path):
    model = opened(guided(), tmp_path)
    table = inspect(model, 2, {})
    assert table.nodes[0].inputs[0].shape == (4, 4, 8, 8)
    assert outputs(table)["y"].shape == (2, 4, 8, 8)
    assert prepare(model, 2, {}).free_dims == (("batch_size", 2), ("2*batch_size", 4))
    assert compare_with_run(model, 2, {}) == 3


def test_a_batch_times_a_name_of_no_axis_asks_for_that_name(tmp_path):
    """As caches with the heads folded into the batch: no axis is called `heads` alone."""
    made = models.model(
        [node("Relu", ["cache"], ["y"], "relu"), node("Tanh", ["x"], ["z"], "tanh")],
        [value("x", ["batch", 4]), value("cache", ["batch * heads", 8])],
        [value("y", None), value("z", None)],
    )
    model = opened(made, tmp_path)
    assert outputs(inspect(model, 2, {"heads": 3}))["y"].shape == (6, 8)
    assert outputs(inspect(model, 2, {}))["z"].shape == (2, 4)
    with pytest.raises(UsageError, match="no size given for symbolic axes: heads"):
        prepare(model, 2, {})


@pytest.mark.parametrize("text", ["batch*heads", "heads * batch_size", "N*heads", "batch*heads*2"])
def test_a_product_with_the_batch_is_not_the_batch(text, tmp_path):
    """It stands alone: how many rows an item has is another axis's size, which must be given."""
    relu = node("Relu", ["x"], ["y"], "relu")
    model = opened(models.model([relu], [value("x", [text, 8])], [value("y", None)]), tmp_path)
    rows = 6 * (2 if text.endswith("2") else 1)
    assert [axis.name for axis in missing_dims(model, {})] == ["heads"]
    assert outputs(inspect(model, 2, {"heads": 3}))["y"].shape == (rows, 8)
    assert compare_with_run(model, 2, {"heads": 3}) == 1
    with pytest.raises(UsageError, match="no size given for symbolic axes: heads"):
        prepare(model, 2, {})


@pytest.mark.parametrize("text", ["batch-heads", "batch_heads", "batch/heads", "s0*s1"])
def test_other_names_of_an_axis_are_names(text, tmp_path):
    relu = node("Relu", ["x"], ["y"], "relu")
    model = opened(models.model([relu], [value("x", [text, 8])], [value("y", None)]), tmp_path)
    assert missing_dims(model, {}) == ()
    assert outputs(inspect(model, 2, {}))["y"].shape == (2, 8)


def cached(past):
    return models.model(
        [node("Concat", ["past_key_values.0.key", "k"], ["present"], "cat", axis=2),
         node("Relu", ["present"], ["y"], "relu")],
        [value("k", ["batch", 2, 4, 8]), value("past_key_values.0.key", ["batch", 2, past, 8])],
        [value("y", None)],
    )  # fmt: skip


def test_an_empty_cache_has_the_size_zero(tmp_path):
    for past, dims in (("past_sequence_length", {"past_sequence_length": 0}), (0, {})):
        model = opened(cached(past), tmp_path)
        assert outputs(inspect(model, 1, dims))["y"].shape == (1, 2, 4, 8)
        assert compare_with_run(model, 1, dims) == 2


def test_symbols_add_up_behind_a_concat(tmp_path):
    found = outputs(inspect(opened(cached("past"), tmp_path), 1, {}))
    assert found["y"].shape == (1, 2, "past + 4", 8)


def lying():
    """A file whose declared shapes are those of an export at batch 1."""
    made = models.model(
        [node("MatMul", ["x", "w"], ["m"], "mm"),
         node("Wobble", ["m"], ["y"], "wobble", domain="com.example")],
        [value("x", ["N", 4])],
        [value("y", [1, 3])],
        [weight("w", 4, 3)],
        domains=["com.example"],
    )  # fmt: skip
    made.graph.value_info.append(value("m", [1, 3]))
    return made


def test_declarations_that_the_graph_contradicts_are_not_used(tmp_path):
    model = opened(lying(), tmp_path)
    table = inspect(model, 1, {})
    assert outputs(table)["y"].shape == (1, 3)
    assert table.notes == ()
    table = inspect(model, 4, {})
    assert outputs(table)["m"].shape == (4, 3)
    assert outputs(table)["y"].shape is None
    assert table.notes == ("'m' is declared as [1,3], and is [4,3] by its graph",)


def test_opset_1(tmp_path):
    made = models.model(
        [node("Conv", ["x", "w"], ["c"], "conv", kernel_shape=[3, 3]),
         node("MaxPool", ["c"], ["y"], "pool", kernel_shape=[2, 2])],
        [value("x", [1, 3, 8, 8]), value("w", [4, 3, 3, 3])],
        [value("y", [1, 4, 5, 5])],
        [weight("w", 4, 3, 3, 3)],
        opset=1,
        ir_version=3,
    )  # fmt: skip
    model = opened(made, tmp_path)
    assert outputs(inspect(model, 1, {}))["y"].shape == (1, 4, 5, 5)
    assert compare_with_run(model, 1, {}) == 2


RUN = [
    models.lenet, models.tf_style, models.attention, models.with_function, models.class_token,
    models.branching, looped, models.quantised, models.recurrent,
    fusions.transformer, fusions.functions, fusions.neighbouring_gathers,
    fusions.dynamically_quantised, scalar_gather, guided,
]  # fmt: skip


@pytest.mark.parametrize("build", RUN, ids=lambda build: build.__name__)
def test_every_shape_is_that_of_a_run(tmp_path, build):
    model = opened(build(), tmp_path)
    dims = {"seq": 5} if build is scalar_gather else {}
    assert compare_with_run(model, 2, dims) > 0


def test_low_precision_types_have_the_names_that_arrays_have(tmp_path):
    for kind, name in ((TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"), (TensorProto.INT4, "int4")):
        made = models.model(
            [node("DequantizeLinear", ["x", "s"], ["y"], "dq")], [value("x", ["N", 16], kind)],
            [value("y", ["N", 16])], [numpy_helper.from_array(np.float32(0.1), "s")],
            opset=21, ir_version=10,
        )  # fmt: skip
        table = inspect(opened(made, tmp_path), 2, {})
        assert table.nodes[0].inputs[0].dtype == name
        assert outputs(table)["y"].dtype == "float32"
