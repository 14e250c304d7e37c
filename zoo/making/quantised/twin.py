"""The twin of a network: its skeleton, prepared and quantised."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto

from onnxprof.zoo.making.quantised.dynamic import dynamic
from onnxprof.zoo.making.quantised.parts import Parts, Vector
from onnxprof.zoo.making.quantised.prepare import fold, modernise
from onnxprof.zoo.making.quantised.static import Ranges, quantised_tensors, static


def build(skeleton: Path, ranges: Ranges | None, products_only: bool) -> ModelProto:
    """The graph of a twin, whose weights have recipes in place of data.

    With the ranges of its activations it is static, without them dynamic. `products_only` leaves
    operators without weights in floats.
    """
    parts, factors = _prepared(skeleton)
    if ranges is None:
        return dynamic(parts, factors)
    return static(parts, factors, ranges, products_only)


def tensors(skeleton: Path, products_only: bool) -> list[str]:
    """The activations that a static twin has to know the ranges of."""
    return quantised_tensors(_prepared(skeleton)[0], products_only)


def _prepared(skeleton: Path) -> tuple[Parts, dict[str, Vector]]:
    model = onnx.load(skeleton)
    modernise(model)
    parts = Parts(model)
    return parts, fold(parts)
