"""Layers between DequantizeLinear and QuantizeLinear: which step does the roundings around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import models
import numpy as np
import pytest
from models import model, node, value
from onnx import ModelProto, NodeProto, numpy_helper
from provenance_corpus import scalar
from test_verify import Checked, opened

from onnxprof.backends.ort_earlier import Earlier
from onnxprof.backends.ort_rounded import rounded
from onnxprof.records import Layer, Step
from onnxprof.topology import Graph, GraphNode
from onnxprof.verify.likeness import fits_any
from onnxprof.verify.outcomes import BY_VALUE

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

CHANNELS = 32


class Net:
    """A network with a rounding behind each layer, its weights rounded when it is loaded."""

    def __init__(self, signed: bool, per_channel: bool = False) -> None:
        self._per_channel = per_channel
        self._rng = np.random.default_rng(0)
        self.nodes: list[NodeProto] = []
        self.stored = [scalar("zero", 0 if signed else 128, np.int8 if signed else np.uint8)]

    def round(self, tensor: str, scale: float = 0.03) -> str:
        """Q and DQ of a tensor, in levels of its own; several readers may take what it returns."""
        self.stored.append(scalar(f"{tensor}_scale", scale))
        scales = [f"{tensor}_scale", "zero"]
        self.nodes += [
            node("QuantizeLinear", [tensor, *scales], [f"{tensor}_q"], f"{tensor}_Q"),
            node("DequantizeLinear", [f"{tensor}_q", *scales], [f"{tensor}_d"], f"{tensor}_DQ"),
        ]
        return f"{tensor}_d"

    def conv(self, read: str, name: str, out: int = CHANNELS) -> str:
        """A 1x1 convolution."""
        array = self._rng.normal(0, 0.15, (out, CHANNELS, 1, 1)).astype(np.float32)
        scales = np.full(out, 0.004, np.float32) if self._per_channel else np.float32(0.004)
        zeros = np.zeros_like(scales, np.int8)
        self.stored += [
            numpy_helper.from_array(np.asarray(part), f"{name}_{what}")
            for what, part in (("w", array), ("ws", scales), ("wz", zeros))
        ]
        axis = {"axis": 0} if self._per_channel else {}
        parts = [f"{name}_ws", f"{name}_wz"]
        self.nodes += [
            node("QuantizeLinear", [f"{name}_w", *parts], [f"{name}_wq"], f"{name}_WQ", **axis),
            node("DequantizeLinear", [f"{name}_wq", *parts], [f"{name}_wd"], f"{name}_WDQ", **axis),
            node("Conv", [read, f"{name}_wd"], [name], name),
        ]
        return name

    def plain(self, op_type: str, read: Sequence[str], name: str, **attributes: object) -> str:
        """Any other layer."""
        self.nodes.append(node(op_type, list(read), [name], name, **attributes))
        return name

    def model(self, *outputs: str) -> ModelProto:
        """With an image as input."""
        image = value("x", [1, CHANNELS, 6, 6])
        return model(self.nodes, [image], [value(name, None) for name in outputs], self.stored)


def chain(net: Net) -> ModelProto:
    first = net.round(net.conv(net.round("x"), "c1"))
    return net.model(net.round(net.conv(net.round(net.conv(first, "c2")), "c3")))


def branches(net: Net) -> ModelProto:
    shared = net.round(net.conv(net.round("x"), "c1"))
    left = net.round(net.conv(shared, "c2"), 0.02)
    right = net.round(net.conv(shared, "c3"), 0.05)
    return net.model(net.round(net.plain("Add", [left, right], "sum"), 0.06))


def activations(net: Net) -> ModelProto:
    first = net.plain("Relu", [net.conv(net.round("x"), "c1")], "r1")
    return net.model(net.round(net.conv(net.round(first), "c2")))


def result_inside(net: Net) -> ModelProto:
    first = net.conv(net.round("x"), "c1")
    return net.model("c1", net.round(net.conv(net.round(first), "c2")))


def moved(net: Net) -> ModelProto:
    """A MaxPool works on integers; a Sigmoid, too, by a table."""
    first = net.round(net.conv(net.round("x"), "c1"))
    pooled = net.plain("MaxPool", [first], "pool", kernel_shape=[2, 2], strides=[2, 2])
    return net.model(net.round(net.plain("Sigmoid", [net.round(pooled)], "soft"), 0.004))


def one_number(net: Net) -> ModelProto:
    """A detector's score, which rounding moves by a level at a time."""
    mean = net.plain("GlobalAveragePool", [net.round("x")], "mean")
    score = net.conv(net.round(net.conv(net.round(mean), "c1")), "score", 1)
    return net.model(net.round(net.plain("Sigmoid", [net.round(score, 0.01)], "soft"), 0.004))


def two_numbers(net: Net) -> ModelProto:
    mean = net.plain("GlobalAveragePool", [net.round("x")], "mean")
    both = net.round(net.conv(net.round(mean), "pair", 2), 0.01)
    return net.model(net.round(net.plain("Softmax", [both], "soft", axis=1), 0.004))


NETWORKS = [chain, branches, activations, result_inside, moved, one_number, two_numbers]


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_every_rounding_is_in_the_step_that_did_it(
    build: object, signed: bool, per_channel: bool, tmp_path: Path
) -> None:
    made = build(Net(signed, per_channel))
    with opened(models.save(made, tmp_path)) as checked:
        steps = checked.steps()
        assert [s.verdict for s in steps if s.layers and s.verdict != "verified"] == []
        assert [s.name for s in steps if s.verdict.startswith("refuted")] == []
        assert [s.name for s in steps if s.evidence == BY_VALUE] == []
        known = {name for step in steps for name in step.layers} | set(checked.trace.folded)
        assert {layer.name for layer in checked.job.table.nodes} <= known
        for step in integers(steps):
            assert_own_roundings(checked, step)


