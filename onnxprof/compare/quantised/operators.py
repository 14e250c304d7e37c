"""Operators of quantised networks, and the float operators that they stand for.

Sources: the ONNX operator specification, and ContribOperators.md of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.records.layer import Layer, LayerTable

#: Operators that convert between floats and integers and do nothing else.
QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_FLOAT_OF = {
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "FusedConv": "Conv",
    "NhwcFusedConv": "Conv",
    "QLinearMatMul": "MatMul",
    "MatMulInteger": "MatMul",
    "MatMulInteger16": "MatMul",
    "MatMulIntegerToFloat": "MatMul",
    "DynamicQuantizeMatMul": "MatMul",
    "MatMulNBits": "MatMul",
    "MatMulBnb4": "MatMul",
    "MatMulFpQ4": "MatMul",
    "QGemm": "MatMul",
    "Gemm": "MatMul",
    "FusedMatMul": "MatMul",
    "FusedGemm": "MatMul",
    "QAttention": "Attention",
    "QOrderedAttention": "Attention",
    "QEmbedLayerNormalization": "EmbedLayerNormalization",
    "DynamicQuantizeLSTM": "LSTM",
    "GatherBlockQuantized": "Gather",
    "QMoE": "MoE",
}
_LINEAR = "QLinear"
#: Where integer operators have their data; what lies between is scales and zero points.
_DATA = {
    "QLinearMatMul": (0, 3),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "QGemm": (0, 3, 6),
    "QLinearWhere": (0, 1, 4),
    "MatMulInteger": (0, 1),
    "MatMulInteger16": (0, 1),
    "ConvInteger": (0, 1),
    "DynamicQuantizeMatMul": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "QLinearConv": (0, 3),
}
#: Their results are integers that a Cast and a Mul by scales turn into floats.
ACCUMULATORS = frozenset({"ConvInteger", "MatMulInteger", "MatMulInteger16"})
#: Float operators that a quantised kernel, or what prepares a model, takes in.
ABSORBED = frozenset(
    {"BatchNormalization", "Relu", "Clip", "Identity", "Dropout", "Cast", "LeakyRelu", "HardSwish"}
    | {"Add", "Sub", "Mul", "Div", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "HardSigmoid"}
)
#: Operators that work on integers as they do on floats: quantised, they keep their names.
PASSING = frozenset(
    {"MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Relu", "Clip"}
    | {"Identity", "Dropout", "Slice", "Split", "Gather", "Concat", "Pad", "Resize", "Expand"}
)


def float_operator(op_type: str) -> str:
    """The float operator that one stands for; Gemm counts as MatMul, since tools turn either."""
    if op_type in _FLOAT_OF:
        return _FLOAT_OF[op_type]
    return op_type.removeprefix(_LINEAR) if op_type.startswith(_LINEAR) else op_type


def is_integer(op_type: str) -> bool:
    """Whether an operator has integers for floats."""
    return op_type.startswith(("QLinear", "DynamicQuantize", "MatMulInteger")) or (
        op_type in _FLOAT_OF
        and op_type not in ("Gemm",)
        and not op_type.startswith("Fused")
        and op_type != "NhwcFusedConv"
    )


def is_quantised(table: LayerTable) -> bool:
    """Whether a network has operators that only quantised networks have."""
    return any(n.op_type in QUANTISERS or is_integer(n.op_type) for n in table.nodes)


def data_positions(layer: Layer) -> Sequence[int]:
    """Positions of inputs that are data or weights, without scales and zero points."""
    if layer.op_type == "QLinearConcat":
        return range(2, len(layer.inputs), 3)
    if layer.op_type in QUANTISERS or layer.op_type.startswith(_LINEAR):
        return _DATA.get(layer.op_type, (0,))
    return _DATA.get(layer.op_type, range(len(layer.inputs)))


def data_names(layer: Layer) -> Iterator[str]:
    """Names of these inputs."""
    for place in data_positions(layer):
        if place < len(layer.inputs):
            yield layer.inputs[place].name
