"""Steps and the layers that they are tied to, whatever found them."""

from __future__ import annotations

from dataclasses import dataclass

from onnxprof.records.step import Confidence


@dataclass(frozen=True, slots=True)
class TiedStep:
    """One or more executed nodes, or measured units of a file, that compute something together."""

    members: tuple[int, ...]
    """Their places among the nodes or units, in order."""
    layers: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Ties:
    """Every node that ran in exactly one step, in order, and layers that were computed earlier."""

    steps: tuple[TiedStep, ...]
    folded: tuple[str, ...] = ()
