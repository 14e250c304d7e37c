"""Small models whose TensorRT engines are recorded under tests/data/tensorrt."""

from __future__ import annotations

import onnx
from onnx import ModelProto

from support.networks.models import ints, model, node, value, weight


def residual() -> ModelProto:
    """Convolutions with batch norm, a shortcut, pooling, a classifier; two nodes have no name."""
    norm = [weight(f"bn_{k}", 8, seed=i) for i, k in enumerate(("scale", "bias", "mean"))]
    variance = weight("bn_var", 8)
    variance.CopyFrom(onnx.numpy_helper.from_array(abs(onnx.numpy_helper.to_array(variance)) + 1))
    variance.name = "bn_var"
    return model(
        [
            node("Conv", ["x", "w1"], ["c1"], "/stem/Conv", pads=[1, 1, 1, 1]),
            node(
                "BatchNormalization",
                ["c1", "bn_scale", "bn_bias", "bn_mean", "bn_var"],
                ["b1"],
                "/stem/BatchNorm",
            ),
            node("Relu", ["b1"], ["r1"], "/stem/Relu"),
            node("Conv", ["r1", "w2"], ["c2"], "/block[0]/Conv", pads=[1, 1, 1, 1]),
            node("Add", ["c2", "r1"], ["a1"]),
            node("Relu", ["a1"], ["r2"], "/block[0]/Relu"),
            node("Dropout", ["r2"], ["d1"]),
            node("GlobalAveragePool", ["d1"], ["p1"], "/head/GlobalAveragePool"),
            node("Flatten", ["p1"], ["f1"], "/head/Flatten"),
            node("Gemm", ["f1", "w3", "b3"], ["g1"], "/head/Gemm"),
            node("Softmax", ["g1"], ["y"], "/head/Softmax", axis=1),
        ],
        [value("x", ["batch", 3, 16, 16])],
        [value("y", ["batch", 10])],
        [
            *(weight("w1", 8, 3, 3, 3), weight("w2", 8, 8, 3, 3), *norm, variance),
            *(weight("w3", 8, 10), weight("b3", 10)),
        ],
    )


def attention() -> ModelProto:
    """One head of attention with layer norm, a residual and a GELU."""
    return model(
        [
            node("LayerNormalization", ["x", "s1", "b1"], ["n1"], "/norm/LayerNorm", axis=-1),
            node("MatMul", ["n1", "wq"], ["q"], "/q/MatMul"),
            node("MatMul", ["n1", "wk"], ["k"], "/k/MatMul"),
            node("MatMul", ["n1", "wv"], ["v"], "/v/MatMul"),
            node("Transpose", ["k"], ["kt"], "/k/Transpose", perm=[0, 2, 1]),
            node("MatMul", ["q", "kt"], ["s"], "/scores/MatMul"),
            node("Softmax", ["s"], ["p"], "/scores/Softmax", axis=-1),
            node("MatMul", ["p", "v"], ["o"], "/mix/MatMul"),
            node("MatMul", ["o", "wo"], ["po"], "/out/MatMul"),
            node("Add", ["po", "x"], ["r"], "/out/Add"),
            node("MatMul", ["r", "w1"], ["h"], "/mlp/MatMul"),
            node("Sigmoid", ["h"], ["g"], "/mlp/Sigmoid"),
            node("Mul", ["h", "g"], ["m"], "/mlp/Mul"),
            node("MatMul", ["m", "w2"], ["z"], "/mlp/MatMul_1"),
            node("Add", ["z", "r"], ["y"], "/mlp/Add"),
        ],
        [value("x", ["batch", 16, 32])],
        [value("y", ["batch", 16, 32])],
        [
            *(weight("s1", 32), weight("b1", 32)),
            *(weight(n, 32, 32, seed=i) for i, n in enumerate(("wq", "wk", "wv", "wo"))),
            *(weight("w1", 32, 64), weight("w2", 64, 32)),
        ],
    )


def branches() -> ModelProto:
    """Split, two convolutions side by side, concatenation, resizing, a reshape of known size."""
    return model(
        [
            node("Split", ["x"], ["left", "right"], "/Split", axis=1),
            node("Conv", ["left", "wl"], ["cl"], "/left/Conv", pads=[1, 1, 1, 1]),
            node("Sigmoid", ["cl"], ["sl"], "/left/Sigmoid"),
            node("Mul", ["cl", "sl"], ["ml"], "/left/Mul"),
            node("Conv", ["right", "wr"], ["cr"], "/right/Conv", pads=[1, 1, 1, 1]),
            node("Relu", ["cr"], ["rr"], "/right/Relu"),
            node("Concat", ["ml", "rr"], ["j"], "/Concat", axis=1),
            node("Resize", ["j", "", "scales"], ["u"], "/Resize", mode="nearest"),
            node("Conv", ["u", "wo"], ["o"], "/out/Conv"),
            node("Shape", ["o"], ["size"], "/Shape"),
            node("Slice", ["size", "zero", "one"], ["first"], "/Slice"),
            node("Concat", ["first", "rest"], ["target"], "/Concat_1", axis=0),
            node("Reshape", ["o", "target"], ["y"], "/Reshape"),
        ],
        [value("x", ["batch", 8, 8, 8])],
        [value("y", ["batch", 1024])],
        [
            *(weight("wl", 4, 4, 3, 3), weight("wr", 4, 4, 3, 3), weight("wo", 4, 8, 1, 1)),
            *(ints("zero", 0), ints("one", 1), ints("rest", -1)),
            onnx.numpy_helper.from_array(
                __import__("numpy").array([1, 1, 2, 2], "float32"), "scales"
            ),
        ],
    )


MODELS = {"residual": residual, "attention": attention, "branches": branches}
