"""Calls of a model's own functions become the nodes of their bodies."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.errors import ModelError
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.graph import functions as localfunctions
from onnxprof.model.layers import inspect
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload

OPSET = helper.make_opsetid("", 17)


def function(name, inputs, outputs, nodes, attributes=(), opset=17, **given):
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("my", 1)]
    return helper.make_function(
        "my", name, inputs, outputs, nodes, imports, list(attributes), **given
    )


def made(nodes, functions, initializers=(), outputs=("y",), dims=("N", 4)):
    return models.model(
        nodes, [value("x", list(dims))], [value(o, None) for o in outputs], initializers,
        domains=["my"], functions=functions,
    )  # fmt: skip


def call(name, inputs, outputs, label="", **given):
    return node(name, inputs, outputs, label, domain="my", **given)


def opened(model, folder):
    return open_model(str(models.save(model, folder)))


def same_results(model, folder):
    """The expanded model yields what the file itself yields."""
    path = models.save(model, folder)
    file = open_model(str(path))
    prepared = prepare(file, 1, {})
    source = prepared.source if isinstance(prepared.source, bytes) else str(prepared.source)
    x = {"x": np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)}
    expected, found = (
        ort.InferenceSession(s, providers=["CPUExecutionProvider"]).run(None, x)
        for s in (str(path), source)
    )
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    return file


def two_blocks():
    block = function(
        "Block", ["a", "w"], ["b"],
        [node("MatMul", ["a", "w"], ["s"], "n0"), node("Softmax", ["s"], ["b"], "n1")],
    )  # fmt: skip
    return made(
        [call("Block", ["x", "W1"], ["h"], "blk1"), call("Block", ["h", "W2"], ["y"], "blk2")],
        [block],
        [weight("W1", 4, 4), weight("W2", 4, 4, seed=1)],
    )


def test_layers_are_the_nodes_with_the_call_as_scope(tmp_path):
    table = inspect(same_results(two_blocks(), tmp_path), 3, {})
    assert [n.name for n in table.nodes] == ["blk1/n0", "blk1/n1", "blk2/n0", "blk2/n1"]
    assert [n.outputs[0].name for n in table.nodes] == ["blk1/s", "h", "blk2/s", "y"]
    assert all(n.outputs[0].shape == (3, 4) for n in table.nodes)


def test_the_digest_is_that_of_the_users_file(tmp_path):
    import hashlib

    file = opened(two_blocks(), tmp_path)
    assert file.facts().sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert file.facts().parameters == 32


def test_functions_in_functions_attributes_and_outputs_left_out(tmp_path):
    leaky = node("LeakyRelu", ["a"], ["b"], "leaky")
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    inner = function("Inner", ["a"], ["b"], [leaky], ["slope"])
    outer = function(
        "Outer", ["a"], ["p", "q"],
        [call("Inner", ["a"], ["p"], "first", slope=0.5),
         call("Inner", ["a"], ["q"], "", slope=0.25)],
    )  # fmt: skip
    model = made([call("Outer", ["x"], ["y", ""], "top"), call("Outer", ["y"], ["", "z"])],
                 [inner, outer], outputs=("y", "z"))  # fmt: skip
    table = inspect(same_results(model, tmp_path), 1, {})
    names = [n.name for n in table.nodes]
    assert len(set(names)) == len(names) == 4
    assert names[:2] == ["top/first/leaky", "top/q/leaky"]
    assert [dict(n.attributes)["alpha"] for n in table.nodes] == ["0.5", "0.25"] * 2
    assert inspect(opened(model, tmp_path), 1, {}) == table


def test_an_operand_that_is_handed_back_and_one_left_out(tmp_path):
    both = function("Both", ["a", "optional"], ["a", "b"],
                    [node("Clip", ["a", "optional"], ["b"], "clip")])  # fmt: skip
    file = opened(made([call("Both", ["x"], ["same", "y"], "c")], [both], outputs=("same", "y")),
                  tmp_path)  # fmt: skip
    clip, same = inspect(file, 2, {}).nodes
    assert (clip.name, [t.name for t in clip.inputs]) == ("c/clip", ["x"])
    assert (same.op_type, same.inputs[0].name, same.outputs[0].name) == ("Identity", "x", "same")
    prepared = prepare(file, 2, {}).source
    assert ort.InferenceSession(prepared).run(None, {"x": np.ones((2, 4), np.float32)})[0].all()


def test_calls_in_branches_and_branches_in_functions(tmp_path):
    branch = [
        helper.make_graph([node("Relu", ["a"], ["r"], "in")], "t", [], [value("r", None)]),
        helper.make_graph([call("Twice", ["a"], ["r"], "in")], "e", [], [value("r", None)]),
    ]
    twice = function("Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"], "sum")])
    chosen = function(
        "Chosen", ["a"], ["b"],
        [node("ReduceSum", ["a"], ["s"], "s", keepdims=0),
         node("Constant", [], ["z"], "z", value_float=0.0),
         node("Greater", ["s", "z"], ["c"], "c"),
         node("If", ["c"], ["b"], "if", then_branch=branch[0], else_branch=branch[1])],
    )  # fmt: skip
    file = same_results(made([call("Chosen", ["x"], ["y"], "top")], [twice, chosen]), tmp_path)
    names = [n.name for n in inspect(file, 1, {}).nodes]
    assert "top/in" in names
    assert any(name.endswith("/sum") for name in names)


def bomb(depth):
    functions = [
        function(f"F{i}", ["a"], ["b"],
                 [call(f"F{i + 1}", ["a"], ["t"]), call(f"F{i + 1}", ["t"], ["b"])]
                 if i < depth else [node("Relu", ["a"], ["b"])])
        for i in range(depth + 1)
    ]  # fmt: skip
    return made([call("F0", ["x"], ["y"], "f0")], functions)


@pytest.mark.parametrize(("depth", "count"), [(18, "262,144 nodes"), (60, "10^18 nodes"),
                                              (2000, "10^602 nodes")])  # fmt: skip
def test_an_expansion_is_counted_before_it_is_done(tmp_path, depth, count):
    with pytest.raises(ModelError, match="local functions come to") as caught:
        opened(bomb(depth), tmp_path)
    assert count in str(caught.value)


def test_an_expansion_within_the_limit_is_done(tmp_path):
    assert len(inspect(opened(bomb(6), tmp_path), 1, {}).nodes) == 64


def chain(length):
    functions = [
        function(f"F{i}", ["a"], ["b"],
                 [call(f"F{i + 1}", ["a"], ["b"]) if i < length else node("Relu", ["a"], ["b"])])
        for i in range(length + 1)
    ]  # fmt: skip
    return made([call("F0", ["x"], ["y"], "f0")], functions)


def test_a_chain_is_bounded(tmp_path):
    assert len(inspect(opened(chain(40), tmp_path), 1, {}).nodes) == 1
    with pytest.raises(ModelError, match="more than 64 deep"):
        opened(chain(500), tmp_path)


def test_functions_that_call_themselves_are_refused(tmp_path):
    endless = [
        function("F", ["a"], ["b"], [call("G", ["a"], ["b"])]),
        function("G", ["a"], ["b"], [call("F", ["a"], ["b"])]),
    ]
    with pytest.raises(ModelError, match="call themselves"):
        opened(made([call("F", ["x"], ["y"])], endless), tmp_path)


def test_too_many_operands_are_refused(tmp_path):
    one = function("F", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
    with pytest.raises(ModelError, match="more operands than it has"):
        opened(made([call("F", ["x", "x"], ["y"])], [one]), tmp_path)


def test_a_function_of_another_opset_is_expanded_where_its_operators_did_not_change(tmp_path):
    old = function("Old", ["a"], ["b"], [node("Relu", ["a"], ["b"], "r")], opset=15)
    table = inspect(opened(made([call("Old", ["x"], ["y"], "c")], [old]), tmp_path), 1, {})
    assert [n.name for n in table.nodes] == ["c/r"]
    other = function("Old", ["a"], ["b"], [node("Softmax", ["a"], ["b"], "s")], opset=11)
    table = inspect(opened(made([call("Old", ["x"], ["y"], "c")], [other]), tmp_path), 1, {})
    assert [n.op_type for n in table.nodes] == ["Old"]


def test_operators_that_onnx_defines_by_others_are_not_expanded(tmp_path):
    made_ = models.model([node("Mish", ["x"], ["y"], "m")], [value("x", ["N", 4])],
                         [value("y", None)], opset=18)  # fmt: skip
    file = opened(made_, tmp_path)
    assert not file.naming.changed
    (layer,) = inspect(file, 2, {}).nodes
    assert (layer.op_type, layer.outputs[0].shape) == ("Mish", (2, 4))


def test_nothing_changes_without_functions():
    model = models.linear()
    before = model.SerializeToString()
    assert not localfunctions.inline(model, models.Path("x"))
    assert model.SerializeToString() == before


@pytest.mark.parametrize("backend", ["ort", "openvino", "torch"])
def test_inner_operators_are_timed(tmp_path, backend):
    pytest.importorskip({"ort": "onnxruntime"}.get(backend, backend))
    file = opened(two_blocks(), tmp_path)
    table = inspect(file, 1, {})
    job = Workload(prepare(file, 1, {}), table, generate(table), 1)
    with registry.backend(backend).open_traced(job) as session:
        for _ in range(3):
            session.infer()
        trace = session.trace()
    layers = {name for step in trace.steps for name in step.layers}
    assert layers == {"blk1/n0", "blk1/n1", "blk2/n0", "blk2/n1"}
