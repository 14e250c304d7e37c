"""Networks that other profilers recorded: branches, shortcuts, gates."""

from __future__ import annotations

import onnx

from support.networks.models import model, node, value, weight


def normed(source: str, name: str, kernel: int = 3) -> list[onnx.NodeProto]:
    """A convolution and its batch norm, whose outputs are `NAME_c` and `NAME`."""
    parts = [f"{name}_c", *(f"{name}_{part}" for part in ("scale", "shift", "mean", "var"))]
    return [
        node("Conv", [source, f"{name}_w"], parts[:1], f"{name}/Conv", pads=[kernel // 2] * 4),
        node("BatchNormalization", parts, [name], f"{name}/BatchNorm"),
    ]


def weights(name: str, inputs: int, channels: int, kernel: int = 3) -> list[onnx.TensorProto]:
    rest = [weight(f"{name}_{part}", channels) for part in ("scale", "shift", "mean")]
    one = onnx.helper.make_tensor(f"{name}_var", 1, [channels], [1.0] * channels)
    filters = weight(f"{name}_w", channels, inputs, kernel, kernel, seed=len(name) + ord(name[0]))
    return [filters, *rest, one]


def inception() -> onnx.ModelProto:
    """Batch norm takes every convolution's name; branches, a shortcut, one without a Relu."""
    nodes = [
        *normed("x", "stem"),
        node("Relu", ["stem"], ["a"], "stem/Relu"),
        *normed("a", "left", 1),
        *normed("a", "right", 1),
        node("Relu", ["right"], ["r"], "right/Relu"),
        *normed("r", "deep"),
        node("Concat", ["left", "deep"], ["both"], "Concat", axis=1),
        *normed("both", "down", 1),
        node("Add", ["down", "a"], ["sum"], "Add"),
        node("Relu", ["sum"], ["y"], "out/Relu"),
    ]
    sizes = (("stem", 3, 3), ("left", 8, 1), ("right", 8, 1), ("deep", 8, 3), ("down", 16, 1))
    stored = [each for name, inputs, kernel in sizes for each in weights(name, inputs, 8, kernel)]
    return model(
        nodes,
        [value("x", ["batch", 3, 16, 16])],
        [value("y", ["batch", 8, 16, 16])],
        stored,
    )


def gated() -> onnx.ModelProto:
    """A SiLU, a shortcut with a convolution that comes before the branch's last, a classifier."""
    nodes = [
        *normed("x", "stem"),
        node("Sigmoid", ["stem"], ["gate"], "silu/Sigmoid"),
        node("Mul", ["stem", "gate"], ["a"], "silu/Mul"),
        node("Conv", ["a", "short_w"], ["short"], "short/Conv"),
        *normed("a", "first"),
        node("Relu", ["first"], ["f"], "first/Relu"),
        node("Conv", ["f", "second_w"], ["second"], "second/Conv"),
        node("Add", ["second", "short"], ["sum"], "Add"),
        node("GlobalAveragePool", ["sum"], ["pool"], "pool"),
        node("Flatten", ["pool"], ["flat"], "flat"),
        node("MatMul", ["flat", "w"], ["product"], "fc/MatMul"),
        node("Add", ["product", "bias"], ["y"], "fc/Add"),
    ]
    stored = [*weights("stem", 3, 8), *weights("first", 8, 8), weight("w", 8, 10)]
    stored += [weight(f"{name}_w", 8, 8, 1, 1, seed=7) for name in ("short", "second")]
    return model(
        nodes,
        [value("x", ["batch", 3, 16, 16])],
        [value("y", ["batch", 10])],
        [*stored, weight("bias", 10)],
    )
