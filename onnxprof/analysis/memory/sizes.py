"""Bytes of tensors as a runtime holds them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cache

from onnxprof.records.layer import Tensor

_BITS = re.compile(r"[a-z]+(\d+)")


@cache
def element_bits(dtype: str) -> int:
    """Bits of an element by its dtype's name, packed types below 8; 0 where it is not known.

    The first number of the name is the width: `float16`, `uint4`, `float8_e4m3fn`, `bfloat16`.
    """
    match = _BITS.match(dtype) if "(" not in dtype else None
    return 8 if dtype == "bool" else int(match[1]) if match else 0


def tensor_bytes(tensor: Tensor) -> int | None:
    """Bytes of a tensor; None for unknown shapes, texts, sequences and unknown dtypes."""
    bits = element_bits(tensor.dtype)
    if not bits or tensor.shape is None:
        return None
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    return -(-math.prod(sizes) * bits // 8) if len(sizes) == len(tensor.shape) else None


def total(sizes: Iterable[int | None]) -> tuple[int, bool]:
    """The sum of the known sizes, and whether one is unknown."""
    known, unknown = 0, False
    for size in sizes:
        known += size or 0
        unknown |= size is None
    return known, unknown
