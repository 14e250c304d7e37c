"""The time of each step, from whatever a timer sampled.

The runtime's profiler samples steps, but its own cost is in every one of them. Where that is
little, a step's time is its share of the traced inferences that it was seen in, of which the
un-profiled median is the length. Where it is much, prefixes of the graph, timed un-profiled,
give the time of a *segment* (the steps between two cuts) as the difference of two medians,
free of that cost, and the profile splits the time inside a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis import intervals
from onnxprof.analysis.interruptions import Quiet, Times, quieten
from onnxprof.records.run import Run
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Samples, Timings

#: A step keeps at least this part of what the profiler says, however large the bias.
_LEAST = 0.02
#: Below it the order of un-profiled samples says little.
_LOWEST_RANK = 0.05
#: Eleven days in nanoseconds; a file that says more must not overflow anything.
_LONGEST = 1e15


@dataclass(frozen=True, slots=True)
class Division:
    """How the un-profiled median is divided. What is left over is the runtime's overhead."""

    step_ns: Times
    """Of each step, shape [steps]."""
    interruptions_ns: float | None = None
    """What other programs and interrupts took; None where the timer cannot tell."""
    usual_ns: Times | None = None
    """The usual time of each step in the trace, of which `step_ns` is a multiple."""

    @property
    def whole_ns(self) -> Samples:
        """The time of each step as every table prints it: whole nanoseconds."""
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
    """As `divide`; no steps where the run has no times."""
    return divide(run.steps, run.timings) if run.timings else Division(np.zeros(0))


def divide(steps: Sequence[Step], timings: Timings) -> Division:
    """Divide the un-profiled median among steps, interruptions and overhead.

    Of several processes each says what share of a quiet inference a step takes, with prefixes of
    its own median; the mean of the shares counts, and the median of what interruptions took.
    """
    if not timings.step_ns.size:
        return Division(np.zeros(len(steps)))
    if timings.timer is Timer.CUPTI:  # a device's own clock: no timer is in them
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

    An inference that the profiler did not make longer is as long as one that it did not see,
    whatever the machine did meanwhile: so its own length is the measure of its steps, and what
    it spent between them is overhead. What the profiler adds for certain, `least_inflation`,
    stays in the steps. Samples without blocks count as they are.
    """
    if not intervals.inflation_ratios(timings).size:
        times = typical_ns(timings)
        return Division(times, usual_ns=times)
    parts = [part for part in intervals.by_process(timings) if part.traced_ns.size]
    found = [_quiet(part) for part in parts]
    shares = [_shares(quiet) for quiet in found]
    kept = [quiet_part(part, quiet) for part, quiet in zip(parts, found, strict=True)]
    # The median over all samples is not that of the one process that was hit hardest.
    part = float(np.median(kept)) if kept else 1.0
    whole, count = _middle(timings.latency_ns), len(timings.step_ns)
    usual = [_shares_ns(quiet) for quiet in found]
    return Division(
        _mean(shares, count) * part * whole * least_inflation(timings),
        (1 - part) * whole,
        _mean(usual, count),
    )


def _mean(shares: Sequence[Times], steps: int) -> Times:
    mean: Times = np.mean(shares, axis=0) if shares else np.zeros(steps)
    return mean


def _quiet(timings: Timings) -> Quiet:
    """Imported steps may come without the lengths of their inferences."""
    known = timings.traced_ns.size == timings.step_ns.shape[1]
    return quieten(timings.step_ns, timings.traced_ns if known else timings.step_ns.sum(axis=0))


def _shares(quiet: Quiet) -> Times:
    """Each step's share of the inferences without the shortest and longest eighth.

    Times of the same inferences add up, which medians of each step do not.
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
    return _shares_ns(_quiet(timings))


def _shares_ns(quiet: Quiet) -> Times:
    return _shares(quiet) * float(np.median(quiet.whole_ns))


def quiet_part(timings: Timings, quiet: Quiet) -> float:
    """The part of the un-profiled median that is left without interruptions, at most 1.

    A quiet inference's length has a rank among the traced ones as they were; the un-profiled
    inference of that rank is as quiet. So where half of the inferences are interrupted, and
    the medians of both fall on either side by chance, they are not taken for one another. No
    quiet inference takes less than the fastest un-profiled one.
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

    The median over pairs of neighbouring blocks where there are such, else a ratio of medians.
    """
    ratios = intervals.inflation_ratios(timings)
    if ratios.size:
        return float(np.median(ratios))
    if not timings.traced_ns.size or not timings.latency_ns.size:
        return float("nan")
    return _middle(timings.traced_ns) / _middle(timings.latency_ns)


def least_inflation(timings: Timings) -> float:
    """What the timer makes an inference longer for certain: the lower end of a 95 % interval.

    1 where that is less, since no profiler speeds a runtime up.
    """
    ratios = intervals.inflation_ratios(timings)
    return max(1.0, intervals.interval_of(ratios)[0]) if ratios.size > 1 else 1.0


