"""How long a measurement may take, and how much it is to sample."""

from __future__ import annotations

from dataclasses import dataclass

#: Samples of all streams together: enough for the percentile 99.9, few enough to keep as facts.
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure one model at one batch size, in seconds, loading not counted."""

    seconds: float = 5.0

    @property
    def ns(self) -> int:
        """The budget in nanoseconds."""
        return int(self.seconds * 1e9)


@dataclass(frozen=True, slots=True)
class Amount:
    """How much one process is to sample, where that is not left to the budget."""

    iterations: int = 0
    """Un-profiled inferences, no more and no fewer; 0 for as many as the budget asks for."""
    warmup: int | None = None
    """Inferences between the first one and sampling; None for until latencies are steady."""
    seconds: float = 0.0
    """Seconds of sampling at least; 0 for no more than the median needs."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many inferences at a time, and for how long; 20,000 samples altogether at most."""

    streams: int
    seconds: float
    """Of sampling in each stream, warm-up not counted."""
    iterations: int = 0
    """Samples of each stream, whatever the seconds; 0 for as many as they have time for."""

    @property
    def most(self) -> int:
        """The most samples of a stream."""
        most = max(1, _MOST // max(1, self.streams))
        return min(self.iterations or most, most)
