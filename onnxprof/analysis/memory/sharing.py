"""Operators whose output takes no memory of its own, or that of an input which ends with them.

onnxruntime's CPU kernels declare this (`Alias` and `MayInplace` of their kernel definitions); its
allocation planner then shares the buffer if shapes and element sizes are equal and nobody needs
the input afterwards. Other runtimes do the same for the same operators by and large.
"""

from __future__ import annotations

from onnxprof.records.layer import Layer

#: The output is the first input in another shape.
VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"})

#: The output may be written over an input, element by element.
_ELEMENTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Sum", "Abs", "Neg", "Floor", "Ceil", "Reciprocal", "Sqrt"}
    | {"Exp", "Log", "Not", "Cast", "Clip", "Relu", "LeakyRelu", "ThresholdedRelu", "PRelu"}
    | {"Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"}
    | {"Softsign", "Mish", "Erf", "ScaledTanh", "ParametricSoftplus"}
)
#: The same, row by row or where an input is changed.
_IN_PLACE = _ELEMENTWISE | {"Softmax", "LogSoftmax", "Trilu", "ScatterElements", "ScatterND"}
#: A sum or an activation behind these is computed with them, in the sum's other operand.
_TAKES_A_SUM = frozenset({"Conv", "FusedConv", "NhwcFusedConv"})


def is_view(layer: Layer) -> bool:
    """Whether the layer only passes its first input on."""
    return layer.op_type in VIEWS and not layer.domain


def is_elementwise(layer: Layer) -> bool:
    """Whether the layer works element by element and may do so in place."""
    return layer.op_type in _ELEMENTWISE and not layer.domain


def may_overwrite(covered: tuple[Layer, ...]) -> tuple[str, ...]:
    """Names of inputs that a step over these layers may write its output over, if they end there.

    A fused step writes over the other operand of a sum that a convolution took in, and over no
    other input: an activation such as x·sigmoid(x) needs its input to the end.
    """
    if len(covered) == 1:
        (layer,) = covered
        return tuple(t.name for t in layer.inputs) if layer.op_type in _IN_PLACE else ()
    if any(layer.op_type in _TAKES_A_SUM for layer in covered):
        sums = (layer for layer in covered if layer.op_type in ("Add", "Sum"))
        return tuple(t.name for layer in sums for t in layer.inputs)
    return ()
