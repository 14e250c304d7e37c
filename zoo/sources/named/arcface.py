"""ArcFace's ResNet-100 for faces of 112×112, as MXNet writes it.

Deng et al. 2018, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", section
3.1 and the authors' LResNet100E-IR: improved residual units (batch norm, convolution, batch
norm, PRelu, convolution, batch norm), and an embedding of 512 values.
"""

from __future__ import annotations

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

UNITS, WIDTHS = (3, 13, 30, 3), (64, 128, 256, 512)
EMBEDDING = 512
STATISTICS = ("gamma", "beta", "moving_mean", "moving_var")
#: What MXNet numbers are the operators and weights: the first slope's number, those between it
#: and the next, between two units, and those that a unit's projection adds.
FIRST_SLOPE, TO_FIRST_UNIT, OF_A_UNIT, OF_A_PROJECTION = 12, 14, 22, 7


class _Face:
    """The network as far as it is written, and MXNet's numbers."""

    def __init__(self, item: Entry) -> None:
        self.graph = Graph(item)
        self.slope = FIRST_SLOPE
        self.sums = 0

    def norm(self, name: str, x: str, width: int) -> str:
        return self.graph.normalise(name, x, [f"{name}_{each}" for each in STATISTICS], width)

    def conv(
        self, name: str, x: str, widths: tuple[int, int], kernel: int = 3, stride: int = 1
    ) -> str:
        inputs, outputs = widths
        weight = self.graph.weight(f"{name}_weight", outputs, inputs, kernel, kernel)
        return self.graph.node("Conv", name, x, weight, **square(kernel, stride, kernel // 2))

    def relu(self, name: str, x: str, width: int) -> str:
        """A Relu with a slope for each channel."""
        stored = self.graph.weight(f"{name}_gamma", width)
        target = self.graph.target(f"reshape{self.slope}", 1, -1, 1, 1)
        slope = self.graph.node("Reshape", f"slope{self.slope}", stored, target)
        return self.graph.node("PRelu", name, x, slope)

    def unit(self, name: str, x: str, widths: tuple[int, int], stride: int) -> str:
        inputs, outputs = widths
        y = self.norm(f"{name}_bn1", x, inputs)
        y = self.conv(f"{name}_conv1", y, widths)
        y = self.norm(f"{name}_bn2", y, outputs)
        y = self.relu(f"{name}_relu1", y, outputs)
        y = self.conv(f"{name}_conv2", y, (outputs, outputs), stride=stride)
        y = self.norm(f"{name}_bn3", y, outputs)
        if stride > 1:
            x = self.conv(f"{name}_conv1sc", x, widths, 1, stride)
            x = self.norm(f"{name}_sc", x, outputs)
        self.slope += OF_A_UNIT + (OF_A_PROJECTION if stride > 1 else 0)
        total = self.graph.node("Add", f"_plus{self.sums}", y, x)
        self.sums += 1
        return total


def build(item: Entry) -> ModelProto:
    """The network from pixels between 0 and 255 to an embedding, which is not normalised."""
    face = _Face(item)
    x = _stem(face, item.inputs[0].name)
    inputs = WIDTHS[0]
    for stage, (units, width) in enumerate(zip(UNITS, WIDTHS, strict=True), start=1):
        for unit in range(1, units + 1):
            stride = 2 if unit == 1 else 1
            x = face.unit(f"stage{stage}_unit{unit}", x, (inputs, width), stride)
            inputs = width
    graph = face.graph
    x = graph.node("Dropout", "dropout0", face.norm("bn1", x, inputs))
    x = graph.node("Flatten", "flatten_1127", x, axis=1)
    weight = graph.weight("pre_fc1_weight", EMBEDDING, inputs * 7 * 7)
    x = graph.node("Gemm", "pre_fc1", x, weight, graph.weight("pre_fc1_bias", EMBEDDING), transB=1)
    return graph.model(face.norm("fc1", x, EMBEDDING), EMBEDDING)


def _stem(face: _Face, x: str) -> str:
    graph = face.graph
    x = graph.node("Identity", "id", x)
    middle = graph.scalar("_minusscalar0", "scalar_op2", 127.5)
    x = graph.node("Sub", "_minusscalar0", x, middle)
    x = graph.node("Mul", "_mulscalar0", x, graph.scalar("_mulscalar0", "scalar_op3", 1 / 128))
    x = face.norm("bn0", face.conv("conv0", x, (3, WIDTHS[0])), WIDTHS[0])
    x = face.relu("relu0", x, WIDTHS[0])
    face.slope += TO_FIRST_UNIT
    return x
