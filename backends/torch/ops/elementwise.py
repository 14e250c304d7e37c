"""Operators that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Function, Table
from onnxprof.backends.torch.base.values import dtype_of, is_narrow, to_numpy, to_torch


def _before_opset_7(function: Function) -> Function:
    """Broadcasting by attributes: `b` is aligned with `a` from `axis` on."""

    def run(a: Any, b: Any, *, axis: int | None = None, broadcast: int = 0) -> Any:
        if broadcast and axis is not None:
            tail = a.dim() - axis % a.dim() - b.dim()
            b = b.reshape(*b.shape, *([1] * tail))
        return function(a, b)

    return run


def _div(a: Any, b: Any) -> Any:
    if a.is_floating_point() or a.is_complex():
        return torch.div(a, b)
    return torch.div(a, b, rounding_mode="trunc")


def _mod(a: Any, b: Any, *, fmod: int = 0) -> Any:
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def _pow(a: Any, b: Any) -> Any:
    if not a.is_floating_point() and b.is_floating_point():
        return torch.pow(a.double(), b).to(a.dtype)
    return torch.pow(a, b.to(a.dtype)) if a.dtype != b.dtype else torch.pow(a, b)


def _bit_shift(a: Any, b: Any, *, direction: str) -> Any:
    left = direction == "LEFT"
    return (torch.bitwise_left_shift if left else torch.bitwise_right_shift)(a, b)


def _variadic(function: Callable[[Any, Any], Any]) -> Function:
    def run(*x: Any) -> Any:
        return reduce(function, x)

    return run


def _mean(*x: Any) -> Any:
    return reduce(torch.add, x) / len(x)


def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if low is None and high is None:
        return x
    if x.is_floating_point() or x.dtype == torch.int64:
        return torch.clamp(x, low, high)
    bounds = [None if bound is None else bound.to(x.dtype) for bound in (low, high)]
    return torch.clamp(x, *bounds)


def _clip_by_attributes(x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    return x if min is None and max is None else torch.clamp(x, min, max)


def _reciprocal(x: Any) -> Any:
    return torch.reciprocal(x)


def _elu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.elu(x, alpha)


def _selu(x: Any, *, alpha: float = 1.67326319217681884765625,
          gamma: float = 1.05070102214813232421875) -> Any:  # fmt: skip
    return gamma * F.elu(x, alpha)


def _celu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.celu(x, alpha)


def _leaky_relu(x: Any, *, alpha: float = 0.01) -> Any:
    return F.leaky_relu(x, alpha)


def _thresholded_relu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.threshold(x, alpha, 0.0)


def _prelu(x: Any, slope: Any) -> Any:
    per_channel = slope.dim() == x.dim() - 1 and slope.numel() == slope.shape[0] == x.shape[1]
    if slope.numel() == 1 or (per_channel and x.dim() > 1):
        return torch.prelu(x, slope.reshape(-1))
    return torch.where(x < 0, x * slope, x)


def _hard_sigmoid(x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    if beta == 0.5 and abs(alpha * 6 - 1) < 1e-6:
        return F.hardsigmoid(x)
    return torch.clamp(alpha * x + beta, 0, 1)


def _softplus(x: Any) -> Any:
    return F.softplus(x)


def _softsign(x: Any) -> Any:
    return F.softsign(x)


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    return F.gelu(x, approximate=approximate)


def _swish(x: Any, *, alpha: float = 1.0) -> Any:
    return F.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


def _shrink(x: Any, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    shrunk = torch.where(x > lambd, x - bias, torch.zeros_like(x))
    return torch.where(x < -lambd, x + bias, shrunk)


def _scaled_tanh(x: Any, *, alpha: float = 1.0, beta: float = 1.0) -> Any:
    return alpha * torch.tanh(beta * x)


def _is_inf(x: Any, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    if detect_negative and detect_positive:
        return torch.isinf(x)
    if not detect_negative and not detect_positive:
        return torch.zeros_like(x, dtype=torch.bool)
    return torch.isposinf(x) if detect_positive else torch.isneginf(x)


def _is_nan(x: Any) -> Any:
    return torch.isnan(x.float() if x.element_size() == 1 else x)


_ROUNDINGS = {"up": "ceil", "down": "floor", "nearest": "round"}


def _cast(*, to: int, saturate: int = 1, round_mode: str = "up") -> Function:
    """Cast, to the wider type that holds the values where torch lacks one; see `values.py`."""
    dtype = dtype_of(to)
    name = str(dtype)
    if is_narrow(to):
        return partial(_cast_by_numpy, to=to)
    if name.startswith("torch.float8_e8m0"):
        return partial(_cast_to_exponent, mode=_ROUNDINGS.get(round_mode, "ceil"))
    if name.startswith("torch.float8"):
        return partial(_cast_to_float8, dtype=dtype, saturate=bool(saturate))

    def run(x: Any) -> Any:
        return x.to(dtype)

    return run


def _cast_by_numpy(x: Any, *, to: int) -> Any:
    import onnx

    numpy_type = onnx.helper.tensor_dtype_to_np_dtype(to)
    return to_torch(to_numpy(x).astype(numpy_type)).to(x.device)


def _cast_to_exponent(x: Any, *, mode: str) -> Any:
    """Cast to E8M0, which has only powers of two; other values are rounded by the mode."""
    exact = torch.log2(x.double())
    if mode == "round":
        mantissa, exponent = torch.frexp(x.double())
        exact = torch.where(mantissa >= 0.75, exponent, exponent - 1).double()
    rounded = torch.exp2(getattr(torch, mode)(exact))
    return rounded.clamp(2.0**-127, 2.0**127).float().to(torch.float8_e8m0fnu)


def _cast_to_float8(x: Any, *, dtype: Any, saturate: bool) -> Any:
    """Beyond the range: the largest value if saturating, else infinity, or NaN without one."""
    x, largest = x.float(), torch.finfo(dtype).max
    if saturate:
        return x.clamp(-largest, largest).to(dtype)
    ieee = dtype == torch.float8_e5m2
    beyond = x.abs() > largest
    made = x.clamp(-largest, largest).to(dtype).float()
    if ieee:
        made = torch.where(beyond & ~x.isnan(), torch.copysign(torch.full_like(x, torch.inf), x),
                           made)  # fmt: skip
        return made.to(dtype)
    return torch.where(beyond, torch.full_like(x, torch.nan), made).to(dtype)


def _cast_like(x: Any, like: Any, *, saturate: int = 1, round_mode: str = "up") -> Any:
    if str(like.dtype).startswith("torch.float8"):
        if like.element_size() == 1 and "e8m0" in str(like.dtype):
            return _cast_to_exponent(x, mode=_ROUNDINGS.get(round_mode, "ceil"))
        return _cast_to_float8(x, dtype=like.dtype, saturate=bool(saturate))
    return x.to(like.dtype)


def _bit_cast(*, to: int) -> Function:
    dtype = dtype_of(to)

    def run(x: Any) -> Any:
        return x.view(dtype)

    return run


def _identity(x: Any) -> Any:
    return x


def table() -> Table:
    """Operator to function."""
    from onnxprof.backends.torch.base.operator import made

    binary = {
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": _div, "Pow": _pow,
        "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor,
        "Equal": torch.eq, "Less": torch.lt, "Greater": torch.gt,
    }  # fmt: skip
    return {
        **{name: {1: _before_opset_7(call), 7: call} for name, call in binary.items()},
        "LessOrEqual": torch.le, "GreaterOrEqual": torch.ge, "Mod": _mod,
        "BitShift": _bit_shift, "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or,
        "BitwiseXor": torch.bitwise_xor, "BitwiseNot": torch.bitwise_not,
        "Max": _variadic(torch.maximum), "Min": _variadic(torch.minimum),
        "Sum": _variadic(torch.add), "Mean": _mean,
        "Abs": torch.abs, "Neg": torch.neg, "Sign": torch.sign, "Reciprocal": _reciprocal,
        "Sqrt": torch.sqrt, "Exp": torch.exp, "Log": torch.log, "Erf": torch.erf,
        "Ceil": torch.ceil, "Floor": torch.floor, "Round": torch.round, "Not": torch.logical_not,
        "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan,
        "Asin": torch.asin, "Acos": torch.acos, "Atan": torch.atan,
        "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh,
        "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh,
        "Relu": torch.relu, "Sigmoid": torch.sigmoid, "HardSigmoid": _hard_sigmoid,
        "HardSwish": F.hardswish, "Mish": F.mish, "Elu": _elu, "Selu": _selu, "Celu": _celu,
        "LeakyRelu": _leaky_relu, "ThresholdedRelu": _thresholded_relu, "PRelu": _prelu,
        "Softplus": _softplus, "Softsign": _softsign, "Gelu": _gelu, "Swish": _swish,
        "Shrink": _shrink, "ScaledTanh": _scaled_tanh,
        "Clip": {1: _clip_by_attributes, 11: _clip},
        "IsInf": _is_inf, "IsNaN": _is_nan, "Where": torch.where, "Identity": _identity,
        "Cast": {6: made(_cast)}, "CastLike": _cast_like, "BitCast": made(_bit_cast),
    }  # fmt: skip
