"""How long a measurement may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure one model at one batch size, in seconds, loading not counted."""

    seconds: float = 5.0

    @property
    def ns(self) -> int:
        """The budget in nanoseconds."""
        return int(self.seconds * 1e9)
