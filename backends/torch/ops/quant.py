"""Quantisation: to and from integers, and products of integers.

torch has no integer kernels for most of these; they are computed as the specification defines
them, which is exact but slow.
"""

from __future__ import annotations

import math
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table
from onnxprof.backends.torch.base.values import dtype_of, type_name
from onnxprof.backends.torch.ops.conv import _conv
from onnxprof.backends.torch.ops.elementwise import _cast

_RANGES = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}


def _spread(parameter: Any, x: Any, axis: int, block: int) -> Any:
    """A scale or zero point, broadcast to `x`: one for all, for each slice, or for each block."""
    if parameter is None or parameter.dim() == 0 or parameter.numel() == 1:
        return None if parameter is None else parameter.reshape([])
    axis = axis % x.dim()
    if block:
        return parameter.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if parameter.dim() == x.dim():
        return parameter
    return parameter.reshape([-1 if i == axis else 1 for i in range(x.dim())])


def _dequantize(
    x: Any, scale: Any, zero: Any = None, *, axis: int = 1, block_size: int = 0,
    output_dtype: int = 0,
) -> Any:  # fmt: skip
    made = dtype_of(output_dtype) if output_dtype else scale.dtype
    scale, zero = _spread(scale, x, axis, block_size), _spread(zero, x, axis, block_size)
    wide = x.to(torch.float32)
    if zero is not None:
        wide = wide - zero.to(torch.float32)
    return (wide * scale.to(torch.float32)).to(made)


def _quantize(
    x: Any, scale: Any, zero: Any = None, *, axis: int = 1, block_size: int = 0,
    output_dtype: int = 0, precision: int = 0, saturate: int = 1, zero_type: int = 0,
) -> Any:  # fmt: skip
    """`zero_type` is the declared element type of the zero point, 0 where there is none."""
    kind = output_dtype or zero_type or 2
    work = dtype_of(precision) if precision else torch.float32
    scale, zero = _spread(scale, x, axis, block_size), _spread(zero, x, axis, block_size)
    scaled = (x.to(work) / scale.to(work)).float()
    if type_name(kind).startswith("FLOAT"):
        return _cast(to=kind, saturate=saturate)(scaled)
    shift = 0 if zero is None else zero.float()
    low, high = limits(kind)
    return torch.clamp(torch.round(scaled) + shift, low, high).to(dtype_of(kind))


def limits(element_type: int) -> tuple[int, int]:
    """The least and the largest value of an integer type."""
    name = type_name(element_type)
    if name in _RANGES:
        return _RANGES[name]
    info = torch.iinfo(dtype_of(element_type))
    return info.min, info.max


def _to_8_bits(x: Any, scale: Any, zero: Any) -> Any:
    info = torch.iinfo(zero.dtype)
    return torch.clamp(torch.round(x / scale) + zero.double(), info.min, info.max).to(zero.dtype)


def _dynamic_quantize(x: Any) -> Any:
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = (high - low) / 255
    zero = torch.clamp(torch.round(-low / scale), 0, 255)
    y = torch.clamp(torch.round(x / scale) + zero, 0, 255).to(torch.uint8)
    return y, scale, zero.to(torch.uint8)


def _centred(x: Any, zero: Any, axis: int) -> Any:
    """Values less the zero point, in doubles, which hold sums of 8-bit products exactly."""
    wide = x.double()
    if zero is None:
        return wide
    return wide - (zero.double() if zero.dim() != 1 or zero.numel() == 1 else _along(zero, x, axis))


def _along(zero: Any, x: Any, axis: int) -> Any:
    return zero.double().reshape([-1 if i == axis % x.dim() else 1 for i in range(x.dim())])


def _matmul_integer(a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    return torch.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1)).to(torch.int32)


def _qlinear_matmul(a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any,
                    y_scale: Any, y_zero: Any) -> Any:  # fmt: skip
    product = torch.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1))
    scale = (a_scale.double() * b_scale.double()) / y_scale.double()
    return _to_8_bits(product * scale, 1.0, y_zero)


