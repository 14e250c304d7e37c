"""Tiny YOLO v2 for Pascal VOC, as Core ML's conversion names it.

Redmon and Farhadi 2016, "YOLO9000: Better, Faster, Stronger", and the authors' table of the
tiny network: nine convolutions, batch norms, leaky Relus, and a grid of 13×13 cells with five
boxes of 20 classes each.
"""

from __future__ import annotations

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

#: Outputs of the 3×3 convolutions. Pooling follows the first six.
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 1024)
POOLED = 6
#: Five boxes of a place, a size, a certainty and 20 classes.
OUTPUTS = 5 * (4 + 1 + 20)
SLOPE = 0.1


def build(item: Entry) -> ModelProto:
    """The network for 416×416, of pixels from 0 to 255, without the decoding of its boxes."""
    graph = Graph(item)
    scale = graph.scalar("scalerPreprocessor", "scale", 1 / 255)
    x = graph.node("Mul", "scalerPreprocessor", item.inputs[0].name, scale, output="image2")
    inputs = 3
    for index, width in enumerate(WIDTHS):
        x = _block(graph, x, index, (inputs, width))
        inputs = width
    weight = graph.weight("convolution8_W", OUTPUTS, inputs, 1, 1)
    bias = graph.weight("convolution8_B", OUTPUTS)
    graph.node("Conv", "convolution8", x, weight, bias, output="grid", **square(1))
    return graph.model("grid", OUTPUTS, 13, 13)


def _block(graph: Graph, x: str, index: int, widths: tuple[int, int]) -> str:
    """A convolution, its batch norm, leaky Relu and, of the first six, pooling."""
    inputs, outputs = widths
    number, count = (str(index) if index else ""), index + 1
    weight = graph.weight(f"convolution{number}_W", outputs, inputs, 3, 3)
    output = f"convolution2d_{count}_output"
    x = graph.node("Conv", f"convolution{number}", x, weight, output=output, **square(3, 1, 1))
    parts = ("scale", "B", "mean", "variance")
    statistics = [f"BatchNormalization_{part}{number}" for part in parts]
    output = f"batchnormalization_{count}_output"
    x = graph.normalise(f"batchnorm{number}", x, statistics, outputs, output=output)
    output = f"leakyrelu_{count}_output"
    x = graph.node("LeakyRelu", f"activation{number}", x, output=output, alpha=SLOPE)
    if index >= POOLED:
        return x
    # The last pooling keeps the size: its window reaches over the right and lower edge.
    last = index == POOLED - 1
    window = square(2, 1) | {"pads": [0, 0, 1, 1]} if last else square(2, 2)
    output = f"maxpooling2d_{count}_output"
    return graph.node("MaxPool", f"pooling{number}", x, output=output, **window)
