"""Stand-ins from the standard operators for runtime operators, for shape inference alone."""

from __future__ import annotations

from onnx import GraphProto, NodeProto

from onnxprof.graph import graphs

#: Operator of `com.microsoft` to a standard operator of the same output shape and element
#: type, with the inputs that matter (onnxruntime, docs/ContribOperators.md).
_STAND_INS: dict[str, tuple[str, tuple[int, ...]]] = {
    "Gelu": ("Identity", (0,)),
    "FastGelu": ("Identity", (0,)),
    "QuickGelu": ("Identity", (0,)),
    "BiasGelu": ("Add", (0, 1)),
    "SkipLayerNormalization": ("Identity", (0,)),
    "SimplifiedLayerNormalization": ("Identity", (0,)),
    "SkipSimplifiedLayerNormalization": ("Identity", (0,)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
}


def standardise(graph: GraphProto) -> None:
    """Replace nodes that have a stand-in, in place, subgraphs included."""
    for each in graphs(graph):
        for node in each.node:
            if node.domain == "com.microsoft":
                _stand_in(node)


def _stand_in(node: NodeProto) -> None:
    if node.op_type == "QLinearConcat":
        _set(node, "Concat", list(node.input[2::3]))
    elif node.op_type == "QLinearGlobalAveragePool" and not _flag(node, "channels_last"):
        _set(node, "GlobalAveragePool", [node.input[0]], keep_attributes=False)
    elif node.op_type in _STAND_INS:
        op_type, positions = _STAND_INS[node.op_type]
        inputs = [node.input[i] for i in positions if i < len(node.input)]
        quantises = op_type.endswith("Linear")
        _set(node, op_type, inputs, keep_attributes=quantises)


def _flag(node: NodeProto, name: str) -> bool:
    return any(a.name == name and a.i for a in node.attribute)


def _set(node: NodeProto, op_type: str, inputs: list[str], keep_attributes: bool = True) -> None:
    node.op_type, node.domain = op_type, ""
    del node.input[:]
    node.input.extend(inputs)
    if not keep_attributes:
        del node.attribute[:]
    # further outputs (means, sums) have other shapes: leave them unknown
    del node.output[1:]
