"""Readings beside a steady stretch of inferences: power, memory, clocks, energy.

Values are kept as they were read; every statistic is derived from them when asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """The quantity of a series; the name includes the unit."""

    POWER = "power_w"
    UTILISATION = "utilisation"
    CLOCK = "clock_mhz"
    MEMORY_CLOCK = "memory_clock_mhz"
    TEMPERATURE = "temperature_c"
    DEVICE_MEMORY = "device_memory_mib"
    PROCESS_MEMORY = "process_memory_mib"


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated readings of one quantity during the stretch; never empty."""

    quantity: Quantity
    source: str
    """The source of the readings: `nvml`, `rapl package-0`."""
    at_ms: tuple[float, ...]
    """Times of the readings since the stretch began."""
    values: tuple[float, ...]
    idle: float | None = None
    """Median before the model was loaded; None where it was not read."""

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
    """Energy of one part of the machine over the whole stretch, the idle share included."""

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
    """The intended time between two readings."""
    series: tuple[Series, ...] = ()
    energies: tuple[Energy, ...] = ()
    cpu_seconds: float = 0.0
    """Processor time of the measuring process during the stretch, the readings included."""
    start_resident_bytes: int = 0
    """Resident memory of the measuring process before it loaded the model; 0 if not known."""
    peak_resident_bytes: int = 0
    """Peak of resident memory until the un-profiled session was warm; 0 if not known."""
    arena_bytes: int | None = None
    """Peak of the runtime's allocator until then; None where it is not reported."""
    absent: tuple[Absence, ...] = ()

    def of(self, quantity: Quantity) -> tuple[Series, ...]:
        """The series of a quantity, one a source."""
        return tuple(series for series in self.series if series.quantity is quantity)

    def device_mj(self) -> float | None:
        """Energy of the device that ran the model over the stretch; None where not known.

        For a processor the sum of all packages and their memory (`psys`, the whole board, is
        left out). A GPU without readings gives None, whatever the processor used.
        """
        parts = [energy.spent_mj for energy in self.energies if energy.source.startswith("nvml")]
        if not any(what.startswith("nvml") for what in self._sources()):
            parts = [energy.spent_mj for energy in self.energies if "psys" not in energy.source]
        return sum(parts) if parts and self.inferences else None

    def _sources(self) -> Iterator[str]:
        """Names of all sources, those that could not be read included."""
        yield from (item.source for item in self.series)
        yield from (item.source for item in self.energies)
        yield from (item.what for item in self.absent)

    def per_inference_mj(self, energy: Energy) -> float:
        """Energy of one inference, the idle share included."""
        return energy.spent_mj / self.inferences

    def above_idle_mj(self, energy: Energy) -> float | None:
        """Energy of one inference less the idle power over the same time."""
        if energy.idle_w is None:
            return None
        return (energy.spent_mj - 1e3 * energy.idle_w * self.seconds) / self.inferences
