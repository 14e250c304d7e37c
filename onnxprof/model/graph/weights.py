"""Stored tensors: element types, sizes, and checks that the data are complete."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from onnxprof.errors import ModelError
from onnxprof.model.graph.data_files import DataFolder, check_length, is_external
from onnxprof.model.graph.skim import LEFT_OUT
from onnxprof.records.elements.table import by_number

#: No stored or declared tensor may be larger than this.
MAX_TENSOR_BYTES = 64 << 30
MAX_ELEMENTS = 1 << 48

_REMEDY = "Export or download the model again, with its data file"


def dtype_name(data_type: int) -> str:
    """NumPy's (or ml_dtypes') name of an ONNX element type: `float32`, `float8_e4m3fn`."""
    element = by_number(data_type)
    return element.name if element is not None else ""


def element_bits(data_type: int) -> int:
    """Bits an element takes when stored; 0 for strings and unknown types."""
    element = by_number(data_type)
    return element.bits if element is not None else 0


def element_count(tensor: TensorProto, where: str) -> int:
    """The product of the dims. Raises ModelError for a negative dim or over MAX_ELEMENTS."""
    if any(d < 0 for d in tensor.dims):
        raise ModelError(f"negative dimension in {list(tensor.dims)}", where=where, remedy=_REMEDY)
    count: int = math.prod(tensor.dims)
    if count > MAX_ELEMENTS:
        raise ModelError(
            f"claims {count} elements (dimensions {list(tensor.dims)}), more than any file holds",
            where=where,
            remedy="The file is damaged or hostile",
        )
    return count


def size_bytes(tensor: TensorProto, where: str) -> int:
    """Bytes of the tensor's data as stored. Raises ModelError like element_count."""
    return -(-element_count(tensor, where) * element_bits(tensor.data_type) // 8)


def has_data(tensor: TensorProto) -> bool:
    """Whether the data are in memory: neither external nor left out on reading."""
    return not is_external(tensor) and (
        math.prod(tensor.dims) == 0 or tensor.HasField("raw_data") or any(_typed_counts(tensor))
    )


def values(tensor: TensorProto) -> NDArray[np.generic] | None:
    """The data as an array, or None where they are not in memory or cannot be read."""
    if not has_data(tensor):
        return None
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except Exception:  # an odd type or a short field: there is no value to show
        return None


def _typed_counts(tensor: TensorProto) -> tuple[int, ...]:
    return (
        len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data),
        len(tensor.double_data), len(tensor.uint64_data), len(tensor.string_data),
    )  # fmt: skip


def check(tensor: TensorProto, path: Path, data: DataFolder) -> None:
    """Compare a tensor's dims with the size of its data. Raises ModelError where they differ.

    `data` is the folder of external data. A tensor whose data were left out on reading was
    checked then and passes.
    """
    where = f"{path}, tensor {tensor.name!r}"
    count, size = element_count(tensor, where), size_bytes(tensor, where)
    if is_external(tensor):
        _check_external(tensor, size, where, data)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size and element_bits(tensor.data_type):
            refuse(tensor, where, f"{len(tensor.raw_data)} bytes", size)
    elif tensor.doc_string != LEFT_OUT.decode():
        held = max(_typed_counts(tensor))
        if held < (count if element_bits(tensor.data_type) >= 8 else min(count, 1)):
            refuse(tensor, where, f"{held} elements", count)


def refuse(tensor: TensorProto, where: str, held: str, need: int) -> None:
    """Raise the ModelError for data that do not fill the dims."""
    dims = list(tensor.dims)
    raise ModelError(
        f"the data hold {held} where the dimensions {dims} need {need}",
        where=where,
        remedy=_REMEDY,
    )


def _check_external(tensor: TensorProto, size: int, where: str, data: DataFolder) -> None:
    try:
        check_length(tensor, data.place(tensor), size)
    except ModelError as error:
        raise ModelError(error.what, where=where, remedy=error.remedy) from None
