"""Sixty small models on which every step is held to the layers that it claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from support.elements.twins import brain, half, twin
from support.networks import fusions, models
from support.networks.models import model, node, value, weight

Builder = Callable[[Path], ModelProto]
IMAGE = [1, 16, 12, 12]


def scalar(name: str, number: float, dtype: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(number, dtype), name)


def plain(made: ModelProto) -> Builder:
    return lambda _: made


def convolutions(channels: int = 16, count: int = 3, **attributes: Any) -> ModelProto:
    """A chain of convolutions and activations, then pooling."""
    nodes, x, weights = [], "x", []
    for i in range(count):
        weights += [weight(f"w{i}", channels, channels // attributes.get("group", 1), 3, 3, seed=i)]
        weights += [weight(f"b{i}", channels, seed=20 + i)]
        given = {"pads": [1] * 4} | attributes
        nodes += [node("Conv", [x, f"w{i}", f"b{i}"], [f"c{i}"], f"conv{i}", **given)]
        nodes += [node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}")]
        x = f"r{i}"
    nodes.append(node("GlobalAveragePool", [x], ["y"], "pool"))
    image, out = value("x", [1, channels, 12, 12]), value("y", None)
    return model(nodes, [image], [out], weights)


def residual() -> ModelProto:
    """Convolutions with a norm, a skip and an activation behind it."""
    ones = numpy_helper.from_array(np.linspace(0.5, 1.5, 16, dtype=np.float32), "v")
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        node("BatchNormalization", ["c1", "s", "b", "m", "v"], ["n1"], "norm1"),
        node("Relu", ["n1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        node("Add", ["c2", "x"], ["a"], "skip"),
        node("Relu", ["a"], ["y"], "relu2"),
    ]
    stored = [weight(f"w{i}", 16, 16, 3, 3, seed=i) for i in (1, 2)]
    statistics = [weight(name, 16, seed=i) for i, name in enumerate("sbm")]
    return model(nodes, [value("x", IMAGE)], [value("y", None)], [*stored, *statistics, ones])


def activation(op_type: str, **attributes: Any) -> ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4),
        node(op_type, ["c"], ["a"], "activate", **attributes),
        node("MaxPool", ["a"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return model(nodes, [value("x", IMAGE)], [value("y", None)], [weight("w", 16, 16, 3, 3)])


def clipped() -> ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4, group=16),
        node("Clip", ["c", "low", "high"], ["k"], "clip"),
        node("Conv", ["k", "v"], ["y"], "project"),
    ]
    stored = [weight("w", 16, 1, 3, 3), weight("v", 24, 16, 1, 1), scalar("low", 0)]
    outs = [value("y", None)]
    return model(nodes, [value("x", IMAGE)], outs, [*stored, scalar("high", 0.3)])


def branches() -> ModelProto:
    """Parallel convolutions that are joined, of channels that fill no block."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], "left"),
        node("Conv", ["x", "w2"], ["b"], "right", pads=[1] * 4),
        node("Concat", ["a", "b"], ["j"], "join", axis=1),
        node("Relu", ["j"], ["y"], "relu"),
    ]
    stored = [weight("w1", 7, 16, 1, 1), weight("w2", 9, 16, 3, 3)]
    return model(nodes, [value("x", IMAGE)], [value("y", None)], stored)


def duplicates(op_type: str = "Conv") -> ModelProto:
    """Two equal layers that are read by different ones: the runtime keeps one."""
    made = {"Conv": {"pads": [1] * 4}, "MatMul": {}}[op_type]
    shape, dims = ([1, 16, 12, 12], (16, 16, 3, 3)) if op_type == "Conv" else ([8, 32], (32, 32))
    nodes = [
        node(op_type, ["x", "w"], ["a"], "first", **made),
        node(op_type, ["x", "w"], ["b"], "second", **made),
        node("Sigmoid", ["a"], ["s"], "sigmoid"),
        node("Tanh", ["b"], ["t"], "tanh"),
        node("Add", ["s", "t"], ["y"], "add"),
    ]
    return model(nodes, [value("x", shape)], [value("y", None)], [weight("w", *dims)])


