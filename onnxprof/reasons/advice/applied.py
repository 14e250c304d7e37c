"""What a rewrite was expected to gain, and what it gained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Both models measured in turn; parts are of the original's latency."""

    before_ns: float
    after_ns: float
    part: float
    """1 less the ratio of neighbouring blocks."""
    interval: tuple[float, float]
    verdict: str
    """Of the rewritten model against the original."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A rewritten model."""

    target: str
    operators: tuple[tuple[str, int, int], ...]
    """Operator, layers before and after, of those whose number changed."""
    worst: float
    """The largest relative error of an output's element, rewritten against original."""
    checks: int
    """Sets of inputs on which outputs were compared."""
    bytes: int
    predicted: tuple[float, float]
    """The expected gain as a part of the latency."""
    measured: Measured | None = None
    """None where measuring was switched off."""

    @property
    def is_inside(self) -> bool | None:
        """Whether what was measured lies in the predicted interval."""
        if self.measured is None:
            return None
        low, high = self.predicted
        return low <= self.measured.part <= high
