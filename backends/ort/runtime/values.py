"""onnxruntime's values (OrtValues, arrays, sequences, maps) as NumPy arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.layer import Tensor

#: Types that NumPy lacks, by the runtime's name, and the class of ml_dtypes that has them.
_BEYOND_NUMPY = {
    "tensor(bfloat16)": "bfloat16",
    "tensor(float8e4m3fn)": "float8_e4m3fn",
    "tensor(float8e4m3fnuz)": "float8_e4m3fnuz",
    "tensor(float8e5m2)": "float8_e5m2",
    "tensor(float8e5m2fnuz)": "float8_e5m2fnuz",
}
#: ONNX's numbers of the types that NumPy lacks, by the name of the class of ml_dtypes.
_ONNX_TYPES = {
    "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19,
    "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4_e2m1fn": 23, "float8_e8m0fnu": 24,
    "uint2": 25, "int2": 26,
}  # fmt: skip
_BITS = {"uint4": 4, "int4": 4, "float4_e2m1fn": 4, "uint2": 2, "int2": 2}
_NAMES = _BEYOND_NUMPY | {"tensor(float)": "float32", "tensor(double)": "float64"}


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
    if dtype := _BEYOND_NUMPY.get(value.data_type()):
        return _copied(value, dtype)
    try:
        return np.asarray(value.numpy())
    except Exception:  # the runtime's own class, for types such as int4
        return None


def ortvalue_of(array: NDArray[Any]) -> Any:
    """An OrtValue of an array of a type that NumPy lacks; None for an array of its own types.

    The OrtValue keeps a reference to the array, or to a converted copy.
    """
    kind = _ONNX_TYPES.get(array.dtype.name) if array.dtype.isbuiltin != 1 else None
    if kind is None:
        return None
    import onnxruntime as ort

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(_raw(array), kind)


def _raw(array: NDArray[Any]) -> NDArray[Any]:
    """The array's bits as the runtime stores them: narrow elements packed, the first one lowest."""
    bits = _BITS.get(array.dtype.name, 0)
    if not bits:
        return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)
    wide = array.view(np.uint8).reshape(-1) & ((1 << bits) - 1)
    per_byte = 8 // bits
    whole = np.concatenate([wide, np.zeros(-len(wide) % per_byte, np.uint8)])
    packed = np.zeros(len(whole) // per_byte, np.uint8)
    for place in range(per_byte):
        packed |= whole[place::per_byte] << np.uint8(bits * place)
    raw = np.zeros(array.shape, np.uint8)  # the shape counts elements; the rest is not read
    raw.reshape(-1)[: len(packed)] = packed
    return raw


def _copied(value: Any, dtype: str) -> NDArray[Any]:
    import ml_dtypes

    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, getattr(ml_dtypes, dtype)).reshape(value.shape())


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
    dtype = _NAMES.get(type_name, type_name.removeprefix("tensor(").removesuffix(")"))
    return Tensor(name, dtype, tuple(int(d) for d in value.shape()), observed=True)
