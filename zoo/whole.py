"""Any network of the zoo, skeleton or twin: its structure, and its whole file in pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from onnxprof.errors import ModelError
from onnxprof.zoo.catalogue import RANGES, entry, skeleton_path, twin
from onnxprof.zoo.making import skeleton
from onnxprof.zoo.making.skeleton import Piece

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxprof.zoo.declaration import Twin
    from onnxprof.zoo.making.quantised.static import Ranges


def structure(name: str) -> ModelProto:
    """The graph of a network, whose weights have recipes in place of data.

    Raises ModelError where the ranges of a twin's activations are not there.
    """
    import onnx

    how = twin(name)
    return onnx.load(skeleton_path(name)) if how is None else _twin(name, how)


def pieces(name: str) -> list[Piece]:
    """The whole model file of a network, as literal bytes and weights in file order.

    Weights that lie in a file of their own are left out, see `data_pieces`. Raises ModelError
    where its skeleton is missing or damaged.
    """
    if twin(name) is None:
        return skeleton.read(skeleton_path(name))
    return skeleton.split(structure(name).SerializeToString(deterministic=True), f"zoo:{name}")


def data_pieces(name: str) -> list[Piece]:
    """The file of external data beside the model; empty where it has none."""
    return skeleton.read_data(skeleton_path(name)) if twin(name) is None else []


def quantised_tensors(how: Twin) -> list[str]:
    """The activations that a static twin has to know the ranges of."""
    from onnxprof.zoo.making.quantised.twin import tensors

    return tensors(skeleton_path(how.of), how.products_only)


def _twin(name: str, how: Twin) -> ModelProto:
    from onnxprof.zoo.making.quantised.twin import build

    ranges = _ranges(how) if how.form == "static" else None
    model = build(skeleton_path(how.of), ranges, how.products_only)
    item = entry(name)
    model.graph.name = name
    model.doc_string = f"{item.title}: {item.definition}, {item.licence}. Weights are random."
    return model


def _ranges(how: Twin) -> Ranges:
    path = RANGES / f"{how.of}.json"
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {tensor: (low, high) for tensor, (low, high) in kept.items()}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the ranges of its activations cannot be read ({error})",
            where=path.name,
            remedy="Reinstall onnxprof",
        ) from error
