"""What a reader of a measurement must know, derived from its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from onnxprof import stats
from onnxprof.contracts import Trace, Workload
from onnxprof.records import RunWarning, Step, Tensor, Timings, WarningKind
from onnxprof.sampling import ENOUGH, PRECISION, STEADY, unsteadiness
from onnxprof.steptimes import Times, estimates

#: Traced over un-profiled latency above which the runtime's profiler distorts the steps.
INFLATION = 1.02
_UNATTRIBUTED = 0.02
#: How far the longest prefix may lie from the un-profiled median, relative to it.
_AGREEMENT = 0.03


def warnings_of(
    timings: Timings, trace: Trace, workload: Workload, outputs: tuple[Tensor, ...]
) -> tuple[RunWarning, ...]:
    """What a reader of these figures must know."""
    return (
        *_latency_warnings(timings),
        *_step_warnings(timings, trace),
        *_batch(workload, outputs),
    )


def _latency_warnings(timings: Timings) -> Iterator[RunWarning]:
    change = unsteadiness(timings.warmup_ns.tolist())
    if not change <= STEADY:
        yield RunWarning(WarningKind.UNSTEADY_WARMUP, change if change == change else 0.0)
    yield from median_warnings(timings)


def median_warnings(timings: Timings) -> Iterator[RunWarning]:
    """How far the un-profiled median can be trusted: samples, interval, drift."""
    samples = timings.latency_ns
    if samples.size < ENOUGH:
        yield RunWarning(WarningKind.FEW_SAMPLES, float(samples.size))
    low, high = stats.latency_interval(timings)
    width = (high - low) / 2 / max(1, stats.median_ns(samples))
    if width > PRECISION:
        yield RunWarning(WarningKind.WIDE_INTERVAL, width)
    if moved := stats.drift(timings):
        yield RunWarning(WarningKind.DRIFT, moved)


def _step_warnings(timings: Timings, trace: Trace) -> Iterator[RunWarning]:
    total = max(1, stats.median_ns(timings.latency_ns))
    prefixed = timings.prefix_ns.size > 0
    inflation = stats.median_ns(timings.traced_ns) / total
    if inflation > INFLATION and not prefixed:
        yield RunWarning(WarningKind.TIMER_INFLATION, inflation)
    if prefixed:
        yield from _disagreement(timings, total)
    times = _step_times(timings, trace.steps)
    overhead = 1 - float(times.sum()) / total
    if overhead < -0.01:
        yield RunWarning(WarningKind.NEGATIVE_OVERHEAD, overhead)
    nobody = np.array([not step.layers for step in trace.steps], bool)
    if times.sum() and (share := float(times[nobody].sum() / times.sum())) > _UNATTRIBUTED:
        yield RunWarning(WarningKind.UNATTRIBUTED_TIME, share)


def _step_times(timings: Timings, steps: Sequence[Step]) -> Times:
    if not timings.step_ns.size:
        return np.zeros(0)
    if timings.prefix_ns.size:
        return estimates(steps, timings)
    return np.asarray(np.median(timings.step_ns, axis=1), np.float64)


def _disagreement(timings: Timings, total: int) -> Iterator[RunWarning]:
    """The longest prefix is the whole model; if it is slower or faster, the cuts distort."""
    apart = (total - stats.median_ns(timings.prefix_ns[-1])) / total
    if abs(apart) > _AGREEMENT:
        yield RunWarning(WarningKind.PREFIXES_DISAGREE, apart)


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
