"""Bytes of tensors as a runtime holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from onnxprof.records.layer import Tensor


def tensor_bytes(tensor: Tensor) -> int | None:
    """Bytes of a tensor; None for unknown shapes, texts, sequences and unknown dtypes."""
    bits = tensor.element_bits
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
