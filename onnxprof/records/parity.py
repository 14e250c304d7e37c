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
    """The largest `max_rel` that passes, or `rms_rel` where the whole counts; for integers the
    largest `max_abs`, or the largest part of them that differs."""
    passed: bool | None = None
    """None where the output was not compared."""
    note: str = ""
    """Why it was not compared, or what differs besides its values."""
    whole: bool = False
    """The output is judged as a whole, as low precision asks for, not by its worst element."""
    rms_rel: float | None = None
    """Root mean square of the errors over that of the reference; of integers the part of them
    that differs. None for what has no such figure, and in runs of versions that had none."""
    worst_tolerance: float = 0.0
    """The largest `max_rel` that passes where the whole counts; 0 elsewhere."""
    cosine: float | None = None
    """Cosine of the angle between the two; None where `rms_rel` is, and for integers."""


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
