"""What onnxruntime hands out (OrtValues, arrays, sequences, maps) as NumPy arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records import Tensor

#: Types that NumPy lacks, by the runtime's name, and the class of ml_dtypes that has them.
_BEYOND_NUMPY = {
    "tensor(bfloat16)": "bfloat16",
    "tensor(float8e4m3fn)": "float8_e4m3fn",
    "tensor(float8e4m3fnuz)": "float8_e4m3fnuz",
    "tensor(float8e5m2)": "float8_e5m2",
    "tensor(float8e5m2fnuz)": "float8_e5m2fnuz",
}
_NAMES = _BEYOND_NUMPY | {"tensor(float)": "float32", "tensor(double)": "float64"}


def array_of(value: Any) -> NDArray[Any] | None:
    """A copy as an array; None for what is no tensor, or of a type that has no array."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if not hasattr(value, "is_tensor") or not value.is_tensor():
        return None
    if dtype := _BEYOND_NUMPY.get(value.data_type()):
        return _copied(value, dtype)
    try:
        return np.array(value.numpy())
    except Exception:  # the runtime's own class, for types such as int4
        return None


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
    told = value.data_type()
    dtype = _NAMES.get(told, told.removeprefix("tensor(").removesuffix(")"))
    return Tensor(name, dtype, tuple(int(d) for d in value.shape()), observed=True)
