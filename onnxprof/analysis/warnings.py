"""The warnings of a measurement, derived from samples and steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.analysis.grades import has_interval
from onnxprof.analysis.interruptions import Times
from onnxprof.analysis.step_times import (
    Division,
    divide,
    empty_call,
    inflation,
    least_inflation,
)
from onnxprof.analysis.thresholds import ENOUGH, PRECISION, STEADY, unsteadiness
from onnxprof.analysis.widened import widening
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.records.layer import Tensor
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind

#: Traced over un-profiled latency above which the runtime's profiler distorts the steps.
INFLATION = 1.02
_UNATTRIBUTED, _UNVERIFIED = 0.02, 0.03
#: Bounds of the overhead as fractions of the median: the lowest value, and the margin above an
#: empty call.
_NEGATIVE, _OVERHEAD = -0.01, 0.03
#: How far the longest prefix may lie from the un-profiled median, relative to it.
_AGREEMENT = 0.03


def warnings_of(
    timings: Timings, trace: Trace, workload: Workload, outputs: tuple[Tensor, ...]
) -> tuple[RunWarning, ...]:
    """All warnings of one measurement."""
    division = divide(trace.steps, timings)
    return (
        *_latency_warnings(timings),
        *step_warnings(timings, trace.steps, division),
        *_fallbacks(division, trace),
        *_widened(division, trace, workload),
        *_batch(workload, outputs),
    )


def _latency_warnings(timings: Timings) -> Iterator[RunWarning]:
    change = unsteadiness(timings.warmup_ns.tolist())
    if not change <= STEADY:
        yield RunWarning(WarningKind.UNSTEADY_WARMUP, change if change == change else 0.0)
    yield from median_warnings(timings)


def median_warnings(timings: Timings) -> Iterator[RunWarning]:
    """Warnings about the un-profiled median: samples, interval, drift."""
    samples = timings.latency_ns
    if samples.size < ENOUGH:
        yield RunWarning(WarningKind.FEW_SAMPLES, float(samples.size))
    low, high = intervals.latency_interval(timings)
    width = (high - low) / 2 / max(1, intervals.median_ns(samples))
    if width > PRECISION:
        known = has_interval(int(samples.size))
        yield RunWarning(WarningKind.WIDE_INTERVAL, width if known else 0.0)
    if moved := intervals.drift(timings):
        yield RunWarning(WarningKind.DRIFT, moved)


def step_warnings(
    timings: Timings, steps: Sequence[Step], division: Division | None = None
) -> Iterator[RunWarning]:
    """Warnings about the steps' times: the cost of the timer, and the remainder.

    `division` is that of these samples, where it is known.
    """
    if timings.timer is Timer.PREFIX:
        yield from _disagreement(timings)
    elif (
        timings.timer is Timer.TRACE
        and (much := inflation(timings)) > INFLATION
        and _is_certain(timings)
    ):
        yield RunWarning(WarningKind.TIMER_INFLATION, much)
    division = division or divide(steps, timings)
    times = division.step_ns
    if not times.sum():
        return
    if timings.latency_ns.size:
        yield from _left_over(timings, division)
    yield from tie_warnings(times, steps)


def tie_warnings(times: Times, steps: Sequence[Step]) -> Iterator[RunWarning]:
    """Warnings about steps' time in no layer, or in layers that names alone identify."""
    total = max(1.0, float(times.sum()))
    unattributed = np.array([not step.layers for step in steps], bool)
    if (share := float(times[unattributed].sum()) / total) > _UNATTRIBUTED:
        yield RunWarning(WarningKind.UNATTRIBUTED_TIME, share)
    believed = np.array([bool(step.layers and unchecked(step)) for step in steps], bool)
    if (share := float(times[believed].sum()) / total) > _UNVERIFIED:
        reason = unchecked(steps[int(np.argmax(np.where(believed, times, -1.0)))])
        yield RunWarning(WarningKind.UNVERIFIED_TIME, share, reason)


def unchecked(step: Step) -> str:
    """Why a step's layers were not checked by values; empty if they were."""
    outcome, _, reason = step.verdict.partition(": ")
    return reason if outcome == "not checked" else ""


def _is_certain(timings: Timings) -> bool:
    """Whether traced blocks are longer than their neighbours, where blocks can tell."""
    return not intervals.inflation_ratios(timings).size or least_inflation(timings) > 1


def _left_over(timings: Timings, division: Division) -> Iterator[RunWarning]:
    """Warnings if the overhead is negative, or above an empty call and a margin."""
    total = max(1, intervals.median_ns(timings.latency_ns))
    explained = float(division.step_ns.sum()) + (division.interruptions_ns or 0.0)
    overhead = 1 - explained / total
    bound = (empty_call(timings) or 0.0) / total + _OVERHEAD
    if overhead < _NEGATIVE:
        yield RunWarning(WarningKind.NEGATIVE_OVERHEAD, overhead)
    if overhead > bound:
        yield RunWarning(WarningKind.HIGH_OVERHEAD, overhead, bound=bound)


def _disagreement(timings: Timings) -> Iterator[RunWarning]:
    """A warning if the longest prefix, the whole model, is faster or slower than the model."""
    parts = [part for part in intervals.by_process(timings) if part.timer is Timer.PREFIX]
    ratios = [float(np.median(p.prefix_ns[-1])) / np.median(p.latency_ns) for p in parts]
    apart = 1 - float(np.median(ratios))
    if abs(apart) > _AGREEMENT:
        yield RunWarning(WarningKind.PREFIXES_DISAGREE, apart)


def _fallbacks(division: Division, trace: Trace) -> Iterator[RunWarning]:
    """Warnings about steps that ran on another provider than requested, with their time."""
    times = division.step_ns
    providers = np.array([step.provider for step in trace.steps])
    others = {p for p in providers.tolist() if p and p != trace.provider} if trace.provider else ()
    for other in sorted(others):
        share = float(times[providers == other].sum()) / max(1.0, float(times.sum()))
        yield RunWarning(WarningKind.FALLBACK_PROVIDER, share, other)


def _widened(division: Division, trace: Trace, workload: Workload) -> Iterator[RunWarning]:
    """A warning if layers of half precision ran as kernels of a wider type."""
    found = widening(trace.steps, workload.table, division.step_ns)
    if found is not None:
        yield RunWarning(WarningKind.WIDENED, found.cast_share, found.words)


def _batch(workload: Workload, outputs: tuple[Tensor, ...]) -> Iterator[RunWarning]:
    if workload.table.obstacle:
        batch = float(workload.table.batch)
        yield RunWarning(WarningKind.FIXED_BATCH, batch, workload.table.obstacle)
    declared = {t.name: t.shape for layer in workload.table.nodes for t in layer.outputs}
    for tensor in outputs:
        want = declared.get(tensor.name)
        got = tensor.shape
        if want and got and isinstance(want[0], int) and want[0] != got[0]:
            yield RunWarning(WarningKind.BATCH_LOST, float(str(got[0])), tensor.name)
