"""Quantising, dequantising, and elementwise operators between quantised tensors."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call
from onnxprof.cost.base.work import Formula, Work
from onnxprof.cost.operators.elementwise import FUNCTIONS, QUICK_GELU

#: An element over its scale, rounded and kept within two limits.
_QUANTISED = Work(divisions=1, comparisons=3)
_SHIFT = Work(adds=1)
_SCALE = Work(multiplies=1)


def _quantise(call: Call) -> Work:
    return (_QUANTISED + _SHIFT * call.has(2)) * call.out_elements()


def _dequantise(call: Call) -> Work:
    return (_SCALE + _SHIFT * call.has(2)) * call.out_elements()


def _dynamic(call: Call) -> Work:
    """Smallest and largest element (0 included), scale and zero point, then each element."""
    size = call.elements()
    found = Work(adds=2, divisions=2, comparisons=3) + Work(comparisons=2) * size
    return found + (_QUANTISED + _SHIFT) * size


def between(work: Work, operands: int = 1) -> Formula:
    """So much work an element, between dequantising its operands and quantising the result."""
    whole = (_SCALE + _SHIFT) * operands + work + _QUANTISED + _SHIFT

    def formula(call: Call) -> Work:
        return whole * call.out_elements()

    return formula


def _concat(call: Call) -> Work:
    """Each input has a scale of its own."""
    return (_SCALE + _SHIFT + _QUANTISED + _SHIFT) * call.out_elements()


def _ordered(call: Call) -> Work:
    return _QUANTISED * call.out_elements()


def _ordered_back(call: Call) -> Work:
    return _SCALE * call.out_elements()


OPERATORS: Mapping[str, Formula] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "DynamicQuantizeLinear": _dynamic,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
    "QuantizeWithOrder": _ordered,
    "DequantizeWithOrder": _ordered_back,
    "QLinearAdd": between(Work(adds=1), 2),
    "QLinearMul": between(Work(multiplies=1), 2),
    "QLinearWhere": between(Work(comparisons=1), 2),
    "QLinearSigmoid": between(FUNCTIONS["Sigmoid"]),
    "QLinearLeakyRelu": between(FUNCTIONS["LeakyRelu"]),
    "QOrderedGelu": between(QUICK_GELU),
    "QLinearConcat": _concat,
}
