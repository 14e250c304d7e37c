"""Which steps to run alone many times over, and how often: those too short for a prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxprof.plugins.backend import Trace

#: Steps of fewer nanoseconds are measured alone. The profiler counts whole microseconds and adds
#: about one to each node, so longer steps are known well enough.
SHORT_NS = 50_000
#: Nanoseconds that the copies of a step take together, so that an empty call is small beside them.
TARGET_NS = 250_000
#: Copies that a graph may have; loading it takes longer than running it.
_MOST_COPIES = 500
#: Rounds over all repeated steps, and the part of what is left of the budget that they may take.
ROUNDS = 25
FEWEST_ROUNDS = 5
SHARE = 0.3
#: A round runs each session twice, first to refill the caches.
_CALLS = 2


def wanted(trace: Trace, left_ns: float) -> dict[int, int]:
    """From a step's number to the number of copies, for as many short steps as time allows.

    The shortest come first: their times in the trace are the least precise.
    """
    medians = np.median(trace.step_ns, axis=1) if trace.step_ns.size else np.zeros(0)
    short = [int(i) for i in np.argsort(medians, kind="stable") if 0 < medians[i] < SHORT_NS]
    return {step: copies(float(medians[step])) for step in short[: affordable(left_ns)]}


def affordable(left_ns: float) -> int:
    """The number of steps that can be repeated in twice the fewest rounds."""
    return int(left_ns * SHARE / (2 * FEWEST_ROUNDS * _CALLS * TARGET_NS))


def copies(step_ns: float) -> int:
    """The number of copies of a step of that length in one call."""
    return int(min(_MOST_COPIES, max(2.0, TARGET_NS / step_ns)))


def listed(opened: Mapping[int, object], asked: Mapping[int, int], steps: int) -> tuple[int, ...]:
    """The copies of every step, 0 for one that could not be repeated; empty for none."""
    if not opened:
        return ()
    return tuple(asked[step] if step in opened else 0 for step in range(steps))


def known(trace: Trace, repeats: Sequence[int]) -> float:
    """The part of the traced time that repeated steps take."""
    if not repeats:
        return 0.0
    medians = np.median(trace.step_ns, axis=1)
    return float(medians[np.array(repeats) > 0].sum() / max(1.0, medians.sum()))


def of(repeats: Sequence[int]) -> dict[int, int]:
    """From a step's number to the number of copies: the inverse of `listed`."""
    return {step: count for step, count in enumerate(repeats) if count}
