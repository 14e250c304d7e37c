"""Operators that compute each element of the output from one element of each input."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call
from onnxprof.cost.base.expression import product
from onnxprof.cost.base.work import Estimate, Formula, Work

#: Work of one element of a function of one argument. A sign change or absolute value is one add or
#: one comparison; a sigmoid is 1 / (1 + exp(-x)).
SIGMOID = Work(adds=1, divisions=1, exponentials=1)
FUNCTIONS: Mapping[str, Work] = {
    **dict.fromkeys(
        (
            *("Exp", "Log", "Sqrt", "Erf", "Tanh", "Sin", "Cos", "Tan", "Sinh", "Cosh"),
            *("Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh"),
        ),
        Work(exponentials=1),
    ),
    **dict.fromkeys(
        (
            *("Relu", "Abs", "Floor", "Ceil", "Round", "Not", "BitwiseNot", "IsNaN", "IsInf"),
            *("ThresholdedRelu", "Binarizer"),
        ),
        Work(comparisons=1),
    ),
    "Neg": Work(adds=1),
    "Sign": Work(comparisons=2),
    "Reciprocal": Work(divisions=1),
    "Sigmoid": SIGMOID,
    "LeakyRelu": Work(multiplies=1, comparisons=1),
    "Elu": Work(adds=1, multiplies=1, exponentials=1, comparisons=1),
    "Selu": Work(adds=1, multiplies=2, exponentials=1, comparisons=1),
    "Celu": Work(adds=1, multiplies=1, divisions=1, exponentials=1, comparisons=2),
    "HardSigmoid": Work(adds=1, multiplies=1, comparisons=2),
    "HardSwish": Work(adds=1, multiplies=2, comparisons=2),
    "Mish": Work(adds=1, multiplies=1, exponentials=3),
    "Softplus": Work(adds=1, exponentials=2),
    "Softsign": Work(adds=1, divisions=1, comparisons=1),
    "Shrink": Work(adds=1, comparisons=2),
    "Affine": Work(adds=1, multiplies=1),
    "ImageScaler": Work(adds=1, multiplies=1),
    "Scale": Work(multiplies=1),
    "ScaledTanh": Work(multiplies=2, exponentials=1),
    "ParametricSoftplus": Work(adds=1, multiplies=2, exponentials=2),
}
#: x · ½ · (1 + erf(x / √2)), its form with tanh, and x · sigmoid(alpha · x).
GELU = Work(adds=1, multiplies=3, exponentials=1)
TANH_GELU = Work(adds=2, multiplies=6, exponentials=1)
SILU = SIGMOID + Work(multiplies=1)
QUICK_GELU = SILU + Work(multiplies=1)
#: Work for each element of an output that a function of several arguments yields.
_BROADCAST: Mapping[str, Work] = {
    "Add": Work(adds=1),
    "Sub": Work(adds=1),
    "Mul": Work(multiplies=1),
    "Div": Work(divisions=1),
    "Pow": Work(exponentials=1),
    "Mod": Work(adds=1, multiplies=1, divisions=1),
    "PRelu": Work(multiplies=1, comparisons=1),
    **dict.fromkeys(
        (
            *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Where"),
            *("And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift"),
        ),
        Work(comparisons=1),
    ),
    "SwiGLU": QUICK_GELU + Work(multiplies=1),
    "ComplexMul": Work(adds=1, multiplies=2),
    "ComplexMulConj": Work(adds=1, multiplies=2),
    "BiasGelu": GELU + Work(adds=1),
    "BiasAdd": Work(adds=2),
    "MulInteger": Work(multiplies=1),
}
#: Work for each element and each input after the first.
_VARIADIC: Mapping[str, Work] = {
    "Sum": Work(adds=1),
    "Mean": Work(adds=1),
    "Max": Work(comparisons=1),
    "Min": Work(comparisons=1),
}


def each(work: Work) -> Formula:
    """A formula of so much work for each element of the output."""

    def formula(call: Call) -> Work:
        return work * call.out_elements()

    return formula


def _variadic(work: Work) -> Formula:
    def formula(call: Call) -> Work:
        return work * (call.out_elements() * (call.given() - 1))

    return formula


def _mean(call: Call) -> Work:
    return _variadic(Work(adds=1))(call) + Work(divisions=call.out_elements())  # type: ignore[operator]


def _clip(call: Call) -> Work:
    if call.layer.opset < 11:
        bounds = bool(call.text("min")) + bool(call.text("max"))
    else:
        bounds = call.has(1) + call.has(2)
    return Work(comparisons=bounds * call.out_elements())


def _gelu(call: Call) -> Work:
    return (TANH_GELU if call.text("approximate") == "tanh" else GELU) * call.out_elements()


def _fast_gelu(call: Call) -> Work:
    return (TANH_GELU + Work(adds=int(call.has(1)))) * call.out_elements()


def _swish(call: Call) -> Work:
    scaled = call.number("alpha", 1.0) != 1.0
    return (QUICK_GELU if scaled else SILU) * call.out_elements()


def _scaled_silu(call: Call) -> Work:
    return (QUICK_GELU + Work(multiplies=int(call.has(1)))) * call.out_elements()


def _glu(call: Call) -> Work:
    """SwiGLU of onnxruntime: both sides may be limited, and the value shifted by beta."""
    unit = QUICK_GELU if call.number("activation_alpha", 1.0) != 1.0 else SILU
    shift = int(call.number("activation_beta", 0.0) != 0.0)
    limits = 3 if call.number("limit", 0.0) > 0 else 0
    return (unit + Work(adds=shift, multiplies=1, comparisons=limits)) * call.out_elements()


def _standard_glu(call: Call) -> Work:
    """SwiGLU of the standard: without a factor inside where alpha is 1."""
    scaled = call.number("alpha", 1.0) != 1.0
    return ((QUICK_GELU if scaled else SILU) + Work(multiplies=1)) * call.out_elements()


def _gated_add(call: Call) -> Work:
    """The gate of a row is given, or the sigmoid of a product."""
    work = Work(adds=1, multiplies=1) * call.out_elements()
    if not call.has(3):
        return work
    return work + Work(macs=call.elements(2)) + SIGMOID * product(call.out()[:-1])


def _dropout(call: Call) -> Work | Estimate:
    """Outside of training the output is the input."""
    if call.has(2):
        # whether it trains is decided by data: each element is compared with the ratio and scaled
        work = Work(multiplies=1, comparisons=1) * call.out_elements()
        return Estimate(work, bound="in training mode; otherwise nothing is computed")
    return Estimate(view=True)


def _bias_dropout(call: Call) -> Work:
    return Work(adds=1 + int(call.has(2))) * call.out_elements()


def _bias_split_gelu(call: Call) -> Work:
    """Both halves get their bias; one half is the gate of the other."""
    return (GELU + Work(adds=2, multiplies=1)) * call.out_elements()


def activation(name: str) -> Work | None:
    """Work of one element of a named function; None for an unknown one, zero without a name."""
    known = {name.lower(): work for name, work in FUNCTIONS.items()}
    others = {"": Work(), "identity": Work(), "none": Work(), "silu": SILU, "swish": SILU}
    clip = {"clip": Work(comparisons=2), "gelu": GELU, "fastgelu": TANH_GELU, "gelutanh": TANH_GELU}
    return (known | others | clip).get(name.lower())


def pairs(call: Call) -> Work:
    """Distances of the rows of A to those of B: a difference, a square, a sum an element."""
    elements = product((*call.out(), call.shape(0)[-1]))
    root = call.out_elements() if call.text("metric", "sqeuclidean") == "euclidean" else 0
    return Work(macs=elements, adds=elements, exponentials=root)


OPERATORS: Mapping[str, Formula] = {
    **{name: each(work) for name, work in (*FUNCTIONS.items(), *_BROADCAST.items())},
    **{name: _variadic(work) for name, work in _VARIADIC.items()},
    "Mean": _mean,
    "Clip": _clip,
    "Gelu": _gelu,
    "Swish": _swish,
    "SwiGLU": _standard_glu,
    "Dropout": _dropout,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "SwiGLU": _glu,
    "Gelu": each(GELU),
    "FastGelu": _fast_gelu,
    "QuickGelu": each(QUICK_GELU),
    "BiasGelu": each(_BROADCAST["BiasGelu"]),
    "BiasAdd": each(_BROADCAST["BiasAdd"]),
    "BiasSplitGelu": _bias_split_gelu,
    "BiasDropout": _bias_dropout,
    "BitmaskBiasDropout": _bias_dropout,
    "BitmaskDropout": _dropout,
    "ComplexMul": each(_BROADCAST["ComplexMul"]),
    "ComplexMulConj": each(_BROADCAST["ComplexMulConj"]),
    "MulInteger": each(_BROADCAST["MulInteger"]),
    "ScaledSiLU": _scaled_silu,
    "GatedAdd": _gated_add,
    "CDist": pairs,
}
