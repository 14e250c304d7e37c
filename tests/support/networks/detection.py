"""A small detection network whose boxes differ from one rounding to another.

The scores are moved far from zero and back, which rounds them to few levels. onnxruntime makes
one convolution of that, in which the two moves cancel: so other boxes come first.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import make_tensor_value_info

from support.networks.models import ints, model, node, value, weight

CHANNELS, SIDE, KEPT = 8, 32, 64
#: What scores are moved by and back; numbers of that size lie 2.4e-4 apart.
FAR = 4000.0


def _of(name: str, *numbers: float) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.float32), name)


def _scalar(name: str, number: float, dtype: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(number, dtype), name)


def head() -> onnx.ModelProto:
    """Scores, the best boxes, those that overlap too little to be dropped, features of these."""
    proposed = [
        node("Conv", ["x", "w1"], ["features"], "backbone", kernel_shape=[3, 3], pads=[1] * 4),
        node("Conv", ["features", "ws", "far"], ["raw"], "scores", kernel_shape=[1, 1]),
        node("BatchNormalization", ["raw", "scale", "bias", "mean", "var"], ["normed"], "norm"),
        node("Sigmoid", ["normed"], ["likely"], "sigmoid"),
        node("Reshape", ["likely", "row"], ["flat"], "flat"),
        node("Conv", ["features", "wb"], ["deltas"], "boxes", kernel_shape=[1, 1]),
        node("Transpose", ["deltas"], ["turned"], "turn", perm=[0, 2, 3, 1]),
        node("Reshape", ["turned", "four"], ["all_boxes"], "all_boxes"),
        node("TopK", ["flat", "kept"], ["best", "places"], "best"),
        node("Gather", ["all_boxes", "places"], ["chosen"], "chosen", axis=0),
    ]
    kept = [
        node("Unsqueeze", ["chosen", "zero_axis"], ["chosen3"], "chosen3"),
        node("Unsqueeze", ["best", "two_axes"], ["best3"], "best3"),
        node(
            "NonMaxSuppression",
            ["chosen3", "best3", "most", "overlap", "least"],
            ["selected"],
            "suppress",
        ),
        node("Slice", ["selected", "two", "three", "one"], ["column"], "column"),
        node("Squeeze", ["column", "one"], ["left"], "left"),
        node("Gather", ["chosen", "left"], ["rois"], "rois", axis=0),
        node("Mul", ["left", "none"], ["items"], "items"),
    ]
    judged = [
        node(
            "RoiAlign",
            ["features", "rois", "items"],
            ["pooled"],
            "pool",
            output_height=4,
            output_width=4,
            sampling_ratio=2,
            spatial_scale=16.0,
        ),
        node("Conv", ["pooled", "w2"], ["deep"], "deep", kernel_shape=[3, 3], pads=[1] * 4),
        node("Relu", ["deep"], ["deep_relu"], "deep_relu"),
        node("Conv", ["deep_relu", "w3"], ["deeper"], "deeper", kernel_shape=[3, 3]),
        node("Relu", ["deeper"], ["deeper_relu"], "deeper_relu"),
        node("GlobalAveragePool", ["deeper_relu"], ["mean_of"], "mean_of"),
        node("Flatten", ["mean_of"], ["rows"], "rows"),
        node("MatMul", ["rows", "w4"], ["product"], "product"),
        node("Add", ["product", "b4"], ["logits"], "logits"),
        node("Softmax", ["logits"], ["classes"], "classes", axis=-1),
        node("Greater", ["logits", "zero"], ["sure"], "sure"),
        node("Where", ["sure", "logits", "classes"], ["mixed"], "mixed"),
    ]
    images = [("w1", CHANNELS, 3, 3), ("ws", 1, 1, 1), ("wb", 4, 1, 1), ("w2", 16, 3, 3)]
    weights = [weight(n, out, CHANNELS, *k, seed=i) for i, (n, out, *k) in enumerate(images)]
    weights += [
        weight("w3", 16, 16, 3, 3, seed=7),
        weight("w4", 16, 5, seed=8),
        _of("b4", *[0.1] * 5),
    ]
    weights += [
        _of("far", FAR),
        _of("scale", 1.0),
        _of("bias", 0.1),
        _of("mean", FAR),
        _of("var", 1.0),
    ]
    weights += [ints("row", -1), ints("four", -1, 4), ints("kept", KEPT), ints("zero_axis", 0)]
    weights += [ints("two_axes", 0, 1), ints("two", 2), ints("three", 3), ints("one", 1)]
    weights += [_scalar("none", 0, np.int64), _scalar("zero", 0.0)]
    weights += [ints("most", KEPT), _of("overlap", 0.5), _of("least", 0.0)]
    return model(
        [*proposed, *kept, *judged],
        [value("x", (1, CHANNELS, SIDE, SIDE))],
        [make_tensor_value_info("mixed", TensorProto.FLOAT, ["n", 5]), value("best", (KEPT,))],
        weights,
    )
