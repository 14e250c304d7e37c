"""Percentiles of a run's latency in words and as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.analysis.statistics.percentiles import Percentile, percentiles
from onnxprof.publish.text.numbers import duration
from onnxprof.records.run import Run


def of_run(run: Run) -> tuple[Percentile, ...]:
    """Those of the un-profiled latency; none where there is none."""
    timings = run.timings
    if timings is None or not timings.latency_ns.size:
        return ()
    return percentiles(timings.latency_ns)


def percentiles_text(run: Run) -> str:
    """`Percentiles: p50 3.2 ms, …` and which are not known; empty without a latency."""
    found = of_run(run)
    return f"Percentiles: {listed_text(found)}." if found else ""


def listed_text(found: Sequence[Percentile]) -> str:
    """`p50 3.2 ms, p90 3.3 ms of 120 samples; not known from so few: p95 (needs 72)`."""
    count = found[0].samples
    samples = f"{count:,} sample{'' if count == 1 else 's'}"
    known = [f"{each.name} {duration(each.ns)}" for each in found if each.ns is not None]
    lacking = [f"{each.name} (needs {each.needed:,})" for each in found if each.ns is None]
    if not known:
        return f"none is known from {samples}; p50 needs {found[0].needed}"
    told = f"{', '.join(known)} of {samples}"
    return f"{told}; not known from so few: {', '.join(lacking)}" if lacking else told


def percentile_records(found: Sequence[Percentile]) -> list[dict[str, Any]]:
    """A dict for each: the percentile, its milliseconds or null, and the samples it needs."""
    return [
        {
            "percentile": 100 * each.fraction,
            "ms": None if each.ns is None else each.ns / 1e6,
            "samples": each.samples,
            "samples_needed": each.needed,
        }
        for each in found
    ]
