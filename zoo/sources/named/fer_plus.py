"""FER+ emotion recognition: the VGG-13 variant of Barsoum et al. 2016, as CNTK writes it.

"Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", figure 5. Layers and tensors have the numbers that CNTK gave them.
"""

from __future__ import annotations

from onnx import ModelProto

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.sources.named.graph import Graph, square

#: Blocks: width, and of each convolution its number and its weight's. Pooling follows.
BLOCKS = (
    (64, ((362, 3), (380, 23))),
    (128, ((418, 63), (436, 83))),
    (256, ((474, 575), (492, 595), (510, 615))),
    (256, ((548, 655), (566, 675), (584, 695))),
)
#: Numbers of a product and its weight, inputs, outputs.
HIDDEN = ((622, 1367, 4096, 1024), (656, 1403, 1024, 1024))
LAST = (690, 1693, 1024, 8)
#: Half of the grey values, which are subtracted, and what they are divided by.
MIDDLE = 127.5


def build(item: Entry) -> ModelProto:
    """The network for grey faces of 64×64 and 8 emotions."""
    graph = Graph(item)
    x = _scaled(graph, item.inputs[0].name)
    inputs = 1
    for width, convolutions in BLOCKS:
        for number, weight in convolutions:
            x = _convolve(graph, x, number, weight, (inputs, width))
            inputs = width
        pool = convolutions[-1][0] + 18
        x = _node(graph, "MaxPool", f"Pooling{pool}", x, **square(2, 2))
        x = _node(graph, "Dropout", f"Dropout{pool + 10}", x)
    x = _flatten(graph, x)
    for number, weight, before, after in HIDDEN:
        x = _product(graph, x, number, weight, (before, after))
        x = _node(graph, "Relu", f"ReLU{number + 14}", x)
        x = _node(graph, "Dropout", f"Dropout{number + 24}", x)
    number, weight, before, after = LAST
    return graph.model(_product(graph, x, number, weight, (before, after)), after)


def _node(graph: Graph, operator: str, name: str, *inputs: str, **attributes: object) -> str:
    return graph.node(operator, name, *inputs, output=f"{name}_Output_0", **attributes)


def _scaled(graph: Graph, x: str) -> str:
    """Grey values from 0 to 255 as values from -1 to 1."""
    for operator, name, operand in (("Sub", "Minus340", 339), ("Div", "Block352", 343)):
        x = _node(graph, operator, name, x, graph.scalar(name, f"Constant{operand}", MIDDLE))
    return x


def _convolve(graph: Graph, x: str, number: int, weight: int, widths: tuple[int, int]) -> str:
    """A convolution that keeps the size, its bias and Relu."""
    inputs, outputs = widths
    kernel = graph.weight(f"Parameter{weight}", outputs, inputs, 3, 3)
    x = _node(graph, "Conv", f"Convolution{number}", x, kernel, **square(3, 1, 1))
    bias = graph.weight(f"Parameter{weight + 1}", outputs, 1, 1)
    x = _node(graph, "Add", f"Plus{number + 2}", x, bias)
    return _node(graph, "Relu", f"ReLU{number + 4}", x)


def _flatten(graph: Graph, x: str) -> str:
    product, _, before, _ = HIDDEN[0]
    output = f"{x}_reshape0"
    target = graph.target(f"{output}_shape", 0, before)
    return graph.node("Reshape", f"Times{product}_reshape0", x, target, output=output)


def _product(graph: Graph, x: str, number: int, weight: int, widths: tuple[int, int]) -> str:
    """A product and its bias; the first one's weight is an image's, and flattened, too."""
    before, after = widths
    name = f"Parameter{weight}"
    if number == HIDDEN[0][0]:
        side = 4
        stored = graph.weight(name, before // side**2, side, side, after)
        target = graph.target(f"{name}_reshape1_shape", before, after)
        output = f"{name}_reshape1"
        kernel = graph.node("Reshape", f"Times{number}_reshape1", stored, target, output=output)
    else:
        kernel = graph.weight(name, before, after)
    x = _node(graph, "MatMul", f"Times{number}", x, kernel)
    bias = graph.weight(f"Parameter{weight + 1}", after)
    return _node(graph, "Add", f"Plus{number + 2}", x, bias)
