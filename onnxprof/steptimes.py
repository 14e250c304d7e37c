"""The time of each step, from whatever a timer sampled.

The runtime's profiler samples steps, but its own cost is in every one of them. Where that is
little, a step's time is its share of the traced inferences that it was seen in, of which the
un-profiled median is the length. Where it is much, prefixes of the graph, timed un-profiled,
give the time of a *segment* (the steps between two cuts) as the difference of two medians,
free of that cost, and the profile splits the time inside a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof import stats
from onnxprof.records import Run, Samples, Step, Timings

#: A step keeps at least this part of what the profiler says, however large the bias.
_LEAST = 0.02
Times = NDArray[np.float64]


def step_samples(run: Run) -> Samples:
    """Nanoseconds of each step in each traced inference, shape [steps, inferences].

    Each step's samples are moved by one constant, so that their median is the step's estimate;
    none falls below 0.
    """
    timings = run.timings
    if timings is None or not timings.step_ns.size:
        return timings.step_ns if timings else np.zeros((0, 0), np.int64)
    sampled = np.median(timings.step_ns, axis=1)
    shift = np.rint(sampled - estimates(run.steps, timings)).astype(np.int64)
    moved: Samples = np.maximum(timings.step_ns - shift[:, None], 0)
    return moved


def estimates(steps: Sequence[Step], timings: Timings) -> Times:
    """Nanoseconds of each step, shape [steps]; with overhead they make the un-profiled median.

    Of several processes each says what share of its own median a step takes; the mean of the
    shares counts.
    """
    if not timings.step_ns.size:
        return np.zeros(len(steps))
    if timings.host_ns.size:  # a device's own clock: no timer is in them
        return np.asarray(np.median(timings.step_ns, axis=1), np.float64)
    if not timings.prefix_ns.size:
        return _by_trace(timings)
    parts = [p for p in stats.by_process(timings) if p.prefix_ns.size and p.traced_ns.size]
    shares = [_by_prefixes(steps, part) / _middle(part.latency_ns) for part in parts]
    return _mean(shares, len(steps)) * _middle(timings.latency_ns)


def _by_trace(timings: Timings) -> Times:
    """Shares of typical traced inferences, times the un-profiled median and `least_inflation`.

    An inference that the profiler did not make longer is as long as one that it did not see,
    whatever the machine did meanwhile: so its own length is the measure of its steps, and what
    it spent between them is overhead. Samples without blocks count as they are.
    """
    if not stats.inflation_ratios(timings).size:
        return np.asarray(np.median(timings.step_ns, axis=1), np.float64)
    shares = [typical(part) for part in stats.by_process(timings) if part.traced_ns.size]
    whole = _middle(timings.latency_ns) * least_inflation(timings)
    return _mean(shares, len(timings.step_ns)) * whole


def _mean(shares: Sequence[Times], steps: int) -> Times:
    mean: Times = np.mean(shares, axis=0) if shares else np.zeros(steps)
    return mean


def typical(timings: Timings) -> Times:
    """Each step's share of the traced inferences without the shortest and longest quarter.

    Times of the same inferences add up, which medians of each step do not.
    """
    count = timings.traced_ns.size
    kept = np.argsort(timings.traced_ns, kind="stable")[count // 4 : count - count // 4]
    whole = float(timings.traced_ns[kept].sum())
    shares: Times = timings.step_ns[:, kept].sum(axis=1) / max(whole, 1.0)
    return shares


def inflation(timings: Timings) -> float:
    """Traced over un-profiled; 1.0 is a timer that costs nothing, NaN where either is not known.

    The median over pairs of neighbouring blocks where there are such, else a ratio of medians.
    """
    ratios = stats.inflation_ratios(timings)
    if ratios.size:
        return float(np.median(ratios))
    if not timings.traced_ns.size or not timings.latency_ns.size:
        return float("nan")
    return _middle(timings.traced_ns) / _middle(timings.latency_ns)


def least_inflation(timings: Timings) -> float:
    """What the timer makes an inference longer for certain: the lower end of a 95 % interval.

    1 where that is less, since no profiler speeds a runtime up.
    """
    ratios = stats.inflation_ratios(timings)
    return max(1.0, stats.interval_of(ratios)[0]) if ratios.size > 1 else 1.0


def empty_call(timings: Timings) -> float | None:
    """Median nanoseconds of a call that computes nothing; None where that was not measured."""
    if timings.prefix_ns.size:
        return _middle(timings.prefix_ns[0])
    return _middle(timings.empty_ns) if timings.empty_ns.size else None


def _middle(samples: Samples) -> float:
    return max(1.0, float(np.median(samples)))


def _by_prefixes(steps: Sequence[Step], timings: Timings) -> Times:
    """Nanoseconds of each step by the prefix timer in one process, shape [steps].

    They add up to the un-profiled median less the empty prefix's. The longest prefix is the
    whole model again, in other memory; where the two differ, which of small models tells
    where their buffers came to lie, every segment is scaled by the same factor.
    """
    sampled = np.median(timings.step_ns, axis=1)
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
