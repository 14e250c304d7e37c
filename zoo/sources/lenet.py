"""LeNet, node for node: the two-convolution MNIST network that CNTK's tutorial made known.

After LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition". The
names are CNTK's, as users of the ONNX model zoo know them.
"""

from __future__ import annotations

from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

_WEIGHTS = {
    "Parameter193": (16, 4, 4, 10),
    "Parameter5": (8, 1, 5, 5),
    "Parameter6": (8, 1, 1),
    "Parameter87": (16, 8, 5, 5),
    "Parameter88": (16, 1, 1),
    "Parameter194": (1, 10),
}
_TARGETS = {
    "Parameter193_reshape1_shape": (256, 10),
    "Pooling160_Output_0_reshape0_shape": (-1, 256),
}


def build() -> ModelProto:
    """LeNet for `Input3` [batch, 1, 28, 28] to `Plus214_Output_0` [batch, 10], opset 13.

    Its weights have shapes but no data.
    """
    graph = helper.make_graph(
        _nodes(),
        "lenet",
        [_value("Input3", ["batch", 1, 28, 28])],
        [_value("Plus214_Output_0", ["batch", 10])],
        [_weight(name, dims) for name, dims in _WEIGHTS.items()]
        + [
            helper.make_tensor(name, TensorProto.INT64, [len(dims)], dims)
            for name, dims in _TARGETS.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _nodes() -> list[NodeProto]:
    flat = "Pooling160_Output_0_reshape0"
    return [
        _view("Times212_reshape1", "Parameter193", "Parameter193_reshape1"),
        _convolution("Convolution28", "Input3", "Parameter5"),
        _node("Add", "Plus30", "Convolution28_Output_0", "Parameter6"),
        _node("Relu", "ReLU32", "Plus30_Output_0"),
        _pooling("Pooling66", "ReLU32_Output_0", 2),
        _convolution("Convolution110", "Pooling66_Output_0", "Parameter87"),
        _node("Add", "Plus112", "Convolution110_Output_0", "Parameter88"),
        _node("Relu", "ReLU114", "Plus112_Output_0"),
        _pooling("Pooling160", "ReLU114_Output_0", 3),
        _view("Times212_reshape0", "Pooling160_Output_0", flat),
        _node("MatMul", "Times212", flat, "Parameter193_reshape1"),
        _node("Add", "Plus214", "Times212_Output_0", "Parameter194"),
    ]


def _node(operator: str, name: str, *inputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [f"{name}_Output_0"], name=name, **attributes)


def _view(name: str, data: str, output: str) -> NodeProto:
    return helper.make_node("Reshape", [data, f"{output}_shape"], [output], name=name)


def _convolution(name: str, data: str, weight: str) -> NodeProto:
    """5×5, padded so that height and width stay."""
    return _node("Conv", name, data, weight, kernel_shape=[5, 5], pads=[2, 2, 2, 2])


def _pooling(name: str, data: str, size: int) -> NodeProto:
    """Windows side by side."""
    return _node("MaxPool", name, data, kernel_shape=[size, size], strides=[size, size])


def _value(name: str, dims: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def _weight(name: str, dims: tuple[int, ...]) -> TensorProto:
    return TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT)
