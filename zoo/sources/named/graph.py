"""A graph that is written node by node; its weights have shapes but no data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

from onnxprof.zoo.declaration import Entry

#: Versions of the operators and of the file, as of the networks of `light`.
OPSET, IR_VERSION = 13, 8
_FLOAT = TensorProto.FLOAT


class Graph:
    """Nodes and weights in the order in which they are added."""

    def __init__(self, item: Entry) -> None:
        self._item = item
        self._nodes: list[NodeProto] = []
        self._stored: list[TensorProto] = []

    def node(
        self, operator: str, name: str, *inputs: str, output: str = "", **attributes: Any
    ) -> str:
        """Add a node of one output, which is named like the node unless said otherwise."""
        output = output or name
        self._nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def weight(self, name: str, *dims: int) -> str:
        """Add a weight of this shape."""
        self._stored.append(TensorProto(name=name, dims=dims, data_type=_FLOAT))
        return name

    def target(self, name: str, *sizes: int) -> str:
        """Add the shape operand of a Reshape."""
        self._stored.append(helper.make_tensor(name, TensorProto.INT64, [len(sizes)], sizes))
        return name

    def scalar(self, layer: str, name: str, value: float) -> str:
        """Add a constant that is an operand of one layer, and no weight (`rules`)."""
        name = f"{layer}/{name}"
        self._stored.append(helper.make_tensor(name, _FLOAT, [], [value]))
        return name

    def normalise(
        self, name: str, x: str, statistics: Sequence[str], width: int, *, output: str = ""
    ) -> str:
        """Add a batch norm; `statistics` name its scale, shift, mean and variance."""
        stored = [self.weight(each, width) for each in statistics]
        return self.node("BatchNormalization", name, x, *stored, output=output, epsilon=1e-5)

    def model(self, output: str, *dims: int) -> ModelProto:
        """The model of one output, whose shape has these sizes behind the batch."""
        graph = helper.make_graph(
            self._nodes,
            self._item.name,
            [_value(given.name, given.shape) for given in self._item.inputs],
            [_value(output, ("batch", *dims))],
            self._stored,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def square(size: int, stride: int = 1, padding: int = 0) -> dict[str, Any]:
    """Attributes of a square window that moves over an image."""
    return {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def _value(name: str, dims: Sequence[str | int]) -> Any:
    return helper.make_tensor_value_info(name, _FLOAT, list(dims))
