"""A model such as the reader of docs/tour.md might bring: a small detector."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from support.networks.models import ints, model, node, save, value, weight

#: Channels in, channels out and stride of each convolution; 3 and 20 fill no vector of a CPU.
STAGES = ((3, 20, 2), (20, 20, 1), (20, 40, 2), (40, 40, 1))


def network() -> ModelProto:
    """Images of 96 x 96 with a free batch; Swish behind each convolution; boxes of 6 numbers."""
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    last = "image"
    for number, (before, after, stride) in enumerate(STAGES, 1):
        weights += [weight(f"conv{number}.weight", after, before, 3, 3, seed=number)]
        nodes += _stage(number, last, stride)
        last = f"swish{number}"
    weights += [weight("head.weight", 6, STAGES[-1][1], 1, 1, seed=9), ints("rows", 0, -1, 6)]
    nodes += [
        node("Conv", [last, "head.weight"], ["head"], "head"),
        node("Transpose", ["head"], ["channels_last"], "channels_last", perm=[0, 2, 3, 1]),
        node("Reshape", ["channels_last", "rows"], ["boxes"], "boxes"),
    ]
    inputs = [value("image", ["batch", 3, 96, 96])]
    return model(nodes, inputs, [value("boxes", ["batch", 576, 6])], weights)


def _stage(number: int, source: str, stride: int) -> list[NodeProto]:
    conv, gate = f"conv{number}", f"gate{number}"
    shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [stride, stride]}
    return [
        node("Conv", [source, f"{conv}.weight"], [conv], conv, **shape),
        node("Sigmoid", [conv], [gate], gate),
        node("Mul", [conv, gate], [f"swish{number}"], f"swish{number}"),
    ]


def bring(folder: Path) -> Path:
    """`model.onnx` in a folder, as the page calls it."""
    made = network()
    onnx.checker.check_model(made, full_check=True)
    return save(made, folder)
