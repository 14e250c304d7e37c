"""The time of each step, estimated from the samples of any timer.

The runtime's profiler samples steps, but every sample includes the profiler's own cost. Where
this cost is small, a step's time is its share of the traced inferences times the un-profiled
median. Where it is large, prefixes of the graph, timed un-profiled, give the time of a *segment*
(the steps between two cuts) as the difference of two medians, free of that cost, and the profile
splits the time inside a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis import intervals
from onnxprof.analysis.interruptions import Quiet, Times, quieten
from onnxprof.analysis.once import once
from onnxprof.records.run import Run
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Samples, Timings

#: A step keeps at least this part of the profiled time, however large the bias.
_LEAST = 0.1
#: The fewest un-profiled samples whose order statistics are used.
_LOWEST_RANK = 0.05
#: Eleven days in nanoseconds; larger times in a file must not cause an overflow.
_LONGEST = 1e15


@dataclass(frozen=True, slots=True)
class Division:
    """How the un-profiled median is divided; the remainder is the runtime's overhead."""

    step_ns: Times
    """Nanoseconds of each step, shape [steps]."""
    interruptions_ns: float | None = None
    """Nanoseconds that other programs and interrupts took; None where the timer cannot tell."""
    usual_ns: Times | None = None
    """The usual time of each step in the trace, in nanoseconds; the ratio scales samples."""

    @property
    def whole_ns(self) -> Samples:
        """The time of each step in whole nanoseconds, as every table prints it."""
        return np.asarray(np.rint(np.clip(self.step_ns, -_LONGEST, _LONGEST)), np.int64)

    def scaled(self, samples: Samples) -> Times:
        """Samples [steps, inferences], each step's scaled by one factor to its estimate."""
        if self.usual_ns is None:
            return samples.astype(np.float64)
        known = self.usual_ns > 0
        factor = np.divide(self.step_ns, self.usual_ns, out=np.ones(known.size), where=known)
        return np.asarray(samples * factor[:, None], np.float64)


def estimates(steps: Sequence[Step], timings: Timings) -> Times:
    """Nanoseconds of each step, shape [steps]."""
    return divide(steps, timings).step_ns


def divided(run: Run) -> Division:
    """`divide` for a run; without steps where the run has no times."""
    return once(_divided, run)


def _divided(run: Run) -> Division:
    return divide(run.steps, run.timings) if run.timings else Division(np.zeros(0))


def divide(steps: Sequence[Step], timings: Timings) -> Division:
    """Divide the un-profiled median among steps, interruptions and overhead.

    Every process gives a step's share of a quiet inference or, with prefixes, of the median of
    that process. The mean of the shares counts, and the median of the interruptions.
    """
    if not timings.step_ns.size:
        return Division(np.zeros(len(steps)))
    if timings.timer is Timer.CUPTI:  # times by the device's own clock are free of the timer's cost
        return Division(np.asarray(np.median(timings.step_ns, axis=1), np.float64))
    if timings.timer is not Timer.PREFIX:
        return _by_trace(timings)
    parts = [p for p in intervals.by_process(timings) if p.timer is Timer.PREFIX]
    parts = [part for part in parts if part.traced_ns.size]
    usual = [typical_ns(part) for part in parts]
    shares = [
        _by_prefixes(steps, part, times) / _middle(part.latency_ns)
        for part, times in zip(parts, usual, strict=True)
    ]
    count = len(steps)
    return Division(
        _mean(shares, count) * _middle(timings.latency_ns), usual_ns=_mean(usual, count)
    )


def _by_trace(timings: Timings) -> Division:
    """Shares of quiet traced inferences, times the quiet part of the un-profiled median.

    Where the profiler does not make inferences longer, a traced inference is as long as an
    un-profiled one: a step's share is relative to the length of the traced inference, and the
    time between steps is overhead. The slowdown that is certain, `least_inflation`, stays in
    the steps. Samples without blocks are used unscaled.
    """
    if not intervals.inflation_ratios(timings).size:
        times = typical_ns(timings)
        return Division(times, usual_ns=times)
    parts = [part for part in intervals.by_process(timings) if part.traced_ns.size]
    quiets = [_quiet(part) for part in parts]
    shares = [_shares(quiet) for quiet in quiets]
    kept = [quiet_part(part, quiet) for part, quiet in zip(parts, quiets, strict=True)]
    # The median over processes is not dominated by the process with most interruptions.
    part = float(np.median(kept)) if kept else 1.0
    whole, count = _middle(timings.latency_ns), len(timings.step_ns)
    usual = [_shares_ns(quiet) for quiet in quiets]
    return Division(
        _mean(shares, count) * part * whole * least_inflation(timings),
        (1 - part) * whole,
        _mean(usual, count),
    )