def empty_call(timings: Timings) -> float | None:
    """Median nanoseconds of a call that computes nothing; None where that was not measured."""
    if timings.timer is Timer.PREFIX:
        return _middle(timings.prefix_ns[0])
    return _middle(timings.empty_ns) if timings.empty_ns.size else None


def _middle(samples: Samples) -> float:
    return max(1.0, float(np.median(samples)))


def _by_prefixes(steps: Sequence[Step], timings: Timings, sampled: Times) -> Times:
    """Nanoseconds of each step by the prefix timer in one process, shape [steps].

    `sampled` is the usual time of each step in the trace, which splits the segments.
    They add up to the un-profiled median less the empty prefix's. The longest prefix is the
    whole model again, in other memory; where the two differ, which of small models tells
    where their buffers came to lie, every segment is scaled by the same factor.
    """
    found = np.zeros(len(steps))
    factor = agreement(timings)
    nodes = np.array([step.nodes for step in steps])
    alone = repeated(timings)
    for members, total in segments(steps, timings):
        found[members] = split(sampled[members], total * factor, nodes[members], alone[members])
    return found


def repeated(timings: Timings) -> Times:
    """Nanoseconds of each step run alone many times over, NaN where it was not; shape [steps].

    A round is a step's `repeats` copies in one call, of which an empty call's time is taken off.
    """
    known = np.full(len(timings.step_ns), np.nan)
    if not timings.repeat_ns.size:
        return known
    copies = np.array(timings.repeats)
    alone = np.median(timings.repeat_ns, axis=1) - (empty_call(timings) or 0.0)
    known[copies > 0] = np.maximum(alone, 1.0) / copies[copies > 0]
    return known


def agreement(timings: Timings) -> float:
    """Un-profiled median over the longest prefix's, the empty prefix's taken off both."""
    levels = rising(np.median(timings.prefix_ns, axis=1))
    empty = float(levels[0])
    whole = float(levels[-1]) - empty
    plain = float(np.median(timings.latency_ns)) - empty
    return plain / whole if whole > 0 and plain > 0 else 1.0


def segments(steps: Sequence[Step], timings: Timings) -> list[tuple[NDArray[np.intp], float]]:
    """The steps of each segment and its nanoseconds, neighbours pooled until none is empty.

    Prefixes grow, so their true times do; where noise makes medians fall, they are pooled
    (pool adjacent violators, Barlow et al. 1972).
    """
    position = np.array([step.position for step in steps], np.int64)
    total = rising(np.median(timings.prefix_ns, axis=1))
    found: list[tuple[NDArray[np.intp], float]] = []
    start, base = 0, float(total[0])
    for cut, reached in zip(timings.prefix_steps[1:], total[1:], strict=True):
        members = np.flatnonzero((position >= start) & (position < cut))
        if members.size and reached > base:
            found.append((members, float(reached) - base))
            start, base = cut, float(reached)
    rest = np.flatnonzero(position >= start)
    if rest.size and found:  # a last segment of no length joins the one before it
        members, length = found.pop()
        found.append((np.concatenate([members, rest]), length + float(total[-1]) - base))
    return found


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
    sampled: Times, total: float, nodes: NDArray[np.int64], alone: Times | None = None
) -> Times:
    """Divide a segment's time among its steps, in nanoseconds that add up to `total`.

    A step of which `alone` has a time, not NaN, counts with that. Of any other, the sample less a
    bias that is the same for all executed nodes (the profiler's cost of one), but at least 2 % of
    the sample. What does not add up is scaled.
    """
    parts = np.full(sampled.size, np.nan) if alone is None else alone.copy()
    others = np.isnan(parts)
    if others.any():
        left = max(0.0, total - float(parts[~others].sum()))
        bias = bias_of(sampled[others], left, nodes[others])
        parts[others] = lightened(sampled[others], bias * nodes[others])
    return _scaled(parts, total)


def bias_of(sampled: Times, total: float, nodes: NDArray[np.int64]) -> float:
    """Nanoseconds that the profiler adds to each executed node, if steps take `total` in truth."""
    if sampled.sum() <= total:
        return 0.0
    low, high = 0.0, float(sampled.max())
    for _ in range(60):  # the sum falls steadily with the bias
        bias = (low + high) / 2
        short = lightened(sampled, bias * nodes).sum() < total
        high, low = (bias, low) if short else (high, bias)
    return low


def lightened(sampled: Times, bias: NDArray[np.floating[Any]]) -> Times:
    """Less the bias, but at least 2 % of what was sampled."""
    left: Times = np.maximum(sampled - bias, sampled * _LEAST)
    return left


def _scaled(parts: Times, total: float) -> Times:
    whole = float(parts.sum())
    return parts * (total / whole) if whole else np.full(parts.size, total / parts.size)
