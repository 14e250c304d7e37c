"""What was read beside a steady stretch of inferences: power, memory, clocks, energy.

Values are kept as they were read; every statistic is derived from them when asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """What a series holds; the unit stands in the name."""

    POWER = "power_w"
    UTILISATION = "utilisation"
    CLOCK = "clock_mhz"
    MEMORY_CLOCK = "memory_clock_mhz"
    TEMPERATURE = "temperature_c"
    DEVICE_MEMORY = "device_memory_mib"
    PROCESS_MEMORY = "process_memory_mib"


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity, read again and again during the stretch; never empty."""

    quantity: Quantity
    source: str
    """Where it was read: `nvml`, `rapl package-0`."""
    at_ms: tuple[float, ...]
    """When, since the stretch began."""
    values: tuple[float, ...]
    idle: float | None = None
    """Its median before the model was loaded; None where that was not read."""

    @property
    def least(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return statistics.fmean(self.values)

    @property
    def most(self) -> float:
        """The largest value."""
        return max(self.values)


@dataclass(frozen=True, slots=True)
class Energy:
    """What one part of the machine took over the whole stretch, the idle share included."""

    source: str
    """`nvml counter`, `nvml power` (mean power times time) or `rapl package-0`."""
    spent_mj: float
    idle_w: float | None = None
    """Power before the model was loaded; None where that was not read."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Something that could not be read, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A steady stretch of un-profiled inferences, apart from every latency sample."""

    seconds: float
    """Length of the stretch; 0 where there was none."""
    inferences: int
    interval_ms: float
    """Time between two readings that was aimed at."""
    series: tuple[Series, ...] = ()
    energies: tuple[Energy, ...] = ()
    cpu_seconds: float = 0.0
    """Processor time of the measuring process during the stretch, the readings included."""
    start_resident_bytes: int = 0
    """Resident memory of the measuring process before it loaded the model; 0 if not known."""
    peak_resident_bytes: int = 0
    """The most that was resident until the un-profiled session was warm; 0 if not known."""
    arena_bytes: int | None = None
    """The most that the runtime's allocator gave out until then; None where it does not say."""
    absent: tuple[Absence, ...] = ()

    def of(self, quantity: Quantity) -> tuple[Series, ...]:
        """The series of a quantity, one a source."""
        return tuple(series for series in self.series if series.quantity is quantity)

    def device_mj(self) -> float | None:
        """What the device that ran the model took over the stretch; None where it is not known.

        A GPU's own; of a processor that of all packages and their memory (`psys`, the whole
        board, is more). Of a GPU that did not tell nothing is known, whatever the processor took.
        """
        parts = [each.spent_mj for each in self.energies if each.source.startswith("nvml")]
        if not any(what.startswith("nvml") for what in self._sources()):
            parts = [each.spent_mj for each in self.energies if "psys" not in each.source]
        return sum(parts) if parts and self.inferences else None

    def _sources(self) -> Iterator[str]:
        """Names of all that was read or could not be."""
        yield from (each.source for each in self.series)
        yield from (each.source for each in self.energies)
        yield from (each.what for each in self.absent)

    def per_inference_mj(self, energy: Energy) -> float:
        """Energy of one inference, the idle share included."""
        return energy.spent_mj / self.inferences

    def above_idle_mj(self, energy: Energy) -> float | None:
        """The same without what the idle part would have taken in that time."""
        if energy.idle_w is None:
            return None
        return (energy.spent_mj - 1e3 * energy.idle_w * self.seconds) / self.inferences
