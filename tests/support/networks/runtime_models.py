"""Small models in which runtimes fuse, split, merge or leave out layers."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import ArrayLike

from support.networks import models
from support.networks.models import model, node, value, weight

Nodes = list[onnx.NodeProto]
Given = list[onnx.TensorProto]
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def constant(name: str, values: ArrayLike, dtype: str = "float32") -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array(values, dtype), name)


def _cell(
    op_type: str, name: str, inputs: int, hidden: int, direction: str
) -> tuple[list[str], Given]:
    gates, ways = _GATES[op_type], 2 if direction == "bidirectional" else 1
    given = [
        weight(f"{name}_w", ways, gates * hidden, inputs, seed=1),
        weight(f"{name}_r", ways, gates * hidden, hidden, seed=2),
        weight(f"{name}_b", ways, 2 * gates * hidden, seed=3),
    ]
    return [tensor.name for tensor in given], given


def recurrent(op_type: str, direction: str, *, turned: bool = True) -> onnx.ModelProto:
    """Batch first, turned to sequence first; the outputs of both ways side by side; a product."""
    hidden = 16
    ways = 2 if direction == "bidirectional" else 1
    names, given = _cell(op_type, "cell", 8, hidden, direction)
    nodes = [node("Transpose", ["x"], ["xt"], "to_seq", perm=[1, 0, 2])] if turned else []
    given += [constant("shape", [0, 0, -1], "int64"), weight("fw", ways * hidden, 10)]
    nodes += [
        node(
            *(op_type, ["xt" if turned else "x", *names], ["h", "hn"], "cell"),
            hidden_size=hidden,
            direction=direction,
        ),
        node("Transpose", ["h"], ["ht"], "swap", perm=[0, 2, 1, 3]),
        node("Reshape", ["ht", "shape"], ["hr"], "join"),
        node("MatMul", ["hr", "fw"], ["y"], "fc"),
    ]
    shape = ["N", 12, 8] if turned else [12, "N", 8]
    return model(nodes, [value("x", shape)], [value("y", None)], given)


def stacked(op_type: str = "LSTM") -> onnx.ModelProto:
    """Two bidirectional layers, one on the other."""
    hidden = 16
    nodes: Nodes = [node("Transpose", ["x"], ["xt"], "to_seq", perm=[1, 0, 2])]
    given: Given = [constant("shape", [0, 0, -1], "int64")]
    source, width = "xt", 8
    for i in "12":
        names, more = _cell(op_type, f"cell{i}", width, hidden, "bidirectional")
        given += more
        cell = node(
            *(op_type, [source, *names], [f"h{i}"], f"cell{i}"),
            hidden_size=hidden,
            direction="bidirectional",
        )
        nodes += [
            cell,
            node("Transpose", [f"h{i}"], [f"t{i}"], f"swap{i}", perm=[0, 2, 1, 3]),
            node("Reshape", [f"t{i}", "shape"], [f"r{i}"], f"join{i}"),
        ]
        source, width = f"r{i}", 2 * hidden
    nodes.append(node("Transpose", [source], ["y"], "back", perm=[1, 0, 2]))
    return model(nodes, [value("x", ["N", 6, 8])], [value("y", None)], given)


def _image(nodes: Nodes, given: Given, opset: int = 17, size: int = 12) -> onnx.ModelProto:
    shape = ["N", 3, size, size]
    return model(nodes, [value("x", shape)], [value("y", None)], given, opset=opset)


def old_softmax() -> onnx.ModelProto:
    """Over all axes from the second on, as in the first opsets."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4),
        node("Softmax", ["c"], ["s"], "softmax", axis=1),
        node("Relu", ["s"], ["y"], "relu"),
    ]
    return _image(nodes, [weight("w", 8, 3, 3, 3)], opset=9)


