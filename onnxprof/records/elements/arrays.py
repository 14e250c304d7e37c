"""Arrays of every element type: those of NumPy, and of ml_dtypes for types that NumPy lacks.

NumPy holds an element of less than a byte in a whole one. A file and a runtime pack them, the
first element in the lowest bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.elements.table import by_name


def dtype_of(name: str) -> np.dtype[Any]:
    """NumPy's type of a name. Raises TypeError for texts, sequences and unknown types."""
    element = by_name(name)
    if element is None or not element.bits:
        raise TypeError(f"no array holds {name or 'an unknown type'}")
    if element.in_numpy:
        return np.dtype(name)
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


def limits(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """The least and the largest value of a type of integers; None for other types."""
    import ml_dtypes

    try:
        info: Any = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return int(info.min), int(info.max)


def sequence(items: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """An array of objects that holds the arrays of a sequence's items."""
    listed = list(items)
    made = np.empty(len(listed), object)
    for place, item in enumerate(listed):
        made[place] = item
    return made


def items_of(array: NDArray[Any]) -> list[NDArray[Any]] | None:
    """The arrays of a sequence's items; None for an array that is no sequence, such as texts."""
    if array.dtype != object or array.ndim != 1 or not array.size:
        return None
    items = array.tolist()
    return items if all(isinstance(item, np.ndarray) for item in items) else None


def packed(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes that hold an array's elements, those of less than a byte packed."""
    element = by_name(array.dtype.name)
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if element is None or not element.packed:
        return raw
    bits, per_byte = element.bits, 8 // element.bits
    if 8 % bits:  # an element may lie across two bytes
        stream = np.unpackbits(raw[:, None], axis=1, bitorder="little")[:, :bits]
        return np.packbits(stream.reshape(-1), bitorder="little")
    wide = raw & ((1 << bits) - 1)
    wide = np.concatenate([wide, np.zeros(-len(wide) % per_byte, np.uint8)])
    made = np.zeros(len(wide) // per_byte, np.uint8)
    for place in range(per_byte):
        made |= wide[place::per_byte] << np.uint8(bits * place)
    return made


def unpacked(raw: NDArray[np.uint8], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of a shape whose elements are held in these bytes. Raises TypeError."""
    dtype, element = dtype_of(name), by_name(name)
    count = int(np.prod(shape, dtype=np.int64))
    if element is None or not element.packed:
        return raw.view(dtype)[:count].reshape(shape)
    bits, per_byte = element.bits, 8 // element.bits
    if 8 % bits:
        stream = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
        wide = np.packbits(stream, axis=1, bitorder="little")[:, 0]
        return wide.view(dtype).reshape(shape)
    parts = [(raw >> np.uint8(bits * place)) & ((1 << bits) - 1) for place in range(per_byte)]
    wide = np.stack(parts, -1).reshape(-1)[:count]
    if name.startswith("int"):  # the sign is the highest bit of the narrow element
        shift = np.uint8(8 - bits)
        signed: NDArray[Any] = (wide << shift).view(np.int8) >> shift.astype(np.int8)
        return signed.astype(dtype).reshape(shape)
    if name.startswith("uint"):
        return wide.astype(dtype).reshape(shape)
    return np.ascontiguousarray(wide).view(dtype).reshape(shape)
