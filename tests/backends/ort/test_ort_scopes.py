"""Graphs whose inner graphs reuse a name of the graph around them, as onnxruntime saves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import models
from support.runs.verified import opened

from onnxprof.backends.ort.graphs.scopes import load_saved

ort = pytest.importorskip("onnxruntime")


def value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def branch(name: str, factor: float) -> onnx.GraphProto:
    """`r` of the graph around it, then an `r` of its own, which is the result."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["r"], name=f"{name}/mul"),
        helper.make_node("Neg", ["r"], [f"{name}_out"], name="relu"),
    ]
    weight = numpy_helper.from_array(np.float32(factor), "w")
    return helper.make_graph(nodes, name, [], [value(f"{name}_out", [2])], [weight])


def saved(folder: Path) -> Path:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("ReduceMax", ["r"], ["m"], name="max", keepdims=0),
        helper.make_node("Cast", ["m"], ["p"], name="cast", to=TensorProto.BOOL),
        helper.make_node(
            "If",
            ["p"],
            ["b"],
            name="choose",
            then_branch=branch("then", 3),
            else_branch=branch("else", 5),
        ),
        helper.make_node("Add", ["b", "r"], ["y"], name="add"),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [2])], [value("y", [2])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "saved.onnx")
    return folder / "saved.onnx"


def test_a_name_that_stands_in_two_scopes_is_told_apart(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(Exception, match="single static assignment"):
        ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = load_saved(path)
    made = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for given in ([1, 2], [-1, -2]):
        x = np.array(given, np.float32)
        factor = 3 if x.max() > 0 else 5
        np.testing.assert_allclose(made.run(None, {"x": x})[0], np.maximum(x, 0) - factor * x)


def test_names_of_the_top_level_stay(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before, after = onnx.load(path).graph, load_saved(path).graph
    assert [list(n.output) for n in before.node] == [list(n.output) for n in after.node]
    inner = after.node[3].attribute[0].g
    assert inner.node[0].output[0] == inner.node[1].input[0] != "r"
    assert inner.initializer[0].name == "w"  # nothing around it is called so
    assert after.node[0].name == "relu"
    assert len({node.name for g in (inner, after.node[3].attribute[1].g) for node in g.node}) == 4


def convolutions(folder: Path) -> Path:
    """A convolution before an If and one in each branch: the runtime reorders in all three."""
    shape: list[int | str] = ["N", 8, 12, 12]
    branches = [
        helper.make_graph(
            [models.node("Conv", ["a", f"{name}_w"], [name], f"{name}/conv", pads=[1] * 4)],
            name,
            [],
            [models.value(name, shape)],
            [models.weight(f"{name}_w", 8, 8, 3, 3, seed=seed)],
        )
        for seed, name in enumerate(("then", "else"))
    ]
    nodes = [
        models.node("Conv", ["x", "w"], ["a"], "conv", pads=[1] * 4),
        models.node("ReduceMax", ["a"], ["most"], "max", keepdims=0),
        models.node("Cast", ["most"], ["p"], "cast", to=TensorProto.BOOL),
        models.node("If", ["p"], ["y"], "choose", then_branch=branches[0], else_branch=branches[1]),
    ]
    inputs = [models.value("x", ["N", 3, 12, 12])]
    made = models.model(nodes, inputs, [models.value("y", shape)], [models.weight("w", 8, 3, 3, 3)])
    return models.save(made, folder)


def test_convolutions_in_a_branch_are_verified(tmp_path: Path) -> None:
    with opened(convolutions(tmp_path)) as checked:
        claims = [step for step in checked.steps() if step.layers]
    assert "then/conv" in {name for step in claims for name in step.layers}
    assert {step.verdict for step in claims} == {"verified"}
