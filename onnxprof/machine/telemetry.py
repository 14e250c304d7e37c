"""Power, memory and clocks, read beside a steady stretch of un-profiled inferences.

The stretch comes after all latency and step samples, so that reading disturbs none of them.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from onnxprof.machine import cpufreq, memory, nvml, rapl
from onnxprof.plugins.backend import ArenaSource, Session
from onnxprof.records.device import Device
from onnxprof.records.telemetry import Absence, Energy, Quantity, Series, Telemetry
from onnxprof.records.warning import RunWarning, WarningKind

Clock = Callable[[], int]

#: The length of the stretch as a part of the budget, which it adds to, and the most seconds.
_SHARE, _LONGEST_S = 0.2, 1.0
#: A shorter stretch holds too few updates of any counter to tell anything.
_SHORTEST_S = 0.05
_IDLE_S = 0.3
_INTERVAL_S = 0.025
#: The most readings kept; beyond it every other one is dropped and the interval doubles.
_MOST_READINGS = 400


class Source(Protocol):
    """A source of repeated readings; an exception ends them."""

    source: str
    absent: list[Absence]

    def values(self) -> dict[Quantity, float]:
        """The present readings by quantity."""

    def energy_mj(self) -> float | None:
        """An energy counter in mJ that only grows; None where there is none."""

    def held_back(self) -> frozenset[str]:
        """The reasons that lower the device's clock at present."""


@dataclass(frozen=True, slots=True)
class _Reading:
    at_ns: int
    values: dict[Quantity, float]
    energy_mj: float | None
    held_back: frozenset[str]


