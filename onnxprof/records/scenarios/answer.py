"""What MLCommons' LoadGen says of one of its runs, as a frozen record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict and the figures of LoadGen's detailed log."""

    valid: bool
    """All that LoadGen demands of a run of its scenario was met."""
    queries: int
    samples: int
    """Samples in all queries."""
    percentile: float
    """The percentile that is judged, as a fraction."""
    percentile_ns: int
    """The latency at that percentile; of a query where queries have several samples."""
    latency_ns: tuple[tuple[str, int], ...]
    """`min`, `mean`, `max` and percentiles such as `99.9`, in LoadGen's order."""
    min_duration_met: bool = True
    min_queries_met: bool = True
    early_stopping_met: bool = True
    """There were enough queries for the percentile to be held with 99 % confidence."""
    latency_met: bool = True
    """The percentile is within the target latency; True where there is none."""
    early_stopping: str = ""
    """LoadGen's words on early stopping."""
    estimate_ns: int = 0
    """An upper bound of the percentile with 99 % confidence; 0 where LoadGen gives none."""
    over_latency: int = 0
    """Queries that took longer than the target latency."""
    scheduled_rate: float = 0.0
    """Queries a second as scheduled; 0 where a scenario schedules none."""
    completed_rate: float = 0.0
    """Samples a second as completed."""
    settings: tuple[tuple[str, str], ...] = ()
    """The settings that were in effect, seeds among them, by LoadGen's names."""
    errors: tuple[str, ...] = ()
    """What LoadGen logged as errors."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the run is not valid; empty where it is."""
        checks = (
            (self.latency_met, "the percentile is above the target latency"),
            (self.min_duration_met, "it ended before the least duration"),
            (self.min_queries_met, "it ended before the least number of queries"),
            (self.early_stopping_met, "too few queries within the latency for early stopping"),
        )
        found = tuple(why for is_met, why in checks if not is_met)
        return found if found or self.valid else ("LoadGen gives no reason",)

    def at(self, name: str) -> int:
        """One of the latencies in nanoseconds; 0 where LoadGen does not give it."""
        return dict(self.latency_ns).get(name, 0)
