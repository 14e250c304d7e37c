"""Power, memory and clocks of a run as text, for terminals and pages."""

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
#: Quantities in the one-line summary, with the statistic that is shown.
_BRIEF = {Quantity.POWER: "mean", Quantity.CLOCK: "median", Quantity.DEVICE_MEMORY: "most"}


def telemetry_line(telemetry: Telemetry | None) -> str:
    """Telemetry in one line; empty without any."""
    if telemetry is None:
        return ""
    parts = [
        _joules(telemetry.per_inference_mj(e)) + f" an inference ({e.source})"
        for e in _of(telemetry)
    ]
    for series in telemetry.series:
        if series.quantity in _BRIEF:
            name, unit, scale = _UNITS[series.quantity]
            value = getattr(series, _BRIEF[series.quantity]) * scale
            parts.append(f"{name} {value:.0f} {unit} ({series.source})")
    if telemetry.peak_resident_bytes:
        parts.append(f"at most {telemetry.peak_resident_bytes / _MIB:,.0f} MiB resident")
    return printable("; ".join(parts))


def telemetry_facts(telemetry: Telemetry | None) -> Iterator[tuple[str, str]]:
    """(name, value) of every quantity, and of those that could not be read the reason."""
    if telemetry is None:
        return
    if telemetry.inferences:
        cores = telemetry.cpu_seconds / telemetry.seconds if telemetry.seconds else 0.0
        yield (
            "steady stretch",
            f"{telemetry.inferences:,} inferences in {telemetry.seconds:.2f} s,"
            f" {cores:.1f} cores busy, read every {telemetry.interval_ms:.0f} ms",
        )
    for energy in _of(telemetry):
        yield f"energy, {energy.source}", _energy(telemetry, energy)
    for series in telemetry.series:
        yield f"{_UNITS[series.quantity][0]}, {series.source}", _series(series)
    if telemetry.peak_resident_bytes:
        yield "peak resident", _resident(telemetry)
    if telemetry.arena_bytes is not None:
        yield "arena", f"{telemetry.arena_bytes / _MIB:,.1f} MiB"
    for absence in telemetry.absent:
        yield f"no {absence.what}", printable(absence.reason)


def _of(telemetry: Telemetry) -> tuple[Energy, ...]:
    return telemetry.energies if telemetry.inferences else ()


def _joules(millijoules: float) -> str:
    return f"{millijoules / 1e3:.3g} J" if abs(millijoules) >= 1e3 else f"{millijoules:.3g} mJ"


def _energy(telemetry: Telemetry, energy: Energy) -> str:
    above = telemetry.above_idle_mj(energy)
    more = "" if above is None else f", {_joules(above)} above idle ({energy.idle_w:.1f} W)"
    return f"{_joules(telemetry.per_inference_mj(energy))} an inference{more}"


def _series(series: Series) -> str:
    _, unit, scale = _UNITS[series.quantity]
    least, median, most = (v * scale for v in (series.least, series.median, series.most))
    count = len(series.values)
    idle = "" if series.idle is None else f", idle {series.idle * scale:.0f} {unit}"
    spread = f"{least:.0f}, {median:.0f}, {most:.0f} {unit}"
    return f"{spread} (least, median, most of {count} readings{idle})"


def _resident(telemetry: Telemetry) -> str:
    before = f"{telemetry.start_resident_bytes / _MIB:,.0f} MiB before loading"
    return f"{telemetry.peak_resident_bytes / _MIB:,.0f} MiB, {before}"
