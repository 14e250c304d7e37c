"""Power, memory and clocks of a run in plain words, for terminals, pages and headers."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.publish.text.safe import printable
from onnxprof.records.telemetry import Energy, Quantity, Series, Telemetry

_MIB = 2**20
_UNITS = {
    Quantity.POWER: ("power", "W", 1.0),
    Quantity.UTILISATION: ("utilisation", "%", 100.0),
    Quantity.CLOCK: ("clock", "MHz", 1.0),
    Quantity.MEMORY_CLOCK: ("memory clock", "MHz", 1.0),
    Quantity.TEMPERATURE: ("temperature", "°C", 1.0),
    Quantity.DEVICE_MEMORY: ("device memory", "MiB", 1.0),
    Quantity.PROCESS_MEMORY: ("device memory of the process", "MiB", 1.0),
}
#: What fits into one line of a summary; the statistic that says most.
_BRIEF = {Quantity.POWER: "mean", Quantity.CLOCK: "median", Quantity.DEVICE_MEMORY: "most"}


def telemetry_line(found: Telemetry | None) -> str:
    """One line; empty where nothing was read."""
    if found is None:
        return ""
    parts = [_joules(found.per_inference_mj(e)) + f" an inference ({e.source})" for e in _of(found)]
    for series in found.series:
        if series.quantity in _BRIEF:
            name, unit, scale = _UNITS[series.quantity]
            value = getattr(series, _BRIEF[series.quantity]) * scale
            parts.append(f"{name} {value:.0f} {unit} ({series.source})")
    if found.peak_resident_bytes:
        parts.append(f"at most {found.peak_resident_bytes / _MIB:,.0f} MiB resident")
    return printable("; ".join(parts))


def telemetry_facts(found: Telemetry | None) -> Iterator[tuple[str, str]]:
    """Names and values, one a thing that was read or could not be."""
    if found is None:
        return
    if found.inferences:
        cores = found.cpu_seconds / found.seconds if found.seconds else 0.0
        yield (
            "steady stretch",
            f"{found.inferences:,} inferences in {found.seconds:.2f} s,"
            f" {cores:.1f} cores busy, read every {found.interval_ms:.0f} ms",
        )
    for energy in _of(found):
        yield f"energy, {energy.source}", _energy(found, energy)
    for series in found.series:
        yield f"{_UNITS[series.quantity][0]}, {series.source}", _series(series)
    if found.peak_resident_bytes:
        yield "peak resident", _resident(found)
    if found.arena_bytes is not None:
        yield "arena", f"{found.arena_bytes / _MIB:,.1f} MiB"
    for absence in found.absent:
        yield f"no {absence.what}", printable(absence.reason)


def _of(found: Telemetry) -> tuple[Energy, ...]:
    return found.energies if found.inferences else ()


def _joules(millijoules: float) -> str:
    return f"{millijoules / 1e3:.3g} J" if abs(millijoules) >= 1e3 else f"{millijoules:.3g} mJ"


def _energy(found: Telemetry, energy: Energy) -> str:
    above = found.above_idle_mj(energy)
    more = "" if above is None else f", {_joules(above)} above idle ({energy.idle_w:.1f} W)"
    return f"{_joules(found.per_inference_mj(energy))} an inference{more}"


def _series(series: Series) -> str:
    _, unit, scale = _UNITS[series.quantity]
    least, median, most = (v * scale for v in (series.least, series.median, series.most))
    count = len(series.values)
    idle = "" if series.idle is None else f", idle {series.idle * scale:.0f} {unit}"
    spread = f"{least:.0f}, {median:.0f}, {most:.0f} {unit}"
    return f"{spread} (least, median, most of {count} readings{idle})"


def _resident(found: Telemetry) -> str:
    before = f"{found.start_resident_bytes / _MIB:,.0f} MiB before loading"
    return f"{found.peak_resident_bytes / _MIB:,.0f} MiB, {before}"
