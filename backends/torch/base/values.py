"""Tensors between ONNX, NumPy and torch, element types included.

torch lacks the types of less than a byte. Their values are held in a wider type, and converted
to the declared type on output.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.errors import BackendError
from onnxprof.model.graph.data_files import DataFolder, is_external
from onnxprof.model.graph.weights import size_bytes
from onnxprof.records.elements.arrays import items_of
from onnxprof.records.elements.table import ELEMENTS, Kind, by_name, by_number
from onnxprof.records.layer import Tensor

#: The type that holds elements of less than a byte, by their kind.
_WIDER = {Kind.SIGNED: "int8", Kind.UNSIGNED: "uint8", Kind.FLOAT: "float32"}
#: Types that NumPy lacks and torch has; torch's names are ml_dtypes'.
_BEYOND_NUMPY = {e.name for e in ELEMENTS if not e.in_numpy and not e.packed}


def type_name(element_type: int) -> str:
    """ONNX's name of an element type: `FLOAT`, `INT64`."""
    element = by_number(element_type)
    return element.onnx if element is not None else f"type {element_type}"


def is_narrow(element_type: int) -> bool:
    """Whether elements take less than a byte, so that torch holds them in a wider type."""
    element = by_number(element_type)
    return element is not None and element.packed


def dtype_of(element_type: int) -> Any:
    """The torch dtype for an ONNX element type. Raises BackendError for strings and the like."""
    element = by_number(element_type)
    name = "" if element is None else _WIDER[element.kind] if element.packed else element.name
    if not hasattr(torch, name or "?"):
        raise BackendError(f"torch has no tensors of {type_name(element_type).lower()}")
    return getattr(torch, name)


def to_torch(array: NDArray[Any]) -> Any:
    """A copy on the CPU, a list for a sequence. Raises BackendError for strings and objects."""
    items = items_of(array)
    if items is not None:
        return [to_torch(item) for item in items]
    array = np.array(array, order="C")
    name = str(array.dtype)
    if array.dtype.kind in "OUS":
        raise BackendError(
            "torch has no tensors of strings", remedy="Profile this model with --backend ort"
        )
    if dtype := _torch_name(name):
        raw = array.view(np.uint8 if array.itemsize == 1 else np.int16)
        return torch.from_numpy(raw).view(getattr(torch, dtype))
    element = by_name(name)
    if element is not None and element.packed:
        array = array.astype(_WIDER[element.kind])
    return torch.from_numpy(array)


@cache
def _torch_name(numpy_name: str) -> str:
    """torch's name of a type of ml_dtypes; empty for types that torch lacks."""
    return numpy_name if numpy_name in _BEYOND_NUMPY else ""


def to_numpy(tensor: Any, element_type: int = 0) -> NDArray[Any]:
    """A copy as an array, of the declared element type where torch holds it in a wider one."""
    tensor = tensor.detach().cpu().contiguous()
    name = str(tensor.dtype).removeprefix("torch.")
    if name in _BEYOND_NUMPY:
        import ml_dtypes

        raw = tensor.view(torch.uint8 if tensor.element_size() == 1 else torch.int16).numpy()
        return np.array(raw).view(getattr(ml_dtypes, name))
    array = np.array(tensor.numpy())
    if element_type and is_narrow(element_type):
        import onnx

        return array.astype(onnx.helper.tensor_dtype_to_np_dtype(element_type))
    return array


def described(name: str, value: Any, element_type: int = 0) -> Tensor:
    """Name, dtype and shape of an output; those of a sequence stay unknown.

    The declared element type is given where torch holds it in a wider one.
    """
    if not isinstance(value, torch.Tensor):
        return Tensor(name)
    declared = by_number(element_type) if is_narrow(element_type) else None
    dtype = declared.name if declared else str(value.dtype).removeprefix("torch.")
    return Tensor(name, dtype, tuple(int(d) for d in value.shape), observed=True)


def stored(tensor: Any, folder: DataFolder) -> Any:
    """The contents of a TensorProto as a torch tensor, external data read from `folder`.

    Raises BackendError, and ModelError for data outside of the folder.
    """
    import onnx

    if is_external(tensor):
        tensor = _with_data(tensor, folder)
    try:
        return to_torch(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise BackendError(f"tensor {tensor.name!r} cannot be read: {error}") from None


def _with_data(tensor: Any, folder: DataFolder) -> Any:
    import onnx

    made = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    made.raw_data = folder.read(tensor, size_bytes(tensor, f"tensor {tensor.name!r}"))
    return made
