"""Graphs that onnxruntime's default level rewrites heavily, one function a rewriting."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from support.networks.models import ints, model, node, value, weight

HEADS, WIDTH, LENGTH = 4, 32, 16


class Encoder:
    """A transformer block as older exporters write it: every formula in elementary operators."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def add(self, op_type: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(node(op_type, inputs, [name], f"/{name}", **attributes))
        return name

    def scalar(self, name: str, number: float) -> str:
        self.weights.append(numpy_helper.from_array(np.float32(number).reshape(()), name))
        return name

    def ints(self, name: str, *numbers: int) -> str:
        self.weights.append(ints(name, *numbers))
        return name

    def linear(self, x: str, name: str, rows: int, columns: int) -> str:
        self.weights += [weight(f"{name}.w", rows, columns), weight(f"{name}.b", columns)]
        return self.add(
            "Add", [f"{name}.b", self.add("MatMul", [x, f"{name}.w"], f"{name}/mm")], f"{name}/add"
        )

    def norm(self, x: str, name: str) -> str:
        self.weights += [weight(f"{name}.w", WIDTH), weight(f"{name}.b", WIDTH)]
        centred = self.add("Sub", [x, self.mean(x, f"{name}/mean")], f"{name}/sub")
        squared = self.add("Pow", [centred, self.scalar(f"{name}.two", 2)], f"{name}/pow")
        variance = self.mean(squared, f"{name}/variance")
        safe = self.add("Add", [variance, self.scalar(f"{name}.eps", 1e-5)], f"{name}/safe")
        divided = self.add(
            "Div", [centred, self.add("Sqrt", [safe], f"{name}/sqrt")], f"{name}/div"
        )
        scaled = self.add("Mul", [divided, f"{name}.w"], f"{name}/scaled")
        return self.add("Add", [scaled, f"{name}.b"], name)

    def mean(self, x: str, name: str) -> str:
        return self.add("ReduceMean", [x], name, axes=[-1])

    def gelu(self, x: str, name: str) -> str:
        root = self.add("Div", [x, self.scalar(f"{name}.root", 2**0.5)], f"{name}/div")
        erf = self.add("Erf", [root], f"{name}/erf")
        more = self.add("Add", [erf, self.scalar(f"{name}.one", 1)], f"{name}/more")
        product = self.add("Mul", [x, more], f"{name}/mul")
        return self.add("Mul", [product, self.scalar(f"{name}.half", 0.5)], name)

    def heads(self, x: str, name: str, order: list[int]) -> str:
        linear = self.linear(x, name, WIDTH, WIDTH)
        shape = self.ints(f"{name}.shape", 0, LENGTH, HEADS, WIDTH // HEADS)
        shaped = self.add("Reshape", [linear, shape], f"{name}/heads")
        return self.add("Transpose", [shaped], f"{name}/turned", perm=order)

    def attention(self, x: str, name: str) -> str:
        query = self.heads(x, f"{name}.q", [0, 2, 1, 3])
        key = self.heads(x, f"{name}.k", [0, 2, 3, 1])
        values = self.heads(x, f"{name}.v", [0, 2, 1, 3])
        scores = self.add("MatMul", [query, key], f"{name}/scores")
        root = self.scalar(f"{name}.root", (WIDTH // HEADS) ** 0.5)
        masked = self.add(
            "Add", [self.add("Div", [scores, root], f"{name}/scaled"), "mask"], f"{name}/masked"
        )
        shares = self.add("Softmax", [masked], f"{name}/shares", axis=-1)
        mixed = self.add("MatMul", [shares, values], f"{name}/mixed")
        back = self.add("Transpose", [mixed], f"{name}/back", perm=[0, 2, 1, 3])
        flat = self.ints(f"{name}.flat", 0, LENGTH, WIDTH)
        return self.linear(
            self.add("Reshape", [back, flat], f"{name}/flat"), f"{name}.o", WIDTH, WIDTH
        )

    def block(self, x: str, name: str) -> str:
        attended = self.attention(x, f"{name}.attention")
        x = self.norm(self.add("Add", [attended, x], f"{name}/skip1"), f"{name}.norm1")
        wide = self.gelu(self.linear(x, f"{name}.up", WIDTH, 2 * WIDTH), f"{name}.gelu")
        down = self.linear(wide, f"{name}.down", 2 * WIDTH, WIDTH)
        return self.norm(self.add("Add", [down, x], f"{name}/skip2"), f"{name}.norm2")


def transformer() -> ModelProto:
    """Embedding, two blocks: MatMul and Add, LayerNormalization, Gelu and scaling get fused."""
    made = Encoder()
    made.weights.append(weight("table", 100, WIDTH))
    x = made.add("Gather", ["table", "ids"], "embedded")
    for name in ("block0", "block1"):
        x = made.block(x, name)
    ids = value("ids", ["N", LENGTH], TensorProto.INT64)
    mask = value("mask", ["N", 1, 1, LENGTH])
    return model(made.nodes, [ids, mask], [value(x, ["N", LENGTH, WIDTH])], made.weights)


def functions() -> ModelProto:
    """Operators that the runtime has no kernel for and replaces by their definition."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("GroupNormalization", ["c", "s", "b"], ["g"], "norm", num_groups=2),
        node("HardSwish", ["g"], ["h"], "hardswish"),
        node("Mish", ["h"], ["y"], "mish"),
    ]
    weights = [weight("w", 8, 3, 3, 3), weight("s", 8), weight("b", 8)]
    image, out = value("x", ["N", 3, 16, 16]), value("y", ["N", 8, 14, 14])
    return model(nodes, [image], [out], weights, opset=21)


def neighbouring_gathers() -> ModelProto:
    """Two Gathers that become one Split and two Squeezes."""
    first, second = (
        numpy_helper.from_array(np.array(i, np.int64), name) for i, name in enumerate("ij")
    )
    nodes = [
        node("Gather", ["x", "i"], ["a"], "first", axis=0),
        node("Gather", ["x", "j"], ["b"], "second", axis=0),
        node("MatMul", ["a", "w"], ["m"], "product"),
        node("Mul", ["m", "b"], ["y"], "gate"),
    ]
    state, out = value("x", [2, "N", 64]), value("y", ["N", 64])
    return model(nodes, [state], [out], [first, second, weight("w", 64, 64)])


def dynamically_quantised() -> ModelProto:
    """The six operators of a dynamically quantised linear layer, which become one."""
    integers = np.random.default_rng(1).integers(-100, 100, (32, 16)).astype(np.int8)
    weights = [
        numpy_helper.from_array(integers, "w"),
        numpy_helper.from_array(np.int8(0).reshape(()), "wz"),
        numpy_helper.from_array(np.array([0.01], np.float32), "ws"),
        weight("bias", 16),
    ]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"], "quantise"),
        node("MatMulInteger", ["q", "w", "qz", "wz"], ["i"], "integers"),
        node("Cast", ["i"], ["f"], "cast", to=TensorProto.FLOAT),
        node("Mul", ["qs", "ws"], ["scale"], "scales"),
        node("Mul", ["f", "scale"], ["scaled"], "rescale"),
        node("Add", ["scaled", "bias"], ["y"], "bias"),
    ]
    return model(nodes, [value("x", ["N", 32])], [value("y", ["N", 16])], weights)


def needs_cut_branches() -> None:
    """Skip where onnxruntime refuses a saved branch with initializers; the trace serves there."""
    import onnxruntime

    found = tuple(map(int, onnxruntime.__version__.split(".")[:2]))
    if found < (1, 31):
        pytest.skip("onnxruntime before 1.31 does not load the branches that it has saved")


def merged_duplicates() -> ModelProto:
    """Two equal convolutions, of which the runtime computes one."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], "conv_a", pads=[1] * 4),
        node("Conv", ["x", "w"], ["b"], "conv_b", pads=[1] * 4),
        node("Sigmoid", ["a"], ["s"], "sig"),
        node("Tanh", ["b"], ["t"], "tanh"),
        node("Add", ["s", "t"], ["y"], "add"),
    ]
    image, out = (value(name, [1, 64, 8, 8]) for name in "xy")
    return model(nodes, [image], [out], [weight("w", 64, 64, 3, 3)])


def linear_twice() -> ModelProto:
    """Two linear layers in a row on three axes: a Gemm each, with Reshapes around both."""
    nodes = [
        node("MatMul", ["x", "W1"], ["m1"], "lin1/MatMul"),
        node("Add", ["m1", "b1"], ["a1"], "lin1/Add"),
        node("MatMul", ["a1", "W2"], ["m2"], "lin2/MatMul"),
        node("Add", ["m2", "b2"], ["a2"], "lin2/Add"),
        node("Relu", ["a2"], ["y"], "relu"),
    ]
    weights = [weight("W1", 32, 16), weight("b1", 16), weight("W2", 16, 32), weight("b2", 32)]
    return model(nodes, [value("x", ["N", 20, 32])], [value("y", None)], weights)