def linears(rank: int = 3, tied: bool = False) -> ModelProto:
    """MatMul and Add, twice, on two or three axes."""
    second = "w1" if tied else "w2"
    nodes = [
        node("MatMul", ["x", "w1"], ["m1"], "lin1/MatMul"),
        node("Add", ["m1", "b1"], ["a1"], "lin1/Add"),
        node("MatMul", ["a1", second], ["m2"], "lin2/MatMul"),
        node("Add", ["m2", "b2"], ["a2"], "lin2/Add"),
        node("Relu", ["a2"], ["y"], "relu"),
    ]
    stored = [weight("w1", 32, 32), weight("w2", 32, 32, seed=3), weight("b1", 32, seed=1)]
    shape = [2, 10, 32][3 - rank :]
    outs = [value("y", None)]
    return model(nodes, [value("x", shape)], outs, [*stored, weight("b2", 32, seed=2)])


def layer_norm(skip: bool, stash: bool = False) -> ModelProto:
    """LayerNormalization as one operator, behind a skip or not."""
    before = [node("Add", ["x", "r"], ["s"], "skip")] if skip else []
    nodes = [
        *before,
        node("LayerNormalization", ["s" if skip else "x", "g", "b"], ["n"], "norm", axis=-1),
        node("MatMul", ["n", "w"], ["y"], "linear"),
    ]
    if stash:
        nodes.append(node("Relu", ["s" if skip else "x"], ["z"], "also"))
    ins = [value("x", [2, 8, 32]), *([value("r", [2, 8, 32])] if skip else [])]
    outs = [value("y", None), *([value("z", None)] if stash else [])]
    return model(nodes, ins, outs, [weight("g", 32), weight("b", 32), weight("w", 32, 32)])


def gelu(form: str) -> ModelProto:
    """Gelu by erf, by tanh, or quick, with a bias before it."""
    stored = [weight("w", 32, 64), weight("bias", 64, seed=1)]
    nodes = [
        node("MatMul", ["x", "w"], ["m"], "up"),
        node("Add", ["m", "bias"], ["a"], "bias"),
    ]
    if form == "erf":
        stored += [scalar("root", 2**0.5), scalar("one", 1), scalar("half", 0.5)]
        nodes += [
            node("Div", ["a", "root"], ["d"], "gelu/div"),
            node("Erf", ["d"], ["e"], "gelu/erf"),
            node("Add", ["e", "one"], ["p"], "gelu/add"),
            node("Mul", ["a", "p"], ["q"], "gelu/mul"),
            node("Mul", ["q", "half"], ["y"], "gelu/half"),
        ]
    elif form == "tanh":
        stored += [scalar("three", 3), scalar("c", 0.044715), scalar("k", 0.7978845608)]
        stored += [scalar("one", 1), scalar("half", 0.5)]
        nodes += [
            node("Pow", ["a", "three"], ["p3"], "gelu/pow"),
            node("Mul", ["p3", "c"], ["pc"], "gelu/c"),
            node("Add", ["a", "pc"], ["s"], "gelu/sum"),
            node("Mul", ["s", "k"], ["sk"], "gelu/k"),
            node("Tanh", ["sk"], ["t"], "gelu/tanh"),
            node("Add", ["t", "one"], ["t1"], "gelu/one"),
            node("Mul", ["a", "t1"], ["at"], "gelu/mul"),
            node("Mul", ["at", "half"], ["y"], "gelu/half"),
        ]
    else:
        stored += [scalar("k", 1.702)]
        nodes += [
            node("Mul", ["a", "k"], ["ak"], "gelu/k"),
            node("Sigmoid", ["ak"], ["s"], "gelu/sigmoid"),
            node("Mul", ["a", "s"], ["y"], "gelu/mul"),
        ]
    return model(nodes, [value("x", [2, 8, 32])], [value("y", None)], stored)


