"""DUC: a dilated ResNet-101 for street scenes, with dense upsampling convolution.

Wang et al. 2017, "Understanding Convolution for Semantic Segmentation": a stem of three 3×3
convolutions, no size lost after the third stage, hybrid dilation (section 3.2), and sums of
four dilated convolutions that have 16 scores a class, one for each pixel of a 4×4.
"""

from __future__ import annotations

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

UNITS, WIDTHS = {2: 3, 3: 4, 4: 23, 5: 3}, {2: 64, 3: 128, 4: 256, 5: 512}
STEM = (("conv1_1_3x3_s2", 3, 64, 2), ("conv1_2_3x3", 64, 64, 1), ("conv1_3_3x3", 64, 128, 1))
#: Dilations of the fourth stage, over and over, and of the fifth; `fc1` has four side by side.
FOURTH, FIFTH, LAST = (1, 2, 5, 9), (5, 9, 17), (6, 12, 18, 24)
CLASSES, CELL = 19, 16
STATISTICS = ("gamma", "beta", "moving_mean", "moving_var")


def build(item: Entry) -> ModelProto:
    """The network for 800×800: probabilities of 19 classes, a cell's 4×4 pixels side by side."""
    graph = Graph(item)
    x = item.inputs[0].name
    for name, before, after, stride in STEM:
        x = _relu(graph, _convolve(graph, name, x, (before, after), 3, stride), f"{name}/relu")
    x = graph.node("MaxPool", "pool1_3x3_s2", x, **square(3, 2))
    inputs = STEM[-1][2]
    for stage, units in UNITS.items():
        for unit in range(1, units + 1):
            x = _unit(graph, x, stage, unit, inputs)
            inputs = 4 * WIDTHS[stage]
    parts = [_scores(graph, x, index, inputs) for index in range(len(LAST))]
    x = graph.node("Sum", "fc1_cityscapes", *parts)
    target = graph.target("reshape_attr_tensor892", 0, CLASSES, -1)
    x = graph.node("Reshape", "cls_score_reshape", x, target)
    return graph.model(graph.node("Softmax", "seg_loss", x, axis=1), CLASSES, CELL * 100 * 100)


def dilation(stage: int, unit: int) -> int:
    """The distance of the taps of a unit's 3×3 convolution."""
    if stage == 5:
        return FIFTH[unit - 1]
    if stage < 4:
        return 1
    return FOURTH[(unit - 1) % len(FOURTH)] if unit > 1 else 2


def _unit(graph: Graph, x: str, stage: int, unit: int, inputs: int) -> str:
    """A bottleneck; the third stage's first halves the size in its first 1×1."""
    name, width = f"conv{stage}_{unit}", WIDTHS[stage]
    outputs, stride = 4 * width, 2 if (stage, unit) == (3, 1) else 1
    y = _convolve(graph, f"{name}_1x1_reduce", x, (inputs, width), 1, stride)
    y = _relu(graph, y, f"{name}_1x1_reduce/relu")
    holes = dilation(stage, unit)
    y = _convolve(graph, f"{name}_3x3", y, (width, width), 3, holes=holes)
    y = _relu(graph, y, f"{name}_3x3/relu")
    y = _convolve(graph, f"{name}_1x1_increase", y, (width, outputs), 1)
    if unit == 1:
        x = _convolve(graph, f"{name}_1x1_proj", x, (inputs, outputs), 1, stride)
        total = graph.node("Add", name, y, x)
    else:
        total = graph.node("Add", name, x, y)
    return _relu(graph, total, f"{name}_relu")


def _convolve(
    graph: Graph,
    name: str,
    x: str,
    widths: tuple[int, int],
    kernel: int,
    stride: int = 1,
    holes: int = 1,
) -> str:
    """A convolution that keeps the size up to the stride, and its batch norm."""
    inputs, outputs = widths
    weight = graph.weight(f"{name}_weight", outputs, inputs, kernel, kernel)
    window = square(kernel, stride, kernel // 2 * holes) | {"dilations": [holes] * 2}
    x = graph.node("Conv", name, x, weight, **window)
    return graph.normalise(f"{name}/bn", x, [f"{name}/bn_{s}" for s in STATISTICS], outputs)


def _relu(graph: Graph, x: str, name: str) -> str:
    return graph.node("Relu", name, x)


def _scores(graph: Graph, x: str, index: int, inputs: int) -> str:
    name, outputs = f"fc1_cityscapes_c{index}", CLASSES * CELL
    weight = graph.weight(f"{name}_weight", outputs, inputs, 3, 3)
    bias = graph.weight(f"{name}_bias", outputs)
    holes = LAST[index]
    window = square(3, 1, holes) | {"dilations": [holes] * 2}
    return graph.node("Conv", name, x, weight, bias, **window)
