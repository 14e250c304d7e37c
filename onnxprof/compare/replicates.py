"""Times of a run that stand for one another: one a block of inferences, process by process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis import intervals
from onnxprof.analysis.distributions import student_quantile
from onnxprof.analysis.intervals import trimmed_means
from onnxprof.analysis.once import once, remembering
from onnxprof.analysis.processes import parts
from onnxprof.analysis.step_times import bias_of, divided, empty_call, estimates, lightened
from onnxprof.compare.ratios import (
    FLOOR_DF,
    PROCESS_CUT,
    Floats,
    Group,
    Pairs,
    group,
    joined,
    pairs,
    relative_errors,
    variance_within,
)
from onnxprof.compare.verdict import Side, decides_latency
from onnxprof.errors import StoreError
from onnxprof.records.run import Run
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Indices, Timings

#: Cut off at each end of a block's samples.
_BLOCK_CUT = 0.2
#: Replicates that the rounds of a process's prefixes are divided into.
_ROUNDS = 12

#: Numbers of the steps that make up a row.
Steps = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replicates:
    """Times that stand for one another: a column a block of inferences."""

    times_ns: Floats
    """Shape [rows, blocks]."""
    process: Indices
    """The process of each block."""
    block: Indices
    """The number of each block in its process."""

    def summed(self, rows: Sequence[Steps]) -> Replicates:
        """Rows of several steps each."""
        sums = [self.times_ns[list(steps)].sum(axis=0) for steps in rows]
        times = np.stack(sums) if sums else np.zeros((0, self.process.size))
        return replace(self, times_ns=times)


def step_replicates(run: Run) -> Replicates:
    """One time a step and block of inferences, whatever the timer. Raises StoreError for none."""
    return once(_step_replicates, run)


def _step_replicates(run: Run) -> Replicates:
    checked(run)
    if run.origin is not None and run.origin.averaged:
        raise StoreError(
            "its step times are averages, of which no difference can be tested",
            where=run.request.model_name,
            remedy="`onnxprof align` shows such a run beside others",
        )
    with remembering():  # the trace of a process is the same for each part of its rounds
        return _gathered([_of_process(part) for part in parts(run)])


def latency_replicates(run: Run) -> Replicates:
    """The un-profiled median of each block, as one row. Raises StoreError for none."""
    checked(run)
    return _gathered([_medians(checked(part)) for part in parts(run)])


def profilers_cost_ns(runs: Sequence[Run]) -> float:
    """Nanoseconds that the profiler adds to an executed node: the median over all processes.

    0 where it does not show. One figure for all sides of a comparison adds no noise to it.
    """
    return float(np.median([_cost(part) for run in runs for part in parts(run)]))


def _cost(run: Run) -> float:
    timings = checked(run)
    if timings.timer is not Timer.TRACE or not timings.step_ns.size:
        return 0.0
    total = float(np.median(timings.latency_ns)) - (empty_call(timings) or 0.0)
    sampled = np.median(_by_blocks(timings)[0], axis=1)
    return bias_of(sampled, total, _nodes(run))


def _nodes(run: Run) -> NDArray[np.int64]:
    return np.array([step.nodes for step in run.steps], np.int64)


def true_replicates(run: Run, cost_ns: float) -> Replicates:
    """Replicates of each step without the profiler's cost. Raises StoreError for none."""
    sampled = step_replicates(run)
    times = lightened(sampled.times_ns, cost_ns * _nodes(run)[:, None])
    return replace(sampled, times_ns=times)


def _gathered(processes: Sequence[tuple[Floats, Indices]]) -> Replicates:
    process = [np.full(block.size, number, np.int32) for number, (_, block) in enumerate(processes)]
    return Replicates(
        np.concatenate([times for times, _ in processes], axis=1),
        np.concatenate(process),
        np.concatenate([block for _, block in processes]),
    )


def _of_process(run: Run) -> tuple[Floats, Indices]:
    timings = checked(run)
    if timings.timer is Timer.PREFIX and timings.step_ns.size:
        return _by_rounds(run.steps, timings)
    return _by_blocks(timings)


def _by_blocks(timings: Timings) -> tuple[Floats, Indices]:
    """Trimmed means, for runtimes count in microseconds; samples without blocks are one."""
    block = timings.traced_block
    if block.size != timings.step_ns.shape[1]:
        block = np.zeros(timings.step_ns.shape[1], np.int32)
    numbers = np.unique(block)
    columns = [timings.step_ns[:, block == number] for number in numbers]
    times = [intervals.trimmed_means(column, _BLOCK_CUT) for column in columns]
    return np.array(times, np.float64).reshape(len(columns), -1).T, numbers


