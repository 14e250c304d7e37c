"""The twin of a network: its skeleton, prepared and quantised."""

from __future__ import annotations

import json

import onnx
from onnx import ModelProto

from onnxprof.errors import ModelError
from onnxprof.zoo.catalogue import RANGES, skeleton_path
from onnxprof.zoo.declaration import Entry, Twin
from onnxprof.zoo.making.quantised.dynamic import dynamic
from onnxprof.zoo.making.quantised.parts import Parts, Vector
from onnxprof.zoo.making.quantised.prepare import fold, modernise
from onnxprof.zoo.making.quantised.static import Ranges, quantised_tensors, static


def build(item: Entry, how: Twin) -> ModelProto:
    """The graph of a twin, whose weights have recipes in place of data.

    Raises ModelError where the ranges of its activations are not there.
    """
    parts, factors = _prepared(how)
    model = (
        dynamic(parts, factors)
        if how.form == "dynamic"
        else static(parts, factors, _ranges(how), how.products_only)
    )
    model.graph.name = item.name
    model.doc_string = f"{item.title}: {item.definition}, {item.licence}. Weights are random."
    return model


def tensors(how: Twin) -> list[str]:
    """The activations that a static twin has to know the ranges of."""
    return quantised_tensors(_prepared(how)[0], how.products_only)


def _prepared(how: Twin) -> tuple[Parts, dict[str, Vector]]:
    model = onnx.load(skeleton_path(how.of))
    modernise(model)
    parts = Parts(model)
    return parts, fold(parts)


def _ranges(how: Twin) -> Ranges:
    path = RANGES / f"{how.of}.json"
    try:
        return {name: (low, high) for name, (low, high) in json.loads(path.read_text()).items()}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the ranges of its activations cannot be read ({error})",
            where=path.name,
            remedy="Reinstall onnxprof",
        ) from error
