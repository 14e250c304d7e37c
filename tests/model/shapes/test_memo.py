"""Nodes that repeat are worked out once, and get what they would get each by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import models
from support.networks.models import node, value

from onnxprof.model.shapes import engine
from onnxprof.model.shapes.infer import infer
from onnxprof.model.shapes.memo import Memo
from onnxprof.model.shapes.rules.scope import Scope

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
BUILDERS = [
    models.lenet, models.branching, models.looped, models.recurrent, models.quantised,
    models.tf_style, models.sequences, models.attention, models.class_token,
]  # fmt: skip


class Forgetful(Memo):
    def get(self, key):
        return None


def facts(scope: Scope) -> dict:
    shapes = {name: (scope.shape(name), scope.tensor(name)) for name in scope.known}
    values = {name: held.value for name, held in scope.known.items()}
    contents = {name: value.tolist() for name, value in values.items() if value is not None}
    inner = {place: facts(each) for place, each in scope.inner.items()}
    return {"shapes": shapes, "contents": contents, "inner": inner}


def made(name: str) -> onnx.ModelProto:
    if name.startswith("light_"):
        return onnx.load(LIGHT / f"{name}.onnx")
    return next(b for b in BUILDERS if b.__name__ == name)()


@pytest.mark.parametrize(
    "name", [*(b.__name__ for b in BUILDERS), "light_shufflenet", "light_inception_v1"]
)
def test_what_repeats_is_what_each_would_be(name: str, monkeypatch) -> None:
    remembered = infer(made(name))
    monkeypatch.setattr(engine, "Memo", Forgetful)
    alone = infer(made(name))
    assert facts(remembered) == facts(alone)
    assert remembered.refusals == alone.refusals


def test_a_chain_asks_once(monkeypatch) -> None:
    asked = []
    ask = engine._asked
    monkeypatch.setattr(engine, "_asked", lambda call: asked.append(call.node.name) or ask(call))
    chain = [node("Relu", [f"t{i}"], [f"t{i + 1}"], f"n{i}") for i in range(50)]
    model = models.model(chain, [value("t0", ["N", 8])], [value("t50", ["N", 8])])
    scope = infer(model)
    assert scope.shape("t50") == ("N", 8)
    assert asked == ["n0"]


def test_equal_operands_are_not_the_same_operand() -> None:
    """Two inputs of one type are two tensors; a node may read one of them twice."""
    nodes = [node("Add", ["x", "x"], ["a"], "same"), node("Add", ["x", "y"], ["b"], "two")]
    io = [value("x", ["N", 1]), value("y", ["N", 1])]
    scope = infer(models.model(nodes, io, [value("a", None), value("b", None)]))
    assert scope.shape("a") == scope.shape("b") == ("N", 1)


def test_contents_tell_nodes_apart() -> None:
    targets = [
        onnx.numpy_helper.from_array(np.array(t), n) for t, n in (([2, 4], "p"), ([4, 2], "q"))
    ]
    nodes = [node("Reshape", ["x", t], [f"y{t}"], f"to_{t}") for t in "pq"]
    outputs = [value("yp", None), value("yq", None)]
    scope = infer(models.model(nodes, [value("x", [8])], outputs, targets))
    assert (scope.shape("yp"), scope.shape("yq")) == ((2, 4), (4, 2))


def test_a_node_that_refuses_is_named_each_time() -> None:
    nodes = [node("MatMul", ["x", "x"], [f"y{i}"], f"bad{i}") for i in range(3)]
    model = models.model(nodes, [value("x", [2, 3])], [value(f"y{i}", None) for i in range(3)])
    assert [name for name, _ in infer(model).refusals] == ["bad0", "bad1", "bad2"]
