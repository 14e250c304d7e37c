"""A model such as the reader of docs/tour.md might bring: a small detector."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from support.networks.models import ints, model, node, save, value, weight

#: Channels of the first two convolutions and of the last two; these fill no vector of a CPU.
WIDTHS = (20, 40)
#: What the reader tries after the advice.
CHANGED = (16, 32)


def network(widths: tuple[int, int] = WIDTHS) -> ModelProto:
    """Images of 96 x 96 with a free batch; Swish behind each convolution; boxes of 6 numbers."""
    narrow, wide = widths
    stages = ((3, narrow, 2), (narrow, narrow, 1), (narrow, wide, 2), (wide, wide, 1))
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    last = "image"
    for number, (before, after, stride) in enumerate(stages, 1):
        weights.append(weight(f"conv{number}.weight", after, before, 3, 3, seed=number))
        nodes += _stage(number, last, stride)
        last = f"swish{number}"
    weights += [weight("head.weight", 6, wide, 1, 1, seed=9), ints("rows", 0, -1, 6)]
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


def bring(folder: Path) -> None:
    """`model.onnx` and `changed.onnx` in a folder, as the page calls them."""
    for name, widths in (("model.onnx", WIDTHS), ("changed.onnx", CHANGED)):
        made = network(widths)
        onnx.checker.check_model(made, full_check=True)
        save(made, folder, name)
