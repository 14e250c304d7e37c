"""Steps and the layers that they are tied to, as every backend returns them."""

from __future__ import annotations

from dataclasses import dataclass

from onnxprof.records.step import Confidence


@dataclass(frozen=True, slots=True)
class TiedStep:
    """One or more executed nodes, or measured units of a file, that compute something together."""

    members: tuple[int, ...]
    """Indices of the nodes or units, in order."""
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Ties:
    """The steps, in order, with every executed node in exactly one; and the folded layers."""

    steps: tuple[TiedStep, ...]
    folded: tuple[str, ...] = ()
