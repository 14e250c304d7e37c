"""How one tensor's values are made: the recipe that a skeleton stores in their place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxprof.zoo.making.generator import normals
from onnxprof.zoo.making.tables import Nibbles, Waves


class Values(Protocol):
    """What every recipe does."""

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""

    def values(self, dtype: str, start: int, count: int) -> NDArray[Any]:
        """Elements `start` to `start + count` of the tensor, flat, in little-endian `dtype`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Values of one tensor: `mean + std * noise(seed)`, or `mean` throughout where std is 0."""

    mean: float
    std: float = 0.0
    seed: str = ""
    """Name of the stream of noise; empty for a constant."""

    def scaled(self, gain: float) -> Recipe:
        """The same values times a gain."""
        return Recipe(self.mean * gain, self.std * gain, self.seed)

    def shifted(self, value: float) -> Recipe:
        """The same values plus another."""
        return Recipe(self.mean + value, self.std, self.seed)

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        if not self.std:
            return json.dumps({"kind": "constant", "value": self.mean})
        facts = {"kind": "normal", "mean": self.mean, "std": self.std, "seed": self.seed}
        return json.dumps(facts, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read back what `to_json` wrote. Raises ValueError for a kind that is not known."""
        facts: dict[str, Any] = json.loads(text)
        if facts["kind"] == "constant":
            return cls(float(facts["value"]))
        if facts["kind"] == "normal":
            return cls(float(facts["mean"]), float(facts["std"]), str(facts["seed"]))
        raise ValueError(f"recipe kind {facts['kind']!r} is not known")

    def values(self, dtype: str, start: int, count: int) -> NDArray[Any]:
        """Elements `start` to `start + count` of the tensor, flat, in little-endian `dtype`."""
        if not self.std:
            return np.full(count, self.mean, dtype)
        return normals(self.seed, start, count, self.mean, self.std).astype(dtype, copy=False)


def read(text: str) -> Values:
    """The recipe of any kind that a skeleton holds. Raises ValueError for one that is not known."""
    kind = json.loads(text)["kind"]
    if kind == Nibbles.KIND:
        return Nibbles.from_json(text)
    if kind in Waves.KINDS:
        return Waves.from_json(text)
    return Recipe.from_json(text)
