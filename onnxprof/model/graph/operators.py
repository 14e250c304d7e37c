"""Facts about operators: coarse classes, operands that describe shapes, random numbers."""

from __future__ import annotations

#: The default domain under both of its names.
DEFAULT_DOMAINS = ("", "ai.onnx")

_CLASSES = {
    "ElementWise": ("Add", "Sum", "Sub", "Mul", "Div", "Min", "Max"),
    "Gemm": ("MatMul", "Gemm"),
    "Pooling": ("MaxPool", "AveragePool"),
    "GlobalPooling": ("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"),
    "Relu": ("Relu", "LeakyRelu", "PRelu"),
    "BatchNorm": ("BatchNormalization",),
}
_CLASS_OF = {op: name for name, ops in _CLASSES.items() for op in ops}

#: Positions of a recurrent operator's initial states, which have the batch at axis 1 (operator
#: specification, layout 0).
STATE_INPUTS = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}

#: Operators whose results differ from call to call: never constant, never equal to another node.
RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}
    | {"Bernoulli"}
)
#: The same and Dropout, which draws random numbers in training mode.
MAY_DRAW = RANDOM_OPERATORS | {"Dropout"}

#: Input positions of operands that are shapes, or axes and bounds of a part of one.
_SHAPE_OPERANDS: dict[str, tuple[int, ...]] = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "ConstantOfShape": (0,),
    "Slice": (1, 2, 3, 4),
    "Unsqueeze": (1,),
    "Squeeze": (1,),
    "Pad": (1, 3),
    "Resize": (3,),
    "Split": (1,),
    "TopK": (1,),
    "OneHot": (1,),
    "CenterCropPad": (1,),
    "AffineGrid": (1,),
    "Col2Im": (1, 2),
    "MaxUnpool": (2,),
    **{
        f"Reduce{kind}": (1,)
        for kind in (
            "Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare",
        )
    },
}  # fmt: skip
#: Input positions of counts and axes, which a layer's cost depends on, as on its shapes.
_COUNTS: dict[str, tuple[int, ...]] = {
    "Loop": (0,),
    "NonMaxSuppression": (2,),
    "DFT": (1, 2),
    "STFT": (3,),
    "CumSum": (1,),
    "CumProd": (1,),
}


def plain_domain(domain: str) -> str:
    """The domain under one name: empty for the default one."""
    return "" if domain in DEFAULT_DOMAINS else domain


def layer_type(op_type: str, domain: str) -> str:
    """The coarse class of an operator; operators outside the default domain keep their name."""
    return _CLASS_OF.get(op_type, op_type) if domain in DEFAULT_DOMAINS else op_type


def shape_operands(op_type: str, domain: str) -> tuple[int, ...]:
    """Input positions that hold shapes, axes or bounds (int64 tensors)."""
    return _SHAPE_OPERANDS.get(op_type, ()) if domain in DEFAULT_DOMAINS else ()


def counts(op_type: str, domain: str) -> tuple[int, ...]:
    """Input positions that hold counts or axes, which a layer's cost depends on."""
    return _COUNTS.get(op_type, ()) if domain in DEFAULT_DOMAINS else ()
