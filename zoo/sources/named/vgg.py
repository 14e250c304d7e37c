"""VGG with batch norm, as MXNet's Gluon writes it: Simonyan and Zisserman 2014, table 1.

Batch normalisation (Ioffe and Szegedy 2015) stands between each convolution, which keeps its
bias, and its Relu.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

WIDTHS = (64, 128, 256, 512, 512)
#: Convolutions of each block: configurations D and E.
DEPTHS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
STATISTICS = ("gamma", "beta", "running_mean", "running_var")
#: MXNet numbers a Flatten by the operators and weights before it.
FIRST_FLATTEN, OF_A_CONVOLUTION, OF_A_PRODUCT = 8, 9, 5


def vgg16(item: Entry) -> ModelProto:
    """Thirteen convolutions and three products."""
    return _network(item, DEPTHS[16])


def vgg19(item: Entry) -> ModelProto:
    """Sixteen convolutions and three products."""
    return _network(item, DEPTHS[19])


def _network(item: Entry, depths: Sequence[int]) -> ModelProto:
    graph = Graph(item)
    x, number, inputs = item.inputs[0].name, 0, 3
    for block, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
        for _ in range(depth):
            x = _convolve(graph, x, number, (inputs, width))
            number, inputs = number + 1, width
        x = graph.node("MaxPool", f"vgg0_pool{block}_fwd", x, **square(2, 2))
    flatten = FIRST_FLATTEN + OF_A_CONVOLUTION * sum(depths)
    widths = (WIDTHS[-1] * 7 * 7, 4096, 4096)
    for index, (before, after) in enumerate(zip(widths, (4096, 4096, 1000), strict=True)):
        x = graph.node("Flatten", f"flatten_{flatten + OF_A_PRODUCT * index}", x, axis=1)
        x = _product(graph, x, f"vgg0_dense{index}", (before, after))
        if index < 2:
            x = graph.node("Relu", f"vgg0_dense{index}_relu_fwd", x)
            x = graph.node("Dropout", f"vgg0_dropout{index}_fwd", x)
    return graph.model(x, 1000)


def _convolve(graph: Graph, x: str, number: int, widths: tuple[int, int]) -> str:
    inputs, outputs = widths
    name, norm = f"vgg0_conv{number}", f"vgg0_batchnorm{number}"
    weight = graph.weight(f"{name}_weight", outputs, inputs, 3, 3)
    bias = graph.weight(f"{name}_bias", outputs)
    x = graph.node("Conv", f"{name}_fwd", x, weight, bias, **square(3, 1, 1))
    x = graph.normalise(f"{norm}_fwd", x, [f"{norm}_{each}" for each in STATISTICS], outputs)
    return graph.node("Relu", f"vgg0_relu{number}_fwd", x)


def _product(graph: Graph, x: str, name: str, widths: tuple[int, int]) -> str:
    before, after = widths
    weight = graph.weight(f"{name}_weight", after, before)
    bias = graph.weight(f"{name}_bias", after)
    return graph.node("Gemm", f"{name}_fwd", x, weight, bias, transB=1)
