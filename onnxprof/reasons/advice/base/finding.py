"""A finding of the advice: what was seen, what it may gain, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """The unit of a figure."""

    NS = "ns"
    FRACTION = "fraction"
    RATIO = "ratio"
    COUNT = "count"
    RATE = "GFLOP/s"
    PER_SECOND = "1/s"


class Rewrite(StrEnum):
    """A rewrite of the model that keeps what it computes; `advise --apply` makes all of them."""

    BATCHNORM = "BatchNormalization into the convolution"
    CONSTANTS = "constant folding"
    NO_OPS = "layers that do nothing removed"
    TRANSPOSES = "transposes that cancel out removed"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured or counted figure, which the finding rests on."""

    meaning: str
    value: float
    unit: Unit


@dataclass(frozen=True, slots=True)
class Gain:
    """Nanoseconds of an inference that the change is expected to save, with an interval."""

    low_ns: float
    high_ns: float

    @property
    def expected_ns(self) -> float:
        """The middle of the interval, which findings are ranked by."""
        return (self.low_ns + self.high_ns) / 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of advice on one run."""

    rule: str
    title: str
    """What was seen, in one line without a full stop; names in it are untrusted."""
    change: str
    """What to change."""
    layers: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    """Numbers of the run's steps whose time is concerned; empty for a setting of the whole run."""
    evidence: tuple[Figure, ...] = ()
    gain: Gain | None = None
    """None where nothing that was measured says how much it would be."""
    share: float | None = None
    """The expected gain as a part of the latency; None without a gain."""
    rewrite: Rewrite | None = None
    """The safe rewrite that makes the change; None where there is none."""
