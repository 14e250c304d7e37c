"""onnxruntime's values (OrtValues, arrays, sequences, maps) as NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.elements.arrays import items_of, packed, unpacked
from onnxprof.records.elements.table import ELEMENTS, by_name
from onnxprof.records.layer import Tensor

#: The runtime calls a type `tensor(…)` of ONNX's name in small letters.
_ELEMENTS = {f"tensor({element.onnx.lower()})": element for element in ELEMENTS}


def array_of(value: Any) -> NDArray[Any] | None:
    """A copy as an array; None for a value that is no tensor, or a type without an array."""
    array = view_of(value)
    return None if array is None else np.array(array)


def view_of(value: Any) -> NDArray[Any] | None:
    """An array that may share the value's memory; None as for `array_of`."""
    if isinstance(value, np.ndarray):
        return value
    if not hasattr(value, "is_tensor") or not value.is_tensor():
        return None
    element = _ELEMENTS.get(value.data_type())
    if element is not None and not element.in_numpy:
        return _copied(value, element.name)
    try:
        return np.asarray(value.numpy())
    except Exception:  # the runtime's own class, for a type that it cannot hand out
        return None


def ortvalue_of(array: NDArray[Any]) -> Any:
    """An OrtValue of an array of a type that NumPy lacks; None for an array of its own types.

    The OrtValue keeps a reference to the array, or to a converted copy.
    """
    element = by_name(array.dtype.name) if array.dtype.isbuiltin != 1 else None
    if element is None or element.in_numpy:
        return None
    import onnxruntime as ort

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(_raw(array), element.number)


def fed(inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Inputs as the runtime takes them unbound: sequences as lists, other types as OrtValues."""
    return {name: _fed(array) for name, array in inputs.items()}


def _fed(array: NDArray[Any]) -> Any:
    items = items_of(array)
    if items is not None:
        return items
    value = ortvalue_of(array)
    return array if value is None else value


def _raw(array: NDArray[Any]) -> NDArray[Any]:
    """The array's bits as the runtime stores them: narrow elements packed, the first one lowest."""
    element = by_name(array.dtype.name)
    if element is None or not element.packed:
        return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)
    held = packed(array)
    raw = np.zeros(array.shape, np.uint8)  # the shape counts elements; the rest is not read
    raw.reshape(-1)[: len(held)] = held
    return raw


def _copied(value: Any, dtype: str) -> NDArray[Any]:
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return unpacked(np.frombuffer(raw, np.uint8), dtype, tuple(value.shape()))


def described(name: str, value: Any) -> Tensor:
    """Name, dtype and shape of an output; those of a sequence or map stay unknown."""
    if hasattr(value, "is_tensor"):
        return _described_ortvalue(name, value) if value.is_tensor() else Tensor(name)
    shape = getattr(value, "shape", None)
    if shape is None or callable(shape):
        return Tensor(name)
    return Tensor(name, str(value.dtype), tuple(int(d) for d in shape), observed=True)


def _described_ortvalue(name: str, value: Any) -> Tensor:
    type_name = value.data_type()
    element = _ELEMENTS.get(type_name)
    dtype = type_name.removeprefix("tensor(").removesuffix(")") if element is None else element.name
    return Tensor(name, dtype, tuple(int(d) for d in value.shape()), observed=True)
