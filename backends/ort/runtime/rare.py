"""Element types for which onnxruntime has few kernels, in the words of an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxprof.errors import BackendError
from onnxprof.records.elements.table import Kind, by_name
from onnxprof.records.layer import LayerTable


@contextmanager
def named(table: LayerTable) -> Iterator[None]:
    """Add the rare types of a model, each with a tensor, to the runtime's refusal of it."""
    try:
        yield
    except BackendError as error:
        types = "" if error.remedy else rare_types(table)
        if not types:
            raise
        raise BackendError(
            error.what,
            where=error.where,
            remedy=f"It has tensors of {types}, for which onnxruntime has few kernels or none;"
            " try --backend openvino or --backend torch",
        ) from error


def rare_types(table: LayerTable) -> str:
    """`float4_e2m1fn (x), complex64 (y)`: the first tensor of each rare type."""
    found: dict[str, str] = {}
    for layer in table:
        for tensor in (*layer.inputs, *layer.outputs):
            element = by_name(tensor.dtype)
            if element is None or tensor.dtype in found:
                continue
            if element.kind is Kind.COMPLEX or (not element.in_numpy and element.bits <= 8):
                found[tensor.dtype] = tensor.name
    return ", ".join(f"{dtype} ({name})" for dtype, name in found.items())
