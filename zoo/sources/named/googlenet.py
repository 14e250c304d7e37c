"""GoogLeNet as BVLC trained it with Caffe: Szegedy et al. 2014, table 1.

Poolings that halve the size reach over the right and lower edge, as Caffe's do: 56, 28, 14, 7.
"""

from __future__ import annotations

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

#: Table 1 of the paper: the columns #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5 and pool proj.
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
#: The modules that a pooling follows, and the number in its name.
_POOLED = {"3b": 3, "4e": 4}
_CLASSES = 1000


class _Net:
    """The network as far as it is written; layers are numbered by kind."""

    def __init__(self, item: Entry) -> None:
        self.graph = Graph(item)
        self._numbers: dict[str, int] = {}

    def name(self, kind: str) -> str:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return f"{kind}_{self._numbers[kind]}"

    def conv(
        self, stem: str, x: str, widths: tuple[int, int], kernel: int = 1, stride: int = 1
    ) -> str:
        """A convolution that keeps the size up to the stride, its bias and Relu."""
        inputs, outputs = widths
        weight = self.graph.weight(f"{stem}_w_0", outputs, inputs, kernel, kernel)
        bias = self.graph.weight(f"{stem}_b_0", outputs)
        window = square(kernel, stride, kernel // 2)
        x = self.graph.node(
            "Conv", self.name("conv"), x, weight, bias, output=f"{stem}_1", **window
        )
        return self.graph.node("Relu", self.name("relu"), x, output=f"{stem}_2")

    def halve(self, stem: str, x: str) -> str:
        window = square(3, 2) | {"pads": [0, 0, 1, 1]}
        return self.graph.node("MaxPool", self.name("maxpool"), x, output=stem, **window)

    def normalise(self, output: str, x: str) -> str:
        facts = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
        return self.graph.node("LRN", self.name("lrn"), x, output=output, **facts)

    def inception(self, name: str, x: str, inputs: int) -> str:
        """Four branches side by side, joined along the channels: figure 2 (b) of the paper."""
        one, three_reduce, three, five_reduce, five, pool = WIDTHS[name]
        stem = f"inception_{name}"
        first = self.conv(f"{stem}/1x1", x, (inputs, one))
        second = self.conv(f"{stem}/3x3_reduce", x, (inputs, three_reduce))
        second = self.conv(f"{stem}/3x3", second, (three_reduce, three), 3)
        third = self.conv(f"{stem}/5x5_reduce", x, (inputs, five_reduce))
        third = self.conv(f"{stem}/5x5", third, (five_reduce, five), 5)
        pooled = f"{stem}/pool_1"
        x = self.graph.node("MaxPool", self.name("maxpool"), x, output=pooled, **square(3, 1, 1))
        fourth = self.conv(f"{stem}/pool_proj", x, (inputs, pool))
        parts = (first, second, third, fourth)
        output = f"{stem}/output_1"
        return self.graph.node("Concat", self.name("concat"), *parts, output=output, axis=1)


def build(item: Entry) -> ModelProto:
    """GoogLeNet without its auxiliary classifiers."""
    net = _Net(item)
    x = net.conv("conv1/7x7_s2", item.inputs[0].name, (3, 64), 7, 2)
    x = net.normalise("pool1/norm1_1", net.halve("pool1/3x3_s2_1", x))
    x = net.conv("conv2/3x3_reduce", x, (64, 64))
    x = net.conv("conv2/3x3", x, (64, 192), 3)
    x = net.halve("pool2/3x3_s2_1", net.normalise("conv2/norm2_1", x))
    inputs = 192
    for name, (one, _, three, _, five, pool) in WIDTHS.items():
        x = net.inception(name, x, inputs)
        inputs = one + three + five + pool
        if name in _POOLED:
            x = net.halve(f"pool{_POOLED[name]}/3x3_s2_1", x)
    return _classified(net, x, inputs)


def _classified(net: _Net, x: str, inputs: int) -> ModelProto:
    graph, stem = net.graph, "pool5/7x7_s1"
    x = graph.node("AveragePool", "averagepool_1", x, output=f"{stem}_1", **square(7))
    x = graph.node("Dropout", "dropout_1", x, output=f"{stem}_2")
    target = graph.target("OC2_DUMMY_1", 0, inputs)
    x = graph.node("Reshape", "reshape_1", x, target, output="OC2_DUMMY_0")
    stem = "loss3/classifier"
    weight = graph.weight(f"{stem}_w_0", _CLASSES, inputs)
    bias = graph.weight(f"{stem}_b_0", _CLASSES)
    x = graph.node("Gemm", "gemm_1", x, weight, bias, output=f"{stem}_1", transB=1)
    graph.node("Softmax", "softmax_1", x, output="prob_1", axis=1)
    return graph.model("prob_1", _CLASSES)