def embedding() -> ModelProto:
    """Words, positions and segments added and normalised, as BERT begins."""
    nodes = [
        node("Gather", ["words", "ids"], ["we"], "word"),
        node("Gather", ["places", "position"], ["pe"], "place"),
        node("Gather", ["kinds", "segment_ids"], ["se"], "segment"),
        node("Add", ["we", "se"], ["ws"], "add1"),
        node("Add", ["ws", "pe"], ["all"], "add2"),
        node("LayerNormalization", ["all", "g", "b"], ["n"], "norm", axis=-1),
        node("MatMul", ["n", "w"], ["y"], "linear"),
    ]
    given = [value(name, [1, 8], TensorProto.INT64) for name in ("ids", "segment_ids")]
    stored = [weight("words", 50, 32), weight("places", 8, 32, seed=1), weight("kinds", 2, 32)]
    stored += [numpy_helper.from_array(np.arange(8)[None], "position")]
    stored += [weight("g", 32, seed=5), weight("b", 32, seed=6), weight("w", 32, 16)]
    return model(nodes, given, [value("y", None)], stored)


def recurrence(op_type: str, direction: str) -> ModelProto:
    gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type], 2 if direction == "bidirectional" else 1
    nodes = [
        node("Transpose", ["x"], ["t"], "to_time", perm=[1, 0, 2]),
        node(op_type, ["t", "w", "r", "b"], ["s"], "rnn", hidden_size=8, direction=direction),
        node("Transpose", ["s"], ["u"], "to_batch", perm=[2, 0, 1, 3]),
        node("Relu", ["u"], ["y"], "relu"),
    ]
    stored = [weight("w", ways, gates * 8, 6), weight("r", ways, gates * 8, 8)]
    outs = [value("y", None)]
    return model(nodes, [value("x", [2, 7, 6])], outs, [*stored, weight("b", ways, 2 * gates * 8)])


def known_branch() -> ModelProto:
    """An If whose condition is a constant, so that the runtime inlines a branch."""

    def branch(op_type: str) -> onnx.GraphProto:
        nodes = [node("MatMul", ["h", "w"], ["m"], "inner"), node(op_type, ["m"], ["o"], "outer")]
        return helper.make_graph(nodes, op_type, [], [value("o", None)])

    nodes = [
        node("Relu", ["x"], ["h"], "relu"),
        node("If", ["yes"], ["i"], "if", then_branch=branch("Tanh"), else_branch=branch("Erf")),
        node("Sigmoid", ["i"], ["y"], "sigmoid"),
    ]
    stored = [weight("w", 16, 16), scalar("yes", True, np.bool_)]
    return model(nodes, [value("x", [4, 16])], [value("y", None)], stored)


def dead_end() -> ModelProto:
    """A layer whose result nobody reads; some runtimes execute it all the same."""
    made = residual()
    made.graph.node.append(node("Sigmoid", ["r1"], ["unread"], "dead"))
    return made


def sparse() -> ModelProto:
    made = linears(2)
    dense = numpy_helper.to_array(made.graph.initializer[0]).copy()
    dense[dense < 0.1] = 0
    flat = np.flatnonzero(dense)
    values = numpy_helper.from_array(dense.ravel()[flat], "w1")
    places = numpy_helper.from_array(flat.astype(np.int64), "places")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, dense.shape))
    del made.graph.initializer[0]
    return made


def unnamed() -> ModelProto:
    made = residual()
    for each in made.graph.node:
        each.name = ""
    return made


def clashing() -> ModelProto:
    """Every node has the same name, and tensors are called like nodes."""
    made = branches()
    for each in made.graph.node:
        each.name = "a"
    return made


