"""OpenVINO's performance counters, from running means to the times of single inferences.

The CPU and GPU plugins count, for each node, whole microseconds (rounded down) and executions
since the model was compiled, and hand out the quotient (rounded down again). So a
reading after n inferences is the mean of all n, the slow first one included, and not the time of
the last one. Between readings after m and n inferences, n times the second mean less m times the
first is the node's time in that *window*, known to (m + n) / 2 (n - m) microseconds an inference:
a short window is too coarse for a short node. So every node has windows of its own, as short as
the node's time allows. The clock gives the length of every whole inference; a window's time is
divided among the inferences in proportion to these lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.timings import Samples

#: The part of the inferences' time that reading the counters may take.
_AFFORDABLE = 0.01
#: The greatest error of a window, relative to the node's time.
_TOLERANCE = 0.05

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters after `count` inferences: microseconds by node."""

    count: int
    micros: Mapping[str, int]


@dataclass(slots=True)
class Counters:
    """Durations of inferences, and the readings between them."""

    taken: list[int] = field(default_factory=list)
    """Nanoseconds of each inference, in order."""
    readings: list[Reading] = field(default_factory=list)
    read_ns: int = 0
    """Nanoseconds of the last reading."""
    since_ns: int = 0
    """Inferences' time since then."""

    def add(self, ns: int) -> None:
        """Add the duration of an inference."""
        self.taken.append(ns)
        self.since_ns += ns

    def is_due(self) -> bool:
        """Whether to read now: after 1, 2, 4, … inferences, or when the cost is negligible."""
        count = len(self.taken)
        if not count or (self.readings and self.readings[-1].count == count):
            return False
        return count & (count - 1) == 0 or self.read_ns < _AFFORDABLE * self.since_ns

    def read(self, micros: Mapping[str, int], cost_ns: int = 0) -> None:
        """Add a reading of the counters, and the nanoseconds that it took."""
        self.readings.append(Reading(len(self.taken), dict(micros)))
        self.read_ns, self.since_ns = cost_ns, 0


def step_times(nodes: Sequence[str], counters: Counters, *, means: bool = True) -> Samples:
    """Nanoseconds of each node in each inference, shape [nodes, inferences].

    If `means`, the counters are means since compiling, else times of the last inference.
    Inferences after the last reading have no times.
    """
    taken = np.array(counters.taken, np.float64)
    counts = np.array([reading.count for reading in counters.readings], np.int64)
    times = np.zeros((len(nodes), taken.size))
    for row, name in enumerate(nodes):
        values = np.array([r.micros.get(name, 0) for r in counters.readings], np.float64)
        if values.any():
            times[row] = (
                _from_means(values, counts, taken) if means else _held(values, counts, taken)
            )
    return np.rint(times).astype(np.int64)


def _from_means(values: Times, counts: NDArray[np.int64], taken: Times) -> Times:
    """One node's nanoseconds in each inference, from the mean at each reading."""
    totals = np.where(values > 0, values * counts + (counts - 1) / 2, 0.0)
    times = np.zeros(taken.size)
    start, past = 0, 0.0
    for place in _windows(values, counts):
        end = int(counts[place])
        whole = float(taken[start:end].sum())
        spent = min(max(1000 * (float(totals[place]) - past), 0.0), whole)
        times[start:end] = taken[start:end] * (spent / whole if whole else 0.0)
        start, past = end, float(totals[place])
    return times


def _windows(values: Times, counts: NDArray[np.int64]) -> list[int]:
    """The readings at which a node's windows end.

    The first inference is a window; further windows grow until the error is small enough, or
    until they are as long as all earlier ones, when waiting longer gains no precision.
    """
    ends: list[int] = []
    before = 0
    for place, (value, count) in enumerate(zip(values.tolist(), counts.tolist(), strict=True)):
        doubt = (count + before) / (2 * (count - before))
        if not ends or doubt <= _TOLERANCE * value or count >= 2 * before:
            ends.append(place)
            before = count
    if ends[-1] < len(values) - 1:  # the rest is too short for a window
        if len(ends) > 1:
            ends.pop()
        ends.append(len(values) - 1)
    return ends


def _held(values: Times, counts: NDArray[np.int64], taken: Times) -> Times:
    """One node's nanoseconds in each inference, from readings of the last inference's time."""
    times = np.zeros(taken.size)
    start = 0
    for value, end in zip(values.tolist(), counts.tolist(), strict=True):
        last = float(taken[end - 1])
        times[start:end] = taken[start:end] * (min(1000 * value, last) / last if last else 0.0)
        start = end
    return times
