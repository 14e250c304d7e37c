"""Bytes that a layer must move: each tensor once, by what it is to the layer and by dtype.

These are the compulsory bytes: a runtime that cannot keep a tensor in its caches moves more.
Types of fewer than 8 bits are packed, as ONNX stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

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


def moved(call: Call, estimate: Estimate, weights: set[str], sizes: SizesOf) -> tuple[Moved, str]:
    """Bytes by role and dtype, and why some are missing; empty where none are."""
    if estimate.view:
        return {}, ""
    reading, writing = _STATES.get((call.layer.domain, call.layer.op_type), ((), ()))
    found: Moved = {}
    missing, seen = "", set[str]()
    for position, tensor in enumerate(call.inputs):
        if tensor is None or tensor.name in seen:
            continue
        seen.add(tensor.name)
        stored = tensor.name in weights
        role = Role.WEIGHTS if stored else Role.STATE if position in reading else Role.ACTIVATIONS
        missing = _add(found, tensor, role, estimate.reads.get(position), sizes, 0) or missing
    for position, tensor in enumerate(call.outputs):
        if tensor is not None:
            role = Role.STATE if position in writing else Role.ACTIVATIONS
            missing = _add(found, tensor, role, estimate.writes.get(position), sizes, 1) or missing
    return found, missing


def _add(
    found: Moved, tensor: Tensor, role: Role, elements: Size | None, sizes: SizesOf, way: int
) -> str:
    """Add a tensor's bytes read (way 0) or written (1); returns why that is impossible."""
    try:
        if elements is None:
            elements = product(sizes(tensor))
        count = size_bytes(elements, tensor)
    except Unknown as error:
        return str(error)
    read, written = found.get((role, tensor.dtype), (0, 0))
    found[role, tensor.dtype] = (read + count, written) if way == 0 else (read, written + count)
    return ""


def size_bytes(elements: Size, tensor: Tensor) -> Size:
    """Bytes of so many of a tensor's elements. Raises Unknown for strings and unknown types."""
    if isinstance(elements, int) and elements == 0:
        return 0
    bits = _bits().get(tensor.dtype, 0)
    if not bits:
        raise Unknown(
            f"the bytes of {tensor.name} ({tensor.dtype or 'of unknown type'}) are unknown"
        )
    return elements * (bits // 8) if bits >= 8 else ceil_div(elements * bits, 8)


@cache
def _bits() -> Mapping[str, int]:
    """Bits of an element by the dtype's name."""
    from onnx import TensorProto

    from onnxprof.model.graph.weights import dtype_name, element_bits

    return {dtype_name(kind): element_bits(kind) for kind in TensorProto.DataType.values()}
