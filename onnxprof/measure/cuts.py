"""Where to cut a graph into growing prefixes, so that each segment is long against the noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxprof.plugins.backend import Trace

#: With more cuts than this, noise exceeds the gain in detail.
MOST = 24
#: The number of segments where all steps were timed alone: they show what a cold cache costs.
FEWEST = 3
#: Rounds that the budget should allow: the noise of a median falls with their square root.
_ROUNDS = 30


def rounds(left_ns: float, inference_ns: float) -> float:
    """The number of rounds of the model and the longest prefix that fit into `left_ns`."""
    return left_ns / max(2 * inference_ns, 1.0)


def affordable(left_ns: float, inference_ns: float, known: float = 0.0) -> int:
    """The number of cuts that leave time for enough rounds.

    A round runs the whole model once, and prefixes that take half as long on average. `known` is
    the part of an inference in steps that were timed alone. The larger it is, the fewer and
    longer are the segments, since a segment is as uncertain as two sessions differ by chance.
    """
    most = FEWEST + (MOST - FEWEST) * (1 - known)
    return max(1, min(round(most), int(4 * rounds(left_ns, inference_ns) / _ROUNDS) - 2))


def place(trace: Trace, most: int) -> tuple[int, ...]:
    """At most `most` cuts, as counts of positions: 0 first, the whole graph last.

    Segments take about the same time by the trace; a cut stands where the next equal part
    of the time is reached.
    """
    reached = np.cumsum(position_times(trace))
    if reached.size < 2 or not reached[-1]:
        return (0, trace.length)
    parts = reached[-1] * np.arange(1, most) / most
    inner = np.searchsorted(reached, parts) + 1
    return tuple(sorted({0, trace.length, *(int(cut) for cut in inner)} - trace.barred))


def thinned(wanted: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of the wanted cuts, evenly spaced; the first and the last stay."""
    if len(wanted) - 1 <= most:
        return tuple(wanted)
    chosen = np.linspace(0, len(wanted) - 1, max(1, most) + 1).round().astype(int)
    return tuple(wanted[i] for i in chosen)


def position_times(trace: Trace) -> Sequence[float]:
    """Median nanoseconds at each position of the executed graph, nested steps included."""
    times = np.zeros(trace.length)
    for step, samples in zip(trace.steps, trace.step_ns, strict=True):
        times[step.position] += float(np.median(samples))
    return times.tolist()
