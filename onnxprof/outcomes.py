"""How a run's outputs compare with a reference's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputParity:
    """One output of the measured session against the reference's."""

    name: str
    max_abs: float = 0.0
    """Largest absolute error among elements that are finite on both sides."""
    max_rel: float = 0.0
    """Largest error relative to the output's scale; `parity.py` says what that is."""
    nan_mismatch: int = 0
    """Elements that are NaN or infinite on one side only, or infinite with another sign."""
    tolerance: float = 0.0
    """The largest `max_rel` that passes; for integers the largest `max_abs`."""
    passed: bool | None = None
    """None where the output was not compared."""
    note: str = ""
    """Why it was not compared, or what differs besides its values."""


@dataclass(frozen=True, slots=True)
class Parity:
    """A run's outputs against those of a reference on the same inputs."""

    reference: str = ""
    """What computed the reference."""
    outputs: tuple[OutputParity, ...] = ()
    """In the model's order; empty where nothing could be compared."""
    reason: str = ""
    """Why nothing could be compared."""

    @property
    def passed(self) -> bool | None:
        """Whether every output that was compared passed; None where none was."""
        told = [output.passed for output in self.outputs if output.passed is not None]
        return all(told) if told else None