@dataclass(slots=True)
class Recorder:
    """Reads sources at intervals, in a thread beside the caller's work."""

    sources: Sequence[Source]
    clock: Clock
    interval_s: float = _INTERVAL_S
    lost: dict[str, str] = field(default_factory=dict)
    """Sources that failed, and why."""
    readings: dict[str, list[_Reading]] = field(default_factory=dict)

    def read(self) -> None:
        """Read every source once. Raises nothing: a source that fails is not read again."""
        for source in self.sources:
            if source.source in self.lost:
                continue
            try:
                values, energy = source.values(), source.energy_mj()
                reading = _Reading(self.clock(), values, energy, source.held_back())
            except Exception as error:  # a driver may fail in any way; the measurement stands
                self.lost[source.source] = str(error) or type(error).__name__
            else:
                self.readings.setdefault(source.source, []).append(reading)
        if any(len(kept) > _MOST_READINGS for kept in self.readings.values()):
            self._thin()

    def _thin(self) -> None:
        for kept in self.readings.values():
            del kept[1:-1:2]
        self.interval_s *= 2

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Read before, during and after the body; without sources do nothing."""
        if not self.sources:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._until, args=(over,), daemon=True)
        self.read()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.read()

    def _until(self, over: threading.Event) -> None:
        while not over.wait(self.interval_s):
            self.read()

    def powers(self, source: str) -> list[tuple[int, float]]:
        """Pairs of time in ns and power in W, from readings or from differences of the counter."""
        kept = self.readings.get(source, [])
        readings = [(r.at_ns, r.values[Quantity.POWER]) for r in kept if Quantity.POWER in r.values]
        return readings or [
            (b.at_ns, 1e6 * (b.energy_mj - a.energy_mj) / (b.at_ns - a.at_ns))
            for a, b in pairwise(kept)
            if a.energy_mj is not None and b.energy_mj is not None and b.at_ns > a.at_ns
        ]


class Watch:
    """Readings around one measurement: idle, loaded, then the steady stretch."""

    def __init__(
        self,
        sources: Sequence[Source],
        absent: Sequence[Absence],
        budget_s: float,
        clock: Clock = time.perf_counter_ns,
        root: Path = Path("/"),
    ) -> None:
        self.seconds = min(_LONGEST_S, _SHARE * budget_s)
        self._clock, self._root = clock, root
        self._absent = list(absent)
        self.sources = sources
        self._idle = Recorder(sources, clock)
        self._stretch = Recorder(sources, clock)
        self._began_ns = self._ended_ns = self._inferences = 0
        self._cpu_seconds = 0.0
        self._start = self._peak = 0
        self._arena: int | None = None

    @property
    def is_long_enough(self) -> bool:
        """Whether there is a steady stretch at all."""
        return self.seconds >= _SHORTEST_S

    def idle(self) -> None:
        """Read the idle device; call this before anything is loaded."""
        self._start = memory.resident_bytes()
        if self.sources and self.is_long_enough:
            with self._idle.beside():
                time.sleep(min(_IDLE_S, self.seconds))

    def follows(self) -> None:
        """Say that this process has measured before, so that its memory is not that of one job."""
        reason = "the process measured another size before: what that left is in both figures"
        self._absent.append(Absence("peak memory of this size alone", reason))

    def loaded(self, session: Session) -> None:
        """The un-profiled session is warm, and no other has been loaded."""
        self._peak = memory.peak_resident_bytes(self._root)
        self._arena = session.arena_bytes() if isinstance(session, ArenaSource) else None

    def steady(self, session: Session) -> None:
        """Infer for the length of the stretch, at least once, while sources are read."""
        if not self.is_long_enough:
            self._absent.append(Absence("steady stretch", "the time budget is too small for one"))
            return
        try:
            with self._stretch.beside():
                self._infer(session, int(self.seconds * 1e9))
        except Exception as error:  # what was measured before stands, whatever a runtime raises
            reason = str(error) or type(error).__name__
            self._absent.append(Absence("steady stretch", f"ended early: {reason}"))

    def _infer(self, session: Session, limit_ns: int) -> None:
        self._began_ns = self._ended_ns = self._clock()
        busy = time.process_time()
        while not self._inferences or self._ended_ns - self._began_ns < limit_ns:
            session.infer()
            self._inferences += 1
            self._ended_ns = self._clock()
        self._cpu_seconds = time.process_time() - busy

    def telemetry(self) -> Telemetry:
        """The readings, and the reasons for missing ones."""
        seconds = (self._ended_ns - self._began_ns) / 1e9
        series = tuple(item for source in self.sources for item in self._series(source))
        energies = (self._energy(source, seconds) for source in self.sources)
        return Telemetry(
            seconds=seconds if self._inferences else 0.0,
            inferences=self._inferences,
            interval_ms=1e3 * self._stretch.interval_s,
            series=series,
            energies=tuple(energy for energy in energies if energy and self._inferences),
            cpu_seconds=round(self._cpu_seconds, 3),
            start_resident_bytes=self._start,
            peak_resident_bytes=self._peak,
            arena_bytes=self._arena,
            absent=tuple(self._reasons(series)),
        )

    def _series(self, source: Source) -> Iterator[Series]:
        kept = self._stretch.readings.get(source.source, [])
        at_rest = self._idle.readings.get(source.source, [])
        for quantity in Quantity:
            samples = [(r.at_ns, r.values[quantity]) for r in kept if quantity in r.values]
            idle = [r.values[quantity] for r in at_rest if quantity in r.values]
            if quantity is Quantity.POWER:
                samples = self._stretch.powers(source.source)
                idle = [watts for _, watts in self._idle.powers(source.source)]
            if samples:
                at_ms = tuple(round((at - self._began_ns) / 1e6, 1) for at, _ in samples)
                values = tuple(round(value, 3) for _, value in samples)
                rest = round(statistics.median(idle), 3) if idle else None
                yield Series(quantity, source.source, at_ms, values, rest)

    def _energy(self, source: Source, seconds: float) -> Energy | None:
        """From the counter where there is one, else mean power times the stretch."""
        kept = self._stretch.readings.get(source.source, [])
        powers = self._stretch.powers(source.source)
        if not powers or source.source in self._stretch.lost:
            return None
        resting = [watts for _, watts in self._idle.powers(source.source)]
        idle = round(statistics.fmean(resting), 3) if resting else None
        first, last = kept[0].energy_mj, kept[-1].energy_mj
        if first is not None and last is not None:
            return Energy(f"{source.source} counter", round(last - first, 3), idle)
        spent = 1e3 * seconds * statistics.fmean(watts for _, watts in powers)
        return Energy(f"{source.source} power", round(spent, 3), idle)

    def _reasons(self, series: Sequence[Series]) -> Iterator[Absence]:
        yield from self._absent
        for source in self.sources:
            yield from source.absent
        for name, reason in (self._idle.lost | self._stretch.lost).items():
            count = len(self._stretch.readings.get(name, []))
            yield Absence(name, f"{reason} (after {count} readings)")
        gpus = {item.source for item in series if item.quantity is Quantity.DEVICE_MEMORY}
        mine = {item.source for item in series if item.quantity is Quantity.PROCESS_MEMORY}
        for name in sorted(gpus - mine):
            reason = "the driver does not list this process; a container hides its number"
            yield Absence(f"{name} {Quantity.PROCESS_MEMORY.value}", reason)
        if self._arena is None:
            yield Absence("arena", "the runtime does not report it to Python")

    def warnings(self) -> Iterator[RunWarning]:
        """A warning for each reason that lowered the clock, with counts of readings."""
        for kept in self._stretch.readings.values():
            counts = Counter(text for reading in kept for text in reading.held_back)
            for text, count in sorted(counts.items()):
                yield RunWarning(WarningKind.THROTTLED, count, text, len(kept))


@contextmanager
def watching(device: Device, budget_s: float, root: Path = Path("/")) -> Iterator[Watch]:
    """A watch over the readable sources of this device and the processor; never raises."""
    with ExitStack() as stack:
        sources, absent = _sources(stack, device, root)
        yield Watch(sources, absent, budget_s, root=root)


def _sources(stack: ExitStack, device: Device, root: Path) -> tuple[list[Source], list[Absence]]:
    """The readable sources, those of the device that runs the model first, and the absent ones."""
    sources: list[Source] = []
    absent: list[Absence] = []
    if device.kind == "cuda":
        try:
            nv = stack.enter_context(nvml.opened())
            sources.append(nvml.Gpu(nv, nvml.handle(nv, device.id)))
        except Exception as error:  # a driver may fail in any way; the measurement stands
            absent.append(Absence("nvml", str(error) or type(error).__name__))
    zones, unread = rapl.zones(root)
    cores, silent = cpufreq.cores(root)
    return [*sources, *zones, *cores], [*absent, *unread, *silent]


def readable(device: Device, root: Path = Path("/")) -> tuple[tuple[str, ...], tuple[Absence, ...]]:
    """Names of the sources that answer for this device, and why others do not."""
    with ExitStack() as stack:
        sources, absent = _sources(stack, device, root)
        reasons = [*absent, *(absence for source in sources for absence in source.absent)]
        return tuple(source.source for source in sources), tuple(reasons)
