"""Reading models as ONNX messages; external data are not loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

    from onnxprof.records.layer import PreparedModel


def read_file(path: str | Path) -> onnx.ModelProto:
    """The model in a file, without its external data."""
    import onnx

    return onnx.load(str(path), load_external_data=False)


def read_prepared(model: PreparedModel) -> onnx.ModelProto:
    """A prepared model, from a file or from memory, without its external data."""
    import onnx

    if isinstance(model.source, bytes):
        return onnx.load_model_from_string(model.source)
    return read_file(model.source)
