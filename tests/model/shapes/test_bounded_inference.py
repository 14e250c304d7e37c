"""Whatever a graph says, inference stays small, quick and alive."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper
from support.networks import models
from support.networks.models import BOOL, INT64, ints, node, value

from onnxprof.model.shapes.infer import infer


def test_contents_that_double_do_not_grow(tmp_path):
    """Each Concat of its own output twice: 4,000 of them would be 2**4000 integers."""
    nodes = [node("Concat", [f"e{i}"] * 2, [f"e{i + 1}"], axis=0) for i in range(4000)]
    made = models.model(
        [*nodes, node("Relu", ["x"], ["y"], "relu")], [value("x", ["N", 4])],
        [value("y", ["N", 4])], [ints("e0", 1)],
    )  # fmt: skip
    scope = infer(made)
    sizes = (held.value.size for held in scope.known.values() if held.value is not None)
    assert max(sizes) <= 1024
    assert scope.shape("e10") == (1024,)
    assert scope.shape("e70") in (None, (None,))
    assert scope.shape("y") == ("N", 4)


@pytest.mark.parametrize("operator", ["Mul", "Add"])
def test_symbols_that_grow_are_given_up(operator):
    nodes = [node("Shape", ["x"], ["e0"], "shape", end=1)]
    nodes += [node(operator, [f"e{i}"] * 2, [f"e{i + 1}"]) for i in range(200)]
    nodes.append(node("ConstantOfShape", ["e200"], ["y"]))
    scope = infer(models.model(nodes, [value("x", ["n", 4])], [value("y", None)]))
    assert scope.shape("y") in ((None,), (f"{2**200}*n",)[:0] or (None,))


def test_ranks_do_not_grow(tmp_path):
    nodes = [node("Unsqueeze", [f"t{i}", "axes"], [f"t{i + 1}"]) for i in range(20)]
    made = models.model(nodes, [value("t0", ["N", 4])], [value("t20", None)],
                        [ints("axes", *range(30))])  # fmt: skip
    scope = infer(made)
    assert len(scope.shape("t1")) == 32
    assert scope.shape("t20") is None


def nested(depth):
    """Loops in loops, each of which carries a tensor that grows."""
    graph = None
    for level in range(depth):
        nodes = [node("Concat", [f"s{level}"] * 2, [f"o{level}"], axis=0)]
        if graph is not None:
            nodes.append(node("Loop", ["", "", f"o{level}"], [f"l{level}"], body=graph))
        last = f"l{level}" if graph is not None else f"o{level}"
        graph = helper.make_graph(
            nodes, f"g{level}",
            [value(f"i{level}", [], INT64), value(f"c{level}", [], BOOL), value(f"s{level}", None)],
            [value(f"c{level}", [], BOOL), value(last, None)],
        )  # fmt: skip
    return models.model([node("Loop", ["", "", "x"], ["y"], body=graph)],
                        [value("x", ["N", 4])], [value("y", None)])  # fmt: skip


def test_nested_loops_are_not_walked_time_and_again(monkeypatch):
    from onnxprof.model.shapes import engine

    walked = []
    plain = engine.Engine._walk
    monkeypatch.setattr(engine.Engine, "_walk", lambda *given: (walked.append(1), plain(*given))[1])
    infer(nested(24))
    assert len(walked) < 5000


def test_inference_takes_any_attribute_and_operand():
    """What makes a rule stumble leaves a shape unknown, and nothing else."""
    hostile = [
        node("Concat", ["x"], ["y"], axis=1 << 40),
        node("Slice", ["x", "k", "k", "k", "k"], ["y"]),
        node("Split", ["x"], ["y", "z"], axis=-99),
        node("Reshape", ["x", "f"], ["y"]),
        node("Pad", ["x", "k"], ["y"]),
        node("TopK", ["x", "k"], ["y", "z"], axis=77),
        node("Range", ["f", "f", "f"], ["y"]),
        node("Attention", ["x"], ["y"], domain="com.microsoft", qkv_hidden_sizes=[1]),
        node("MatMulNBits", ["x"], ["y"], domain="com.microsoft", N="many"),
        node("GatherBlockQuantized", ["x", "k", "x"], ["y"], domain="com.microsoft", bits=99),
        node("Conv", ["x", "x"], ["y"], pads=[1], dilations=[0]),
        node("QLinearConcat", [], ["y"], domain="com.microsoft"),
        node("Loop", [], ["y"]),
        node("Scan", ["x"], ["y"], num_scan_inputs=9),
        node("If", [], ["y"]),
    ]
    for each in hostile:
        made = models.model(
            [each], [value("x", [2, 3])], [value("y", None)],
            [ints("k", 9, -9, 1 << 62), numpy_helper.from_array(np.float32(np.nan), "f")],
            domains=["com.microsoft"],
        )  # fmt: skip
        infer(made)


def test_nodes_that_are_not_of_their_operators_form_are_not_asked_about():
    """ONNX's rules are compiled code: one output too many of a Split ends the process."""
    wrong = [
        node("Split", ["x"], ["a", "b", "c"], axis=0, num_outputs=2),
        node("Split", ["x", "k"], ["a", "b", "c"]),
        node("Relu", ["x", "x"], ["a"]),
        node("Relu", ["x"], ["a", "b"]),
        node("Conv", ["x", "x"], ["a"], strides=1),
    ]
    for each in wrong:
        made = models.model([each], [value("x", [2, 3])], [value("a", None)], [ints("k", 1, 1)],
                            opset=18)  # fmt: skip
        assert infer(made).refusals