def gelu_tokens() -> ModelProto:
    """QDQ around a convolution, then Erf, Mul and a Transpose to tokens, as in speech encoders."""
    integers = np.random.default_rng(0).integers(-100, 100, (32, 32, 3, 3)).astype(np.int8)
    stored = [scalar("s", 0.05), scalar("z", 128, np.uint8), scalar("ws", 0.01)]
    stored += [scalar("wz", 0, np.int8), numpy_helper.from_array(integers, "W")]
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"], "x_Q"),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"], "x_DQ"),
        node("DequantizeLinear", ["W", "ws", "wz"], ["wd"], "W_DQ"),
        node("Conv", ["xd", "wd"], ["conv"], "node_conv", pads=[1] * 4),
        node("QuantizeLinear", ["conv", "s", "z"], ["cq"], "conv_Q"),
        node("DequantizeLinear", ["cq", "s", "z"], ["cd"], "conv_DQ"),
        node("Erf", ["cd"], ["e"], "erf"),
        node("Mul", ["cd", "e"], ["g"], "gelu"),
        node("Transpose", ["g"], ["y"], "to_tokens", perm=[0, 2, 3, 1]),
    ]
    return model(nodes, [value("x", [1, 32, 16, 16])], [value("y", None)], stored)


def _twins() -> Mapping[str, Builder]:
    nets = {"conv": convolutions, "residual": residual, "linear": partial(linears, 2)}
    nets |= {"branches": branches, "clipped": clipped}
    found: dict[str, Builder] = {}
    for name, build in nets.items():
        for form in ("QDQ", "QOperator"):
            for each in (False, True):
                key = f"{name} {form}{' per channel' if each else ''}"
                found[key] = lambda folder, b=build, f=form, e=each: twin(
                    b(), f, folder, per_channel=e
                )
    for name in ("linear", "residual"):
        found[f"{name} dynamic"] = lambda folder, b=nets[name]: twin(b(), "dynamic", folder)
    return found


CORPUS: Mapping[str, Builder] = {
    "lenet": plain(models.lenet(1)),
    "convolutions": plain(convolutions()),
    "grouped convolutions": plain(convolutions(group=4)),
    "strided convolutions": plain(convolutions(strides=[2, 2])),
    "odd channels": plain(convolutions(channels=11)),
    "residual": plain(residual()),
    "clipped": plain(clipped()),
    "branches": plain(branches()),
    "dead end": plain(dead_end()),
    **{
        f"activation {name}": plain(activation(name, **given))
        for name, given in (
            ("LeakyRelu", {"alpha": 0.2}),
            ("Sigmoid", {}),
            ("HardSigmoid", {"alpha": 0.3}),
            ("Tanh", {}),
            ("HardSwish", {}),
        )
    },
    "duplicate convolutions": plain(duplicates("Conv")),
    "duplicate products": plain(duplicates("MatMul")),
    "linears on two axes": plain(linears(2)),
    "linears on three axes": plain(linears(3)),
    "tied linears": plain(linears(2, tied=True)),
    "layer norm": plain(layer_norm(skip=False)),
    "skip layer norm": plain(layer_norm(skip=True)),
    "skip read elsewhere": plain(layer_norm(skip=True, stash=True)),
    **{f"gelu {form}": plain(gelu(form)) for form in ("erf", "tanh", "quick")},
    "embedding": plain(embedding()),
    "transformer": plain(fusions.transformer()),
    "attention": plain(models.attention()),
    "functions": plain(fusions.functions()),
    "local functions": plain(models.with_function()),
    "neighbouring gathers": plain(fusions.neighbouring_gathers()),
    **{
        f"{op} {way}": plain(recurrence(op, way))
        for op in ("LSTM", "GRU")
        for way in ("forward", "reverse", "bidirectional")
    },
    "RNN": plain(models.recurrent("RNN")),
    "if": plain(models.branching(1)),
    "known if": plain(known_branch()),
    "loop": plain(models.looped()),
    "sparse": plain(sparse()),
    "unnamed": plain(unnamed()),
    "clashing names": plain(clashing()),
    "shapes at run time": plain(models.tf_style()),
    "class token": plain(models.class_token()),
    **{
        f"float16 {name}": plain(half(build))
        for name, build in (
            ("convolutions", convolutions()),
            ("residual", residual()),
            ("linears", linears(3)),
            ("gelu", gelu("erf")),
        )
    },
    "bfloat16 convolutions": plain(brain(convolutions())),
    "bfloat16 linears": plain(brain(linears(3))),
    "quantised": plain(models.quantised()),
    "quantised to tokens": plain(gelu_tokens()),
    "dynamic linear": plain(fusions.dynamically_quantised()),
    **_twins(),
}