def integers(steps: Sequence[Step]) -> Iterator[Step]:
    return (step for step in steps if step.op_type.startswith("QLinear"))


def assert_own_roundings(checked: Checked, step: Step) -> None:
    """A QLinear operator dequantises what it reads and quantises what it yields, no more."""
    layers = [layer for layer in checked.job.table.nodes if layer.name in step.layers]
    operators = [layer.op_type for layer in layers]
    assert operators[-1] == "QuantizeLinear"
    assert operators.count("QuantizeLinear") == 1
    yielded = {tensor.name for layer in layers for tensor in layer.outputs}
    readers = Counter(t.name for layer in checked.job.table.nodes for t in layer.inputs)
    for layer in checked.job.table.nodes:
        sole = {t.name for t in layer.outputs if readers[t.name] == 1}
        if layer.op_type == "DequantizeLinear" and sole & reads(layers):
            assert layer.name in {*step.layers, *checked.trace.folded}
    assert {"c1", "c2", "c3", "pair", "score", "soft", "sum", "mean"} & yielded


def reads(layers: Sequence[Layer]) -> set[str]:
    return {tensor.name for layer in layers for tensor in layer.inputs}


def earlier(*nodes: GraphNode, constants: Sequence[str] = ()) -> Earlier:
    return Earlier(Graph(nodes, frozenset(constants)), {})


CONV = GraphNode("conv", "Conv", ("xd", "w"), ("c",))
BY_ONE = GraphNode("Q1", "QuantizeLinear", ("c", "s1", "z"), ("q1",))
BY_TWO = GraphNode("Q2", "QuantizeLinear", ("c", "s2", "z"), ("q2",))
RENAMED = GraphNode("conv", "QLinearConv", ("q", "s", "z", "w", "ws", "wz", "s2", "z8"), ("t7",))
CARRIED = {"s2": "s2", "q": "xq", "w": "w"}


def test_an_operator_on_integers_yields_the_rounding_that_has_its_scale() -> None:
    form = earlier(CONV, BY_ONE, BY_TWO, constants=("w", "s1", "s2", "z"))
    assert rounded(RENAMED, ("c",), form, CARRIED) == ("q2",)
    assert rounded(RENAMED, ("c",), form, {}) == ("c",), "either could be it"
    alone = earlier(CONV, BY_ONE, constants=("w", "s1", "z"))
    assert rounded(RENAMED, ("c",), alone, {}) == ("q1",)


def test_what_yields_reals_does_no_rounding() -> None:
    form = earlier(CONV, BY_ONE, constants=("w", "s1", "z"))
    for op_type in ("Conv", "MatMulIntegerToFloat", "DequantizeLinear"):
        real = GraphNode("conv", op_type, ("x", "w", "s1"), ("t7",))
        assert rounded(real, ("c",), form, {"s1": "s1"}) == ("c",)
    gemm = GraphNode("conv", "QGemm", ("a", "as", "az", "b", "bs", "bz", "c0"), ("t7",))
    assert rounded(gemm, ("c",), form, {}) == ("c",)
    named = GraphNode("conv", "QLinearConv", ("q", "s1"), ("c",))
    assert rounded(named, ("c",), form, {"s1": "s1"}) == ("c",)


def test_the_rounding_is_not_looked_for_behind_other_layers() -> None:
    tanh = GraphNode("tanh", "Tanh", ("c",), ("c2",))
    later = GraphNode("Q", "QuantizeLinear", ("c2", "s2", "z"), ("q2",))
    relu = GraphNode("relu", "Relu", ("c",), ("c2",))
    assert rounded(RENAMED, ("c",), earlier(CONV, tanh, later), CARRIED) == ("c",)
    assert rounded(RENAMED, ("c",), earlier(CONV, relu, later), CARRIED) == ("q2",)


def test_constants_behind_constants_are_reached() -> None:
    """Weights that the executed graph holds as integers, and the file as what these round."""
    weights = GraphNode("WQ", "QuantizeLinear", ("w", "ws", "wz"), ("wq",))
    back = GraphNode("WDQ", "DequantizeLinear", ("wq", "ws", "wz"), ("wd",))
    conv = GraphNode("conv", "Conv", ("x", "wd"), ("c",))
    found = earlier(weights, back, conv, constants=("w", "ws", "wz")).between("c", {"x"})
    assert found is not None
    assert found.reached == {"x", "w", "ws", "wz", "wq", "wd"}
    assert [n.name for n in found.nodes] == ["conv"]


def test_a_scale_and_an_offset_say_nothing_of_a_few_numbers() -> None:
    few, many = np.array([3, 200], np.uint8), np.arange(9, dtype=np.uint8)
    assert fits_any(np.float32([1.5, 7]), few)
    assert not fits_any(few.astype(np.int8), few)
    assert not fits_any(many.astype(np.float32), many)


def test_an_8_bit_score_is_not_taken_for_another(tmp_path: Path) -> None:
    """Said to do the Sigmoid as well, the convolution's step gets its own layers back."""
    with opened(models.save(one_number(Net(signed=True)), tmp_path)) as checked:
        first = checked.step("score")
        checked.claim({first: ("c1_DQ", "score", "score_Q", "score_DQ", "soft", "soft_Q")})
        assert checked.steps()[first].layers == ("c1_DQ", "score", "score_Q")