def quantised() -> onnx.ModelProto:
    """QDQ: two convolutions, a shortcut, a pool and a product."""
    rng = np.random.default_rng(0)

    def integers(name: str, *dims: int) -> onnx.TensorProto:
        return constant(name, rng.integers(-100, 100, dims), "int8")

    given = [
        *(integers("wq1", 16, 3, 3, 3), integers("wq2", 16, 16, 3, 3), integers("wq3", 16, 10)),
        *(constant("xs", 0.02), constant("xz", 128, "uint8"), constant("ws", 0.01)),
        *(constant("wz", 0, "int8"), constant("ys", 0.05), constant("yz", 128, "uint8")),
    ]

    def pair(source: str, number: int, scale: str = "y") -> Nodes:
        names = [f"{scale}s", f"{scale}z"]
        return [
            node("QuantizeLinear", [source, *names], [f"q{number}"], f"quant{number}"),
            node("DequantizeLinear", [f"q{number}", *names], [f"d{number}"], f"dequant{number}"),
        ]

    widened = [
        node("DequantizeLinear", [f"wq{i}", "ws", "wz"], [f"w{i}"], f"weights{i}") for i in "123"
    ]
    nodes = [
        *widened,
        *pair("x", 0, "x"),
        node("Conv", ["d0", "w1"], ["c1"], "conv1", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "relu1"),
        *pair("r1", 1),
        node("Conv", ["d1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        *pair("c2", 2),
        node("Add", ["d2", "d1"], ["a"], "add"),
        *pair("a", 3),
        node("GlobalAveragePool", ["d3"], ["p"], "pool"),
        node("Flatten", ["p"], ["f"], "flat"),
        *pair("f", 4),
        node("MatMul", ["d4", "w3"], ["y"], "fc"),
    ]
    return _image(nodes, given, size=16)


def halved() -> onnx.ModelProto:
    """float16 inside, with casts at both ends."""

    def half(name: str, *dims: int) -> onnx.TensorProto:
        full = onnx.numpy_helper.to_array(weight(name, *dims))
        return constant(name, full, "float16")

    nodes = [
        node("Cast", ["x"], ["x16"], "in", to=onnx.TensorProto.FLOAT16),
        node("Conv", ["x16", "w1"], ["c1"], "conv1", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        node("GlobalAveragePool", ["c2"], ["p"], "pool"),
        node("Flatten", ["p"], ["f"], "flat"),
        node("MatMul", ["f", "fw"], ["m"], "fc"),
        node("Cast", ["m"], ["y"], "out", to=onnx.TensorProto.FLOAT),
    ]
    given = [half("w1", 16, 3, 3, 3), half("w2", 16, 16, 3, 3), half("fw", 16, 10)]
    return _image(nodes, given)


def twins() -> onnx.ModelProto:
    """Two convolutions that are the same, under two names of one weight."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], "first", pads=[1] * 4),
        node("Conv", ["x", "v"], ["b"], "second", pads=[1] * 4),
        node("Sigmoid", ["a"], ["sa"], "sigmoid"),
        node("Tanh", ["b"], ["tb"], "tanh"),
        node("Mul", ["sa", "tb"], ["m"], "mul"),
        node("Conv", ["m", "u"], ["y"], "third", pads=[1] * 4),
    ]
    given = [weight("w", 8, 3, 3, 3), weight("v", 8, 3, 3, 3), weight("u", 8, 8, 3, 3)]
    return _image(nodes, given)


def channels_last() -> onnx.ModelProto:
    """As converters from TensorFlow write it: a Transpose at both ends of every convolution."""
    nodes = [
        node("Transpose", ["x"], ["xt"], "to_nchw", perm=[0, 3, 1, 2]),
        node("Conv", ["xt", "w"], ["c"], "conv", pads=[1] * 4),
        node("Transpose", ["c"], ["ct"], "to_nhwc", perm=[0, 2, 3, 1]),
        node("Relu", ["ct"], ["r"], "relu"),
        node("Transpose", ["r"], ["rt"], "to_nchw2", perm=[0, 3, 1, 2]),
        node("Conv", ["rt", "w2"], ["c2"], "conv2", pads=[1] * 4),
        node("Transpose", ["c2"], ["y"], "to_nhwc2", perm=[0, 2, 3, 1]),
    ]
    given = [weight("w", 8, 3, 3, 3), weight("w2", 8, 8, 3, 3)]
    return model(nodes, [value("x", ["N", 12, 12, 3])], [value("y", None)], given)


def shuffled() -> onnx.ModelProto:
    """A channel shuffle between two convolutions: Reshape, Transpose, Reshape."""
    nodes = [
        node("Conv", ["x", "w0"], ["c0"], "conv0", pads=[1] * 4),
        node("Conv", ["c0", "w1"], ["c1"], "grouped", group=2),
        node("Relu", ["c1"], ["r"], "relu"),
        node("Reshape", ["r", "five"], ["r1"], "apart"),
        node("Transpose", ["r1"], ["t"], "turn", perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["t", "four"], ["r2"], "unite"),
        node("Conv", ["r2", "w2"], ["y"], "conv1"),
    ]
    given = [
        *(weight("w0", 8, 3, 3, 3), weight("w1", 8, 4, 1, 1), weight("w2", 8, 8, 1, 1)),
        constant("five", [0, 2, 4, 12, 12], "int64"),
        constant("four", [0, 8, 12, 12], "int64"),
    ]
    return _image(nodes, given)


def gelu() -> onnx.ModelProto:
    """Two linear layers around a Gelu in elementary operators."""
    nodes = [
        node("MatMul", ["x", "w1"], ["m1"], "mm1"),
        node("Add", ["m1", "b1"], ["a1"], "add1"),
        node("Div", ["a1", "root"], ["d"], "div"),
        node("Erf", ["d"], ["e"], "erf"),
        node("Add", ["e", "one"], ["p"], "plus"),
        node("Mul", ["a1", "p"], ["q"], "mul"),
        node("Mul", ["q", "half"], ["g"], "gelu"),
        node("MatMul", ["g", "w2"], ["m2"], "mm2"),
        node("Add", ["m2", "b2"], ["y"], "add2"),
    ]
    given = [
        *(weight("w1", 32, 64), weight("b1", 64), weight("w2", 64, 32), weight("b2", 32)),
        *(constant("root", np.sqrt(2)), constant("one", 1), constant("half", 0.5)),
    ]
    return model(nodes, [value("x", ["N", 7, 32])], [value("y", None)], given)


def joined() -> onnx.ModelProto:
    """Two convolutions side by side, whose results are put together in turned order."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], "left", pads=[1] * 4),
        node("Conv", ["x", "v"], ["b"], "right", pads=[1] * 4),
        node("Concat", ["b", "a"], ["both"], "cat", axis=1),
        node("Conv", ["both", "u"], ["y"], "last", pads=[1] * 4),
    ]
    given = [
        *(weight("w", 8, 3, 3, 3, seed=1), weight("v", 8, 3, 3, 3, seed=2)),
        weight("u", 8, 16, 3, 3),
    ]
    return _image(nodes, given)


def scanned() -> onnx.ModelProto:
    """A Scan that adds up the rows of its input."""
    body = onnx.helper.make_graph(
        [
            node("Add", ["s", "e"], ["sum"], "inner_add"),
            node("Tanh", ["sum"], ["s2"], "inner_tanh"),
            node("Identity", ["s2"], ["row"], "inner_pass"),
        ],
        "body",
        [value("s", [16]), value("e", [16])],
        [value("s2", [16]), value("row", [16])],
    )
    nodes = [
        node("Relu", ["x"], ["r"], "before"),
        node("Scan", ["state", "r"], ["end", "rows"], "scan", body=body, num_scan_inputs=1),
        node("MatMul", ["rows", "w"], ["y"], "after"),
    ]
    given = [weight("state", 16), weight("w", 16, 8)]
    return model(nodes, [value("x", [6, 16])], [value("y", None)], given)


def sparse() -> onnx.ModelProto:
    """A pruned weight as a sparse initializer."""
    values = onnx.helper.make_tensor("w", models.FLOAT, [3], [1.0, 2.0, 3.0])
    places = onnx.helper.make_tensor("w_places", onnx.TensorProto.INT64, [3], [0, 5, 18])
    nodes = [node("MatMul", ["x", "w"], ["h"], "mm"), node("Relu", ["h"], ["y"], "relu")]
    made = model(nodes, [value("x", ["N", 4])], [value("y", ["N", 8])])
    made.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [4, 8]))
    return made


def dead() -> onnx.ModelProto:
    """Two layers that nothing reads."""
    nodes = [
        node("Relu", ["x"], ["y"], "live"),
        node("Exp", ["x"], ["d1"], "dead1"),
        node("Tanh", ["d1"], ["d2"], "dead2"),
    ]
    return model(nodes, [value("x", ["N", 8])], [value("y", ["N", 8])])
