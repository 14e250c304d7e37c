"""Weights of few bits, and products of integers that yield floating-point numbers.

Constant weights of products are unpacked and scaled once, while loading: torch's kernels for packed
weights have no stable interface, round to bfloat16 where they are fast, and take far longer than
products with unpacked weights in float32 (2.13, `_weight_int4pack_mm_for_cpu`).
"""

from __future__ import annotations

from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import COMPUTED, Operator, Table
from onnxprof.errors import BackendError

_UINT8 = 2


def unpacked(packed: Any, bits: int) -> Any:
    """The elements of bytes, the lowest bits first, along the last axis."""
    if bits not in (2, 4, 8):
        raise BackendError(f"weights of {bits} bits are not supported")
    if bits == 8:
        return packed
    mask = (1 << bits) - 1
    parts = [(packed >> shift) & mask for shift in range(0, 8, bits)]
    return torch.stack(parts, -1).flatten(-2)


def weights(
    packed: Any, scales: Any, zeros: Any, rows: int, columns: int, bits: int, block: int
) -> Any:
    """[rows, columns] of blocks along the columns, each with a scale and perhaps a zero point."""
    blocks = -(-columns // block)
    scales = scales.reshape(rows, blocks, 1)
    wide = unpacked(packed.reshape(rows, blocks, -1), bits)[..., :block].to(scales.dtype)
    wide = (wide - _zeros(zeros, rows, blocks, bits, scales)) * scales
    return wide.reshape(rows, -1)[:, :columns]


def _zeros(zeros: Any, rows: int, blocks: int, bits: int, scales: Any) -> Any:
    if zeros is None:
        return float(1 << (bits - 1))
    if zeros.dtype == torch.uint8:
        zeros = unpacked(zeros.reshape(rows, -1), bits)[:, :blocks]
    return zeros.reshape(rows, blocks, 1).to(scales.dtype)


def _nbits(
    a: Any, b: Any, scales: Any, zeros: Any = None, groups: Any = None, bias: Any = None, *,
    K: int, N: int, block_size: int, bits: int = 4, accuracy_level: int = 0,
    weight_prepacked: int = 0,
) -> Any:  # fmt: skip
    """`b` may be unpacked. `accuracy_level` lets a runtime round the input; here it never is."""
    del accuracy_level
    if groups is not None or weight_prepacked:
        raise BackendError("its weights are in an order that only onnxruntime knows")
    packed = not b.is_floating_point()
    held = weights(b, scales, zeros, N, K, bits, block_size) if packed else b
    return torch.nn.functional.linear(a, held.to(a.dtype), bias)


def _nbits_ready(
    a: Any, b: Any, scales: Any, zeros: Any = None, groups: Any = None, bias: Any = None, *,
    K: int, N: int, block_size: int, bits: int = 4, accuracy_level: int = 0,
    weight_prepacked: int = 0,
) -> dict[int, Any]:  # fmt: skip
    """The weights, unpacked; nothing where any part of them is computed."""
    del a, bias, accuracy_level
    if any(x is COMPUTED for x in (b, scales, zeros)) or groups is not None or weight_prepacked:
        return {}
    return {1: weights(b, scales, zeros, N, K, bits, block_size)}


def _gather(
    data: Any, indices: Any, scales: Any, zeros: Any = None, *, bits: int = 4,
    block_size: int = 128, gather_axis: int = 0, quantize_axis: int = 1, first_type: int = 0,
) -> Any:  # fmt: skip
    """Rows are picked first, then scaled. `first_type` is the data's declared element type."""
    axis, along = gather_axis % data.dim(), quantize_axis % data.dim()
    packs = first_type == _UINT8 and bits < 8
    picked = _picked(data, indices, axis)
    zero = float(1 << (bits - 1)) if first_type == _UINT8 else 0.0
    rows = unpacked(picked, bits) if packs else picked
    # indices of several axes move the axes behind the gathered one
    place = along + (indices.dim() - 1 if along > axis else 0)
    scale = _picked(scales, indices, axis) if scales.shape[axis] > 1 else scales
    size = block_size or rows.shape[place]
    wide = rows.to(scales.dtype)
    if zeros is not None:
        held = _picked(zeros, indices, axis)
        if packs:
            held = unpacked(held, bits)
        wide = wide - _by_blocks(held.to(scales.dtype), place, size, rows.shape[place])
    elif zero:
        wide = wide - zero
    return wide * _by_blocks(scale, place, size, rows.shape[place])


def _picked(data: Any, indices: Any, axis: int) -> Any:
    flat = indices.reshape(-1).long()
    flat = torch.where(flat < 0, flat + data.shape[axis], flat)
    found = data.index_select(axis, flat)
    return found.reshape(*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])


def _by_blocks(held: Any, axis: int, block: int, length: int) -> Any:
    """A value for each element, of one for each block of an axis."""
    return held.repeat_interleave(block, axis).narrow(axis, 0, length)


def _dynamic(a: Any, b: Any, scale: Any, zero: Any = None, bias: Any = None) -> Any:
    """The left factor is rounded to 8 bits on the way, by its largest and least value."""
    low, high = a.amin().clamp(max=0), a.amax().clamp(min=0)
    step = (high - low) / 255
    middle = torch.clamp(torch.round(-low / step), 0, 255)
    rounded = torch.clamp(torch.round(a / step) + middle, 0, 255) - middle
    return _scaled(rounded.double(), _less(b, zero), step * scale, bias, a.dtype)


def _to_float(
    a: Any, b: Any, a_scale: Any, b_scale: Any, a_zero: Any = None, b_zero: Any = None,
    bias: Any = None,
) -> Any:  # fmt: skip
    return _scaled(_less(a, a_zero), _less(b, b_zero), a_scale * b_scale, bias, a_scale.dtype)


def _less(x: Any, zero: Any) -> Any:
    """Values less the zero point, in doubles, which hold sums of 8-bit products exactly."""
    return x.double() if zero is None else x.double() - zero.double()


def _scaled(a: Any, b: Any, scale: Any, bias: Any, dtype: Any) -> Any:
    product = torch.matmul(a, b) * scale.double()
    return (product if bias is None else product + bias.double()).to(dtype)


def _fused(
    a: Any, b: Any, *, alpha: float = 1.0, transA: int = 0, transB: int = 0, transBatchA: int = 0,
    transBatchB: int = 0,
) -> Any:  # fmt: skip
    """A product of transposed factors; batch axes are shifted before the last two are swapped."""
    product = torch.matmul(
        _turned(a, bool(transA), bool(transBatchA)), _turned(b, bool(transB), bool(transBatchB))
    )
    return product if alpha == 1.0 else alpha * product


def _turned(x: Any, swap: bool, shift: bool) -> Any:
    if shift and x.dim() > 2:
        x = x.movedim(0, -2)
    return x.transpose(-1, -2) if swap and x.dim() > 1 else x


def table() -> Table:
    """Operator to function."""
    return {
        "MatMulNBits": Operator(_nbits, ready=_nbits_ready), "GatherBlockQuantized": _gather,
        "DynamicQuantizeMatMul": _dynamic, "MatMulIntegerToFloat": _to_float,
        "FusedMatMul": _fused, "TransposeMatMul": _fused,
    }  # fmt: skip
