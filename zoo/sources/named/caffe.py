"""CaffeNet and the R-CNN that was trained from it: AlexNet with pooling before normalisation.

After Krizhevsky et al. 2012, section 3.5, Jia et al. 2014, "Caffe", and Girshick et al. 2014,
"Rich feature hierarchies", whose classifier has a score a class and no softmax.
"""

from __future__ import annotations

from typing import NamedTuple

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

#: Elements that the last pooling leaves: 256 channels of 6×6.
FEATURES, HIDDEN = 9216, 4096


class Convolution(NamedTuple):
    """One convolution; its layer has the number of its groups in its name."""

    layer: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    groups: int
    pools: bool
    normalises: bool


CONVOLUTIONS = (
    Convolution("conv_1", 3, 96, 11, 4, 0, 1, True, True),
    Convolution("conv2_2", 96, 256, 5, 1, 2, 2, True, True),
    Convolution("conv_3", 256, 384, 3, 1, 1, 1, False, False),
    Convolution("conv4_2", 384, 384, 3, 1, 1, 2, False, False),
    Convolution("conv5_2", 384, 256, 3, 1, 1, 2, True, False),
)


def caffenet(item: Entry) -> ModelProto:
    """CaffeNet for 1,000 classes."""
    graph = Graph(item)
    scores = _scores(graph, item, "fc8", 1000)
    graph.node("Softmax", "softmax_1", scores, output="prob_1", axis=1)
    return graph.model("prob_1", 1000)


def rcnn(item: Entry) -> ModelProto:
    """R-CNN for the 200 classes of ILSVRC 2013's detection: scores of one region."""
    graph = Graph(item)
    return graph.model(_scores(graph, item, "fc-rcnn", 200), 200)


def _scores(graph: Graph, item: Entry, last: str, classes: int) -> str:
    x, pools = item.inputs[0].name, 0
    for number, layer in enumerate(CONVOLUTIONS, start=1):
        x = _convolve(graph, x, number, layer)
        if layer.pools:
            pools += 1
            x = _pool(graph, x, f"maxpool_{pools}", f"pool{number}_1")
        if layer.normalises:
            x = _normalise(graph, x, number)
    target = graph.target("OC2_DUMMY_1", 0, FEATURES)
    x = graph.node("Reshape", "reshape_1", x, target, output="OC2_DUMMY_0")
    for number, width in ((6, FEATURES), (7, HIDDEN)):
        x = _product(graph, x, number - 5, f"fc{number}", (width, HIDDEN))
        x = graph.node("Relu", f"relu_{number}", x, output=f"fc{number}_2")
        x = graph.node("Dropout", f"dropout_{number - 5}", x, output=f"fc{number}_3")
    return _product(graph, x, 3, last, (HIDDEN, classes))


def _convolve(graph: Graph, x: str, number: int, layer: Convolution) -> str:
    kernel = (layer.kernel, layer.kernel)
    x = graph.node(
        "Conv",
        layer.layer,
        x,
        graph.weight(f"conv{number}_w_0", layer.outputs, layer.inputs // layer.groups, *kernel),
        graph.weight(f"conv{number}_b_0", layer.outputs),
        output=f"conv{number}_1",
        group=layer.groups,
        **square(layer.kernel, layer.stride, layer.padding),
    )
    return graph.node("Relu", f"relu_{number}", x, output=f"conv{number}_2")


def _pool(graph: Graph, x: str, name: str, output: str) -> str:
    """Windows of 3 at a stride of 2, the last of which may reach over the edge, as in Caffe."""
    window = square(3, 2) | {"pads": [0, 0, 1, 1]}
    return graph.node("MaxPool", name, x, output=output, **window)


def _normalise(graph: Graph, x: str, number: int) -> str:
    return graph.node(
        "LRN", f"lrn_{number}", x, output=f"norm{number}_1", size=5, alpha=1e-4, beta=0.75, bias=1.0
    )


def _product(graph: Graph, x: str, number: int, stem: str, widths: tuple[int, int]) -> str:
    before, after = widths
    weight, bias = graph.weight(f"{stem}_w_0", after, before), graph.weight(f"{stem}_b_0", after)
    return graph.node("Gemm", f"gemm_{number}", x, weight, bias, output=f"{stem}_1", transB=1)
