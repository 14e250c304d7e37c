"""Checks of the values of a tensor between two layers: NaN, infinities, denormal numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Operators through which a score of minus infinity may pass on its way to a softmax.
_MASKING = frozenset(
    {"Add", "Where", "Cast", "Reshape", "Expand", "Slice", "Unsqueeze", "Squeeze", "Identity"}
    | {"Transpose", "Concat", "Mul", "Tile", "Gather", "Trilu", "Sub", "ConstantOfShape", "Max"}
)
_BLOCK = 1 << 20


def masked_tensors(graph: Any) -> set[str]:
    """Tensors that may hold minus infinity: scores and masks on their way to a softmax."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting = [n.input[0] for n in graph.node if n.op_type in ("Softmax", "LogSoftmax")]
    masked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in masked:
            continue
        masked.add(name)
        maker = makers.get(name)
        if maker is not None and maker.op_type in _MASKING:
            waiting.extend(maker.input)
    return masked


def fault_of(value: NDArray[Any], masked: bool) -> str:
    """What is wrong with a tensor's values, in words; empty for sound ones.

    `masked` tensors may hold minus infinity. Bit patterns are tested, a block at a time.
    """
    bits: Any = np.uint32 if value.dtype == np.float32 else np.uint64
    mantissa = 23 if value.dtype == np.float32 else 52
    infinite = bits((2 ** (value.itemsize * 8 - 1 - mantissa) - 1) << mantissa)
    flat = np.ascontiguousarray(value).reshape(-1).view(bits)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        size = block & bits(~(1 << (value.itemsize * 8 - 1)) & (2 ** (value.itemsize * 8) - 1))
        if size.max() > infinite:
            return "holds NaN"
        # minus infinity is the one infinite value with its sign bit set
        if size.max() == infinite and not (masked and (block[size == infinite] != infinite).all()):
            return "holds an infinity"
        if ((size - bits(1)) < bits((1 << mantissa) - 1)).any():
            return "holds denormal numbers"
    return ""
