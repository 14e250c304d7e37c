"""What a list of runs shows of each, derived from its samples when it is stored."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof.analysis.grades import Grade, graded, has_interval
from onnxprof.records.run import Request, Run
from onnxprof.records.telemetry import Telemetry
from onnxprof.records.warning import WarningKind
from onnxprof.store.encoding import request_digest

#: Grows with each change of how steps' times are derived; older summaries are derived anew.
ESTIMATOR = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of runs shows; read without touching the samples or the layer table."""

    request: Request
    device_name: str
    created: str
    failure: str = ""
    median_ns: int | None = None
    """Un-profiled median; None where nothing was measured."""
    interval_ns: tuple[int, int] | None = None
    """Distribution-free 95 % interval of the median; below six samples the range."""
    layer_sum_ns: int | None = None
    """All steps, added up; None without a trace."""
    samples: int = 0
    """Un-profiled inferences."""
    steps: int = 0
    warnings: tuple[WarningKind, ...] = ()
    energy_mj: float | None = None
    """Energy of an inference on the device, the idle share included; None where not known."""
    power_w: float | None = None
    """Mean power of the device beside the steady stretch; None where not known."""
    peak_resident_bytes: int | None = None
    """The most that the measuring process held for the un-profiled session."""
    estimator: int = 0
    """The way in which `layer_sum_ns` was derived from the samples; 0 before it was counted."""
    file: str = ""
    """Where it was found, as a path's text; not stored."""
    tags: tuple[str, ...] = ()
    """What users call it (docs/store.md); not stored."""

    @property
    def path(self) -> Path:
        """Where it was found; made when asked for, as a list has thousands and opens none."""
        return Path(self.file)

    @property
    def has_latency(self) -> bool:
        """Whether un-profiled inferences were timed."""
        return self.median_ns is not None

    @property
    def is_wrong(self) -> bool:
        """Whether the outputs differ from the reference's."""
        return WarningKind.PARITY_FAILED in self.warnings

    @property
    def half_width(self) -> float | None:
        """Half of the median's interval, relative to the median; None below six samples."""
        return self._width if has_interval(self.samples) else None

    @property
    def _width(self) -> float | None:
        if not self.median_ns or self.interval_ns is None:
            return None
        return (self.interval_ns[1] - self.interval_ns[0]) / 2 / self.median_ns

    @property
    def grade(self) -> Grade | None:
        """How far the median can be trusted; None without one, and for wrong outputs."""
        width = self._width
        if width is None or self.is_wrong:
            return None
        return graded(self.samples, width, self.warnings)

    @property
    def layer_share(self) -> float | None:
        """Layer sum over the un-profiled median."""
        if not self.median_ns or self.layer_sum_ns is None:
            return None
        return self.layer_sum_ns / self.median_ns


def summarise(run: Run) -> Summary:
    """The summary of a run, computed from its samples."""
    from onnxprof.analysis import intervals
    from onnxprof.analysis.step_times import divided

    bare = Summary(
        run.request,
        run.device.name,
        run.created,
        run.failure,
        steps=len(run.steps),
        warnings=tuple(warning.kind for warning in run.warnings),
        **_telemetry_figures(run.telemetry),
        estimator=ESTIMATOR,
    )
    timings = run.timings
    if timings is None:
        return bare
    sums = int(divided(run).whole_ns.sum()) if timings.step_ns.size else None
    if timings.latency_ns.size == 0:
        return dataclasses.replace(bare, layer_sum_ns=sums)
    return dataclasses.replace(
        bare,
        median_ns=intervals.median_ns(timings.latency_ns),
        interval_ns=intervals.latency_interval(timings),
        layer_sum_ns=sums,
        samples=int(timings.latency_ns.size),
    )


def _telemetry_figures(telemetry: Telemetry | None) -> dict[str, Any]:
    if telemetry is None:
        return {}
    spent = telemetry.device_mj()
    return {
        "energy_mj": _quotient(spent, telemetry.inferences),
        "power_w": _quotient(spent, telemetry.seconds * 1e3),
        "peak_resident_bytes": telemetry.peak_resident_bytes or None,
    }


def _quotient(spent: float | None, over: float) -> float | None:
    """None where a stored figure is missing or is no finite number."""
    if spent is None or over <= 0:
        return None
    quotient = spent / over
    return quotient if math.isfinite(quotient) and math.isfinite(over) else None


def short_id(asked: Request) -> str:
    """A run's id: the first seven hex digits of its request's digest, as in the file's name."""
    return request_digest(asked)[:7]
