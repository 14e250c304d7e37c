"""A meter and a session that follow a script's clock, and what was read beside a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from onnxprof.errors import BackendError
from onnxprof.records.telemetry import Absence, Energy, Quantity, Series, Telemetry
from onnxprof.testing import ScriptedClock


@dataclass(slots=True)
class Meter:
    """A source of one power, whose counter follows the scripted clock."""

    clock: ScriptedClock
    watts: float = 50.0
    breaks_after: int = 10**9
    source: str = "rapl package-0"
    absent: list[Absence] = field(default_factory=list)
    reads: int = 0

    def values(self) -> dict[Quantity, float]:
        self.reads += 1
        if self.reads > self.breaks_after:
            raise OSError("No such device")
        return {}

    def energy_mj(self) -> float:
        return self.watts * self.clock.now_ns / 1e6

    def held_back(self) -> frozenset[str]:
        return frozenset()


@dataclass(slots=True)
class Steps:
    """A session whose inferences take what the script says."""

    clock: ScriptedClock
    each_ns: int = 10_000_000
    beside: Callable[[], None] = lambda: None
    fails_after: int = 10**9
    count: int = 0

    def infer(self) -> None:
        if self.count == self.fails_after:
            raise BackendError("the device is lost")
        self.clock.advance(self.each_ns)
        self.count += 1
        self.beside()


def shown() -> Telemetry:
    at = (0.0, 25.0, 50.0)
    return Telemetry(
        *(1.0, 100, 25.0),
        (
            Series(Quantity.POWER, "nvml", at, (300.0, 320.0, 340.0), 80.0),
            Series(Quantity.UTILISATION, "nvml", at, (0.8, 0.9, 1.0)),
            Series(Quantity.CLOCK, "nvml", at, (1980.0, 1965.0, 1980.0)),
            Series(Quantity.DEVICE_MEMORY, "nvml", at, (900.0, 1000.0, 1000.0), 400.0),
        ),
        (Energy("nvml counter", 320_000.0, 80.0),),
        *(1.0, 50 << 20, 300 << 20, 7 << 20, (Absence("rapl energy", "no\x1b[31m counter"),)),
    )
