"""Bytes that a layer must move: each tensor once, by what it is to the layer and by dtype.

These are the compulsory bytes: a runtime that cannot keep a tensor in its caches moves more.
Types of fewer than 8 bits are packed, as ONNX stores them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onnxprof.cost.base.call import Call, SizesOf, Unknown
from onnxprof.cost.base.expression import Size, ceil_div, product
from onnxprof.cost.base.work import Estimate
from onnxprof.records.cost import Role
from onnxprof.records.layer import Tensor

#: Positions of inputs and of outputs that are carried from inference to inference or step to step.
_STATES: Mapping[tuple[str, str], tuple[tuple[int, ...], tuple[int, ...]]] = {
    ("", "LSTM"): ((5, 6), (1, 2)),
    ("", "GRU"): ((5,), (1,)),
    ("", "RNN"): ((5,), (1,)),
    ("", "Attention"): ((4, 5), (1, 2)),
    ("", "TensorScatter"): ((0,), (0,)),
    ("", "LinearAttention"): ((3,), (1,)),
    ("", "CausalConvWithState"): ((3,), (1,)),
    ("com.microsoft", "DynamicQuantizeLSTM"): ((5, 6), (1, 2)),
    ("com.microsoft", "Attention"): ((4,), (1,)),
    ("com.microsoft", "QAttention"): ((8,), (1,)),
    ("com.microsoft", "MultiHeadAttention"): ((6, 7), (1, 2)),
    ("com.microsoft", "GroupQueryAttention"): ((3, 4), (1, 2)),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): ((5, 6), (1, 2)),
    ("com.microsoft", "DecoderMaskedSelfAttention"): ((4,), (1,)),
    ("com.microsoft", "LinearAttention"): ((3,), (1,)),
    ("com.microsoft", "CausalConvWithState"): ((3,), (1,)),
    ("com.microsoft", "VarlenCausalConvWithState"): ((4,), (1,)),
}
#: Bytes read and written, by role and dtype.
Moved = dict[tuple[Role, str], tuple[Size, Size]]


@dataclass(frozen=True, slots=True)
class Move:
    """One tensor that a layer reads or writes."""

    tensor: str
    role: Role
    dtype: str
    written: bool
    size: Size
    """In bytes."""


def moves(
    call: Call, estimate: Estimate, weights: set[str], sizes: SizesOf
) -> tuple[list[Move], str]:
    """What a layer reads and writes, and why some of it is missing; empty where nothing is."""
    if estimate.view:
        return [], ""
    reading, writing = _STATES.get((call.layer.domain, call.layer.op_type), ((), ()))
    given = {t.name: (at, t) for at, t in reversed([*enumerate(call.inputs)]) if t is not None}
    made = [(at, t) for at, t in enumerate(call.outputs) if t is not None]
    found: list[Move] = []
    missing = ""
    for at, tensor in reversed(given.values()):  # what stands twice is read once
        role = Role.STATE if at in reading else Role.ACTIVATIONS
        role = Role.WEIGHTS if tensor.name in weights else role
        size, reason = _size(tensor, estimate.reads.get(at), sizes)
        found.append(Move(tensor.name, role, tensor.dtype, False, size))
        missing = missing or reason
    for at, tensor in made:
        role = Role.STATE if at in writing else Role.ACTIVATIONS
        size, reason = _size(tensor, estimate.writes.get(at), sizes)
        found.append(Move(tensor.name, role, tensor.dtype, True, size))
        missing = missing or reason
    return found, missing


def summed(found: Iterable[Move]) -> Moved:
    """Bytes read and written by role and dtype."""
    sums: Moved = {}
    for move in found:
        read, written = sums.get((move.role, move.dtype), (0, 0))
        if move.written:
            sums[move.role, move.dtype] = (read, written + move.size)
        else:
            sums[move.role, move.dtype] = (read + move.size, written)
    return sums


def _size(tensor: Tensor, elements: Size | None, sizes: SizesOf) -> tuple[Size, str]:
    """Bytes of a tensor or of some of its elements; why they are unknown, else empty."""
    try:
        return size_bytes(product(sizes(tensor)) if elements is None else elements, tensor), ""
    except Unknown as error:
        return 0, str(error)


def size_bytes(elements: Size, tensor: Tensor) -> Size:
    """Bytes of so many of a tensor's elements. Raises Unknown for strings and unknown types."""
    if isinstance(elements, int) and elements == 0:
        return 0
    bits = tensor.element_bits
    if not bits:
        raise Unknown(
            f"the bytes of {tensor.name} ({tensor.dtype or 'of unknown type'}) are unknown"
        )
    return elements * (bits // 8) if bits >= 8 else ceil_div(elements * bits, 8)
