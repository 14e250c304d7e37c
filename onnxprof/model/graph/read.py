"""Reading models as ONNX messages; external data are not loaded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.model.graph.skim import referring
from onnxprof.records.layer import PreparedModel

if TYPE_CHECKING:
    import onnx


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


def light(model: PreparedModel, names: Collection[str] | None = None) -> PreparedModel:
    """The same model in memory, with references to its file in place of large weights.

    Of all of them, or of those of `names`. Itself where there are none, or where it is not in a
    file of its folder.
    """
    if isinstance(model.source, bytes) or model.source.is_symlink():
        return model
    source = referring(model.source, names)
    return replace(model, source=source) if source else model