def _by_rounds(steps: Sequence[Step], timings: Timings) -> tuple[Floats, Indices]:
    """What the prefix timer says of each twelfth of its rounds."""
    rounds = np.array_split(timings.prefix_ns, _ROUNDS, axis=1)
    groups = [replace(timings, prefix_ns=part) for part in rounds if part.size]
    times = np.stack([estimates(steps, part) for part in groups], axis=1)
    return times, np.arange(len(groups), dtype=np.int32)


def _medians(timings: Timings) -> tuple[Floats, Indices]:
    samples, block = timings.latency_ns, timings.latency_block
    if block.size != samples.size:
        block = np.zeros(samples.size, np.int32)
    numbers = np.unique(block)
    return np.array([[float(np.median(samples[block == n])) for n in numbers]]), numbers


def latency_group(run: Run) -> Group:
    """The un-profiled median of each process, as one row."""
    return once(_latency_group, run)


def _latency_group(run: Run) -> Group:
    timings = checked(run)
    process = intervals.sample_process(timings)
    groups = [_latency_of(timings, process == p) for p in np.unique(process)]
    return joined(groups)


def _latency_of(timings: Timings, chosen: Indices) -> Group:
    samples, block = timings.latency_ns[chosen], timings.latency_block[chosen]
    medians = [[float(np.median(samples[block == b])) for b in np.unique(block)]]
    middle = np.array([float(np.median(samples))])
    return Group(middle[:, None], variance_within(np.array(medians), middle)[:, None])


def row_group(run: Run, rows: Sequence[Steps]) -> Group:
    """One time a row and process."""
    summed = step_replicates(run).summed(rows)
    return group(summed.times_ns, summed.process)


def printed_ns(runs: Sequence[Run], rows: Sequence[Sequence[Steps]]) -> Floats:
    """Nanoseconds of each row as every other table has them, of several runs their means.

    `rows` holds for each run the steps of each row.
    """
    times = [_row_ns(run, steps) for run, steps in zip(runs, rows, strict=True)]
    mean: Floats = np.mean(times, axis=0)
    return mean


def _row_ns(run: Run, rows: Sequence[Steps]) -> Floats:
    checked(run)
    times = divided(run).whole_ns
    return np.array([times[list(steps)].sum() for steps in rows], np.float64)


def printed_latency_ns(runs: Sequence[Run]) -> Floats:
    """The un-profiled median as one row, of several runs their mean."""
    return np.array([np.mean([intervals.median_ns(checked(run).latency_ns) for run in runs])])


def printed_interruptions_ns(runs: Sequence[Run]) -> float | None:
    """What interruptions took, of several runs the mean; None where no run's timer can tell."""
    interruptions = [divided(run).interruptions_ns for run in runs]
    if all(ns is None for ns in interruptions):
        return None
    return float(np.mean([round(ns or 0.0) for ns in interruptions]))


def side_by_side(a: Replicates, b: Replicates) -> Pairs:
    """Pairs of processes, in which blocks of one number were measured one after the other.

    Raises ValueError where the sides have different numbers of processes, or a pair of them no
    block in common.
    """
    processes = [np.unique(side.process).size for side in (a, b)]
    if processes[0] != processes[1]:
        raise ValueError(f"no pairs: {processes[0]} and {processes[1]} processes")
    _, ours, theirs = np.intersect1d(_keys(a), _keys(b), return_indices=True)
    process = a.process[ours]
    if np.unique(process).size != processes[0]:
        raise ValueError("no pairs: two processes have no block in common")
    return pairs(a.times_ns[:, ours], b.times_ns[:, theirs], process)


def _keys(side: Replicates) -> Indices:
    """One number a block of a process."""
    keys: Indices = side.process.astype(np.int64) * (1 << 32) + side.block
    return keys


def checked(run: Run) -> Timings:
    """The times of a run. Raises StoreError for none."""
    if run.timings is None or run.timings.latency_ns.size == 0:
        why = run.failure or "no un-profiled samples"
        raise StoreError(f"this run has no times: {why}", where=run.request.model_name)
    return run.timings


def latency_reach(run: Run) -> float | None:
    """What a run adds to the interval of a ratio of latencies: half of it, as a logarithm.

    Of two runs the root of the sum of squares counts. For one process each that is never narrower
    than the interval of `compare`. None where no latency may be called slower or faster.
    """
    if run.timings is None or not run.timings.latency_ns.size:
        return None
    side = latency_group(run)
    limited = Side.of([run], side.times_ns.shape[1])
    if not decides_latency(limited, limited):
        return None
    printed = np.log(max(1, intervals.median_ns(run.timings.latency_ns)))
    shift = float(printed - trimmed_means(np.log(np.maximum(side.times_ns, 1.0)), PROCESS_CUT)[0])
    error = float(np.hypot(relative_errors(side)[0], np.sqrt(2) * shift))
    quantile = student_quantile(FLOOR_DF + side.times_ns.shape[1] - 1, 0.975)
    reach = float(quantile) * error
    return reach if np.isfinite(reach) else None
