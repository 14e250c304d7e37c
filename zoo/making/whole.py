"""Any network of the zoo: its structure, and its whole file in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.zoo.catalogue import entry, skeleton_path, twin
from onnxprof.zoo.making import skeleton
from onnxprof.zoo.making.skeleton import Piece

if TYPE_CHECKING:
    from onnx import ModelProto


def structure(name: str) -> ModelProto:
    """The graph of a network, whose weights have recipes in place of data."""
    import onnx

    how = twin(name)
    if how is None:
        return onnx.load(skeleton_path(name))
    from onnxprof.zoo.making.quantised.twin import build

    return build(entry(name), how)


def pieces(name: str) -> list[Piece]:
    """The whole file of a network, as literal bytes and weights in file order.

    Raises ModelError where its skeleton is missing or damaged.
    """
    if twin(name) is None:
        return skeleton.read(skeleton_path(name))
    return skeleton.split(structure(name).SerializeToString(deterministic=True), f"zoo:{name}")
