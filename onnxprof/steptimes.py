"""The time of each step, from whatever a timer sampled.

The runtime's profiler samples steps, but its own cost is in every one of them. Prefixes of
the graph, timed un-profiled, give the time of a *segment* (the steps between two cuts) as the
difference of two medians, free of that cost. Inside a segment the profile splits the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onnxprof.records import Run, Samples, Step, Timings

#: A step keeps at least this part of what the profiler says, however large the bias.
_LEAST = 0.02
Times = NDArray[np.float64]


def step_samples(run: Run) -> Samples:
    """Nanoseconds of each step in each traced inference, shape [steps, inferences].

    As sampled for the trace timer. For the prefix timer each step's samples are moved by one
    constant, so that their median is the step's share of its segment; none falls below 0.
    """
    timings = run.timings
    if timings is None or not timings.prefix_ns.size or not timings.step_ns.size:
        return timings.step_ns if timings else np.zeros((0, 0), np.int64)
    sampled = np.median(timings.step_ns, axis=1)
    shift = np.rint(sampled - estimates(run.steps, timings)).astype(np.int64)
    moved: Samples = np.maximum(timings.step_ns - shift[:, None], 0)
    return moved


def estimates(steps: Sequence[Step], timings: Timings) -> Times:
    """Nanoseconds of each step by the prefix timer, shape [steps].

    They add up to the un-profiled median less the empty prefix's. The longest prefix is the
    whole model again, in other memory; where the two differ, which of small models tells
    where their buffers came to lie, every segment is scaled by the same factor.
    """
    sampled = np.median(timings.step_ns, axis=1)
    found = np.zeros(len(steps))
    factor = agreement(timings)
    for members, total in segments(steps, timings):
        found[members] = split(sampled[members], total * factor)
    return found


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


def split(sampled: Times, total: float) -> Times:
    """Divide a segment's time among its steps, in nanoseconds that add up to `total`.

    Each step's sample less a bias that is the same for all of them (the profiler's cost of a
    step), but at least 2 % of the sample. Where the samples fall short, they are scaled.
    """
    if sampled.sum() <= total:
        return _scaled(sampled, total)
    floor = sampled * _LEAST
    if floor.sum() >= total:
        return _scaled(floor, total)
    low, high = 0.0, float(sampled.max())
    for _ in range(60):  # the sum falls steadily with the bias
        bias = (low + high) / 2
        high, low = (bias, low) if np.maximum(sampled - bias, floor).sum() < total else (high, bias)
    return _scaled(np.maximum(sampled - low, floor), total)


def _scaled(parts: Times, total: float) -> Times:
    whole = float(parts.sum())
    return parts * (total / whole) if whole else np.full(parts.size, total / parts.size)
