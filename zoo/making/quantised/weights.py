"""Weights as whole numbers of 8 bits, and as what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto

from onnxprof.errors import ModelError
from onnxprof.zoo.making.generator import BOUND
from onnxprof.zoo.making.quantised.parts import Parts, Vector

#: The largest whole number of a weight.
_LARGEST = 127
#: What stands for 0 where whole numbers have no sign.
MIDDLE = 128


@dataclass(frozen=True, slots=True)
class Quantised:
    """A weight that is stored as whole numbers."""

    name: str
    zero: int
    scale: Vector
    """What one stands for: of the whole tensor, or of each of its outputs (axis 0)."""


def quantise(parts: Parts, name: str, factor: Vector | None, *, signed: bool = True) -> Quantised:
    """Store a weight of noise as whole numbers beside the tensor, with a scale from its recipe.

    `factor` is that of a folded batch norm for each output: it goes into the scale. Raises
    ModelError for a weight that is no noise around 0.
    """
    recipe = parts.recipe(name)
    if recipe is None or recipe.mean or not recipe.std:
        raise ModelError(f"weight {name!r} is no noise around 0, and has no scale", where="int8")
    step = np.float32(recipe.std * BOUND / _LARGEST)
    zero = 0 if signed else MIDDLE
    made = replace(recipe, step=float(step), zero=zero)
    kind = TensorProto.INT8 if signed else TensorProto.UINT8
    stored = parts.store_made(f"{name}_quantized", kind, name, made)
    scale = np.array(step) if factor is None else step * factor
    return Quantised(stored, zero, scale.astype(np.float32))
