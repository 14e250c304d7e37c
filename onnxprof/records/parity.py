"""The comparison of a run's outputs with a reference's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputParity:
    """One output of the measured session compared with the reference's."""

    name: str
    max_abs: float = 0.0
    """Largest absolute error among elements that are finite on both sides."""
    max_rel: float = 0.0
    """Largest error relative to the output's scale, which `checks/parity.py` defines."""
    nan_mismatch: int = 0
    """Elements that are NaN or infinite on one side only, or infinite with another sign."""
    tolerance: float = 0.0
    """The largest `max_rel` that passes, or `rms_rel` if the output is judged as a whole; for
    integers the largest `max_abs`, or the largest part of elements that may differ."""
    passed: bool | None = None
    """None where the output was not compared."""
    note: str = ""
    """Why the output was not compared, or what differs besides the values."""
    whole: bool = False
    """Whether the output is judged as a whole, as for low precision, or by the worst element."""
    rms_rel: float | None = None
    """Root mean square of the errors over that of the reference; for integers the part of elements
    that differ. None for outputs without this figure, and in runs of earlier versions."""
    worst_tolerance: float = 0.0
    """The largest `max_rel` that passes if the output is judged as a whole; else 0."""
    cosine: float | None = None
    """Cosine of the angle between both outputs; None where `rms_rel` is None, and for integers."""


@dataclass(frozen=True, slots=True)
class Parity:
    """A run's outputs compared with those of a reference on the same inputs."""

    reference: str = ""
    """What computed the reference."""
    outputs: tuple[OutputParity, ...] = ()
    """In the model's order; empty where nothing could be compared."""
    reason: str = ""
    """Why nothing could be compared."""

    @property
    def passed(self) -> bool | None:
        """Whether every compared output passed; None if none was compared."""
        verdicts = [output.passed for output in self.outputs if output.passed is not None]
        return all(verdicts) if verdicts else None