def _mean(shares: Sequence[Times], steps: int) -> Times:
    mean: Times = np.mean(shares, axis=0) if shares else np.zeros(steps)
    return mean


def _quiet(timings: Timings) -> Quiet:
    """Samples without interruptions; the sums of steps replace missing inference lengths."""
    return _quieted(timings.step_ns, timings.traced_ns)


def _quieted(step_ns: Samples, traced_ns: Samples) -> Quiet:
    known = traced_ns.size == step_ns.shape[1]
    return quieten(step_ns, traced_ns if known else step_ns.sum(axis=0))


def _shares(quiet: Quiet) -> Times:
    """Each step's share of the inferences without the shortest and longest eighth.

    Times of the same inferences add up; medians of single steps would not.
    """
    count = quiet.whole_ns.size
    kept = np.argsort(quiet.whole_ns, kind="stable")[count // 8 : count - count // 8]
    shares: Times = quiet.step_ns[:, kept].sum(axis=1) / max(quiet.whole_ns[kept].sum(), 1.0)
    return shares


def typical(timings: Timings) -> Times:
    """Each step's share of a quiet traced inference, shape [steps]."""
    return _shares(_quiet(timings))


def typical_ns(timings: Timings) -> Times:
    """Nanoseconds of each step in the trace, interruptions taken out, shape [steps]."""
    return once(_typical_ns, timings.step_ns, timings.traced_ns)


def _typical_ns(step_ns: Samples, traced_ns: Samples) -> Times:
    return _shares_ns(_quieted(step_ns, traced_ns))


def _shares_ns(quiet: Quiet) -> Times:
    return _shares(quiet) * float(np.median(quiet.whole_ns))


def quiet_part(timings: Timings, quiet: Quiet) -> float:
    """The part of the un-profiled median that is left without interruptions, at most 1.

    The length of a quiet inference has a rank among the traced inferences; the un-profiled
    inference of that rank is as quiet. Ranks are compared rather than medians, since these may
    fall on either side by chance where half of the inferences are interrupted. No quiet
    inference is shorter than the fastest un-profiled one.
    """
    length, sampled = max(0.0, float(np.median(quiet.whole_ns))), timings.traced_ns
    if float(np.median(sampled)) <= length:
        return 1.0
    ranks = np.linspace(0, 1, sampled.size)
    rank = max(_LOWEST_RANK, float(np.interp(length, np.sort(sampled), ranks)))
    scale = length / max(1.0, float(np.quantile(sampled, rank)))
    left = float(np.quantile(timings.latency_ns, rank)) * scale
    fastest = float(timings.latency_ns.min())
    return min(1.0, max(left, fastest) / _middle(timings.latency_ns))


def inflation(timings: Timings) -> float:
    """Traced over un-profiled; 1.0 is a timer that costs nothing, NaN where either is not known.

    The median over pairs of neighbouring blocks, or a ratio of medians without blocks.
    """
    ratios = intervals.inflation_ratios(timings)
    if ratios.size:
        return float(np.median(ratios))
    if not timings.traced_ns.size or not timings.latency_ns.size:
        return float("nan")
    return _middle(timings.traced_ns) / _middle(timings.latency_ns)


def least_inflation(timings: Timings) -> float:
    """The factor by which the timer certainly slows inferences: lower end of a 95 % interval.

    At least 1, since no profiler speeds a runtime up.
    """
    ratios = intervals.inflation_ratios(timings)
    return max(1.0, intervals.interval_of(ratios)[0]) if ratios.size > 1 else 1.0


def empty_call(timings: Timings) -> float | None:
    """Median nanoseconds of an empty call; None where none was measured."""
    if timings.timer is Timer.PREFIX:
        return _middle(timings.prefix_ns[0])
    return _middle(timings.empty_ns) if timings.empty_ns.size else None


def _middle(samples: Samples) -> float:
    return max(1.0, float(np.median(samples)))


def _by_prefixes(steps: Sequence[Step], timings: Timings, sampled: Times) -> Times:
    """Nanoseconds of each step by the prefix timer in one process, shape [steps].

    `sampled` is the usual time of each step in the trace, which splits the segments.
    The steps add up to the un-profiled median less the empty prefix's. The longest prefix is the
    whole model again, in other memory. Where the two differ (for small models, by the placement
    of their buffers), every segment is scaled by the same factor.
    """
    factor = agreement(timings)
    pooled = [(members, total * factor) for members, total in segments(steps, timings)]
    nodes = np.array([step.nodes for step in steps])
    return split(sampled, pooled, nodes, repeated(timings))


def repeated(timings: Timings) -> Times:
    """Nanoseconds of each step run alone many times over, NaN where it was not; shape [steps].

    A round runs a step's `repeats` copies in one call; the time of an empty call is subtracted.
    """
    known = np.full(len(timings.step_ns), np.nan)
    if not timings.repeat_ns.size:
        return known
    copies = np.array(timings.repeats)
    alone = np.median(timings.repeat_ns, axis=1) - (empty_call(timings) or 0.0)
    known[copies > 0] = np.maximum(alone, 1.0) / copies[copies > 0]
    return known


def agreement(timings: Timings) -> float:
    """Un-profiled median over the longest prefix's, both less the empty prefix's median."""
    levels = rising(np.median(timings.prefix_ns, axis=1))
    empty = float(levels[0])
    whole = float(levels[-1]) - empty
    plain = float(np.median(timings.latency_ns)) - empty
    return plain / whole if whole > 0 and plain > 0 else 1.0


def segments(steps: Sequence[Step], timings: Timings) -> list[tuple[NDArray[np.intp], float]]:
    """The steps of each segment and its nanoseconds, neighbours pooled until none is empty.

    True times grow with the prefixes; where noise makes medians fall, neighbours are pooled
    (pool adjacent violators, Barlow et al. 1972).
    """
    position = np.array([step.position for step in steps], np.int64)
    total = rising(np.median(timings.prefix_ns, axis=1))
    pooled: list[tuple[NDArray[np.intp], float]] = []
    start, base = 0, float(total[0])
    for cut, reached in zip(timings.prefix_steps[1:], total[1:], strict=True):
        members = np.flatnonzero((position >= start) & (position < cut))
        if members.size and reached > base:
            pooled.append((members, float(reached) - base))
            start, base = cut, float(reached)
    rest = np.flatnonzero(position >= start)
    if rest.size and pooled:  # a last segment of no length joins the one before it
        members, length = pooled.pop()
        pooled.append((np.concatenate([members, rest]), length + float(total[-1]) - base))
    return pooled


def rising(values: Times) -> Times:
    """The closest non-decreasing sequence, in least squares."""
    levels: list[tuple[float, int]] = []
    for value in values:
        levels.append((float(value), 1))
        while len(levels) > 1 and levels[-2][0] > levels[-1][0]:
            (a, n), (b, m) = levels[-2:]
            levels[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.concatenate([np.full(count, level) for level, count in levels])


def split(
    sampled: Times,
    pooled: Sequence[tuple[NDArray[np.intp], float]],
    nodes: NDArray[np.int64],
    alone: Times | None = None,
) -> Times:
    """Divide the time of each segment among its steps; shape [steps], 0 outside of all segments.

    A step whose time in `alone` is not NaN counts with that time. Any other counts with the sample
    less a bias per executed node, but at least a tenth of the sample. The bias is the profiler's
    cost of a node, one for the whole model: the noise of a segment is as long as its short steps.
    The times of a segment are then scaled to add up to its length.
    """
    parts = np.full(sampled.size, np.nan) if alone is None else alone.copy()
    others = np.isnan(parts)
    if others.any():
        left = max(0.0, sum(total for _, total in pooled) - float(parts[~others].sum()))
        bias = bias_of(sampled[others], left, nodes[others])
        parts[others] = lightened(sampled[others], bias * nodes[others])
    step_ns = np.zeros(sampled.size)
    for members, total in pooled:
        step_ns[members] = _scaled(parts[members], total)
    return step_ns


def bias_of(sampled: Times, total: float, nodes: NDArray[np.int64]) -> float:
    """Nanoseconds that the profiler adds to each executed node, if the steps truly take `total`."""
    if sampled.sum() <= total:
        return 0.0
    low, high = 0.0, float(sampled.max())
    for _ in range(60):  # the sum falls steadily with the bias
        bias = (low + high) / 2
        short = lightened(sampled, bias * nodes).sum() < total
        high, low = (bias, low) if short else (high, bias)
    return low


def lightened(sampled: Times, bias: NDArray[np.floating[Any]]) -> Times:
    """The samples less the bias, but at least a tenth of the samples."""
    left: Times = np.maximum(sampled - bias, sampled * _LEAST)
    return left


def _scaled(parts: Times, total: float) -> Times:
    if parts.size == 1:
        return np.full(1, total)
    whole = float(parts.sum())
    return parts * (total / whole) if whole else np.full(parts.size, total / parts.size)