def _conv_integer(x: Any, w: Any, x_zero: Any = None, w_zero: Any = None, *,
                  auto_pad: str = "NOTSET", dilations: Any = None, group: int = 1,
                  kernel_shape: Any = None, pads: Any = None, strides: Any = None,
                  ) -> Any:  # fmt: skip
    convolve = _conv(auto_pad=auto_pad, dilations=dilations, group=group,
                     kernel_shape=kernel_shape, pads=pads, strides=strides)  # fmt: skip
    return convolve(_centred(x, x_zero, 1), _centred(w, w_zero, 0)).to(torch.int32)


def _qlinear_conv(x: Any, x_scale: Any, x_zero: Any, w: Any, w_scale: Any, w_zero: Any,
                  y_scale: Any, y_zero: Any, b: Any = None, *, auto_pad: str = "NOTSET",
                  dilations: Any = None, group: int = 1, kernel_shape: Any = None,
                  pads: Any = None, strides: Any = None) -> Any:  # fmt: skip
    convolve = _conv(auto_pad=auto_pad, dilations=dilations, group=group,
                     kernel_shape=kernel_shape, pads=pads, strides=strides)  # fmt: skip
    bias = None if b is None else b.double()
    sums = convolve(_centred(x, x_zero, 1), _centred(w, w_zero, 0), bias)
    scale = w_scale.double().reshape([-1] + [1] * (x.dim() - 2)) if w_scale.numel() > 1 else w_scale
    return _to_8_bits(sums * (x_scale.double() * scale / y_scale.double()), 1.0, y_zero)


def _random_like(name: str) -> Any:
    def run(x: Any, *, dtype: int = 0, high: float = 1.0, low: float = 0.0, mean: float = 0.0,
            scale: float = 1.0, seed: float = math.nan) -> Any:  # fmt: skip
        kind = dtype_of(dtype) if dtype else x.dtype
        return _drawn(name, x.shape, x.device, seed, (low, high) if name == "rand" else
                      (mean, mean + scale)).to(kind)  # fmt: skip

    return run


def _random(name: str) -> Any:
    def run(*, shape: list[int], dtype: int = 1, high: float = 1.0, low: float = 0.0,
            mean: float = 0.0, scale: float = 1.0, seed: float = math.nan) -> Any:  # fmt: skip
        ends = (low, high) if name == "rand" else (mean, mean + scale)
        return _drawn(name, shape, "cpu", seed, ends).to(dtype_of(dtype))

    return run


def _drawn(name: str, shape: Any, device: Any, seed: float, ends: tuple[float, float]) -> Any:
    generator = None if math.isnan(seed) else torch.Generator(device).manual_seed(int(seed))
    drawn = getattr(torch, name)(tuple(shape), generator=generator, device=device)
    return ends[0] + (ends[1] - ends[0]) * drawn


def _bernoulli(x: Any, *, dtype: int = 0, seed: float = math.nan) -> Any:
    generator = None if math.isnan(seed) else torch.Generator(x.device).manual_seed(int(seed))
    return torch.bernoulli(x, generator=generator).to(dtype_of(dtype) if dtype else x.dtype)


def _multinomial(x: Any, *, dtype: int = 6, sample_size: int = 1, seed: float = math.nan) -> Any:
    generator = None if math.isnan(seed) else torch.Generator(x.device).manual_seed(int(seed))
    drawn = torch.multinomial(torch.softmax(x, 1), sample_size, True, generator=generator)
    return drawn.to(dtype_of(dtype))


def table() -> Table:
    """Operator to function; includes the operators that draw random numbers."""
    return {
        "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize,
        "DynamicQuantizeLinear": _dynamic_quantize, "MatMulInteger": _matmul_integer,
        "QLinearMatMul": _qlinear_matmul, "ConvInteger": _conv_integer,
        "QLinearConv": _qlinear_conv,
        "RandomUniformLike": _random_like("rand"), "RandomNormalLike": _random_like("randn"),
        "RandomUniform": _random("rand"), "RandomNormal": _random("randn"),
        "Bernoulli": _bernoulli, "Multinomial": _multinomial,
    }  # fmt: skip
