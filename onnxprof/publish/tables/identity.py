"""What tells a run from every other one: the last columns of tables with a row a layer."""

from __future__ import annotations

from onnxprof.analysis import intervals
from onnxprof.analysis.grades import has_interval
from onnxprof.compare.systems import runtime_version
from onnxprof.publish.text.csv import dims_text
from onnxprof.publish.text.sentences import wrong_text
from onnxprof.records.run import Run
from onnxprof.store.encoding import request_digest

#: The columns, in order.
COLUMNS = (
    *("run", "created", "threads", "granularity", "timer", "provider", "dims"),
    *("onnxprof_version", "runtime_version", "model_sha256", "half_width", "caveats", "wrong"),
    "options",
)

Cell = str | int | float | None


def identity(run: Run) -> tuple[Cell, ...]:
    """The values under `COLUMNS`, the same in every row of a run; blank where nothing is known."""
    asked = run.request
    return (
        *(request_digest(asked), run.created, asked.threads, asked.granularity.value, asked.timer),
        *(asked.provider, dims_text(asked.dims)),
        dict(run.environment).get("onnxprof", ""),
        *(runtime_version(run), asked.model_sha256, half_width(run)),
        ";".join(dict.fromkeys(warning.kind.value for warning in run.warnings)),
        wrong_text(run),
        ";".join(asked.words),
    )


def printed(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """The same for a CSV: fractions with six digits."""
    return tuple(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells)


def half_width(run: Run) -> float | None:
    """Half of the 95 % interval of the un-profiled median over it; None below six samples."""
    timings = run.timings
    if timings is None or not has_interval(int(timings.latency_ns.size)):
        return None
    low, high = intervals.latency_interval(timings)
    median = intervals.median_ns(timings.latency_ns)
    return (high - low) / 2 / median if median else None
