"""OpenVINO's performance counters, from running means to the times of single inferences.

The CPU and GPU plugins count, for each node, whole microseconds (rounded down) and executions
since the model was compiled, and hand out the quotient (rounded down again). So what is read
after n inferences is the mean of all n, the slow first one among them, and not the last one's
time. Between two readings after m and n inferences, n times the one mean less m times the other
is the node's time in that *window*, known to (m + n) / 2 (n - m) microseconds an inference: a
short window tells nothing of a short node. So each node has windows of its own, as short as its
length allows. How long each inference took as a whole is known from the clock; a window's time
is divided among its inferences in proportion to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.timings import Samples

#: Reading may take this part of the inferences' time.
_AFFORDABLE = 0.01
#: How well a window is to be known, relative to the node's time.
_TOLERANCE = 0.05

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters after so many inferences: microseconds by node."""

    count: int
    micros: Mapping[str, int]


@dataclass(slots=True)
class Counters:
    """What each inference took, and the readings in between."""

    taken: list[int] = field(default_factory=list)
    """Nanoseconds of each inference, in order."""
    readings: list[Reading] = field(default_factory=list)
    read_ns: int = 0
    """What the last reading took."""
    since_ns: int = 0
    """Inferences' time since then."""

    def add(self, ns: int) -> None:
        """Note what an inference took."""
        self.taken.append(ns)
        self.since_ns += ns

    def is_due(self) -> bool:
        """Whether to read now: after 1, 2, 4, … inferences, and where it costs next to nothing."""
        count = len(self.taken)
        if not count or (self.readings and self.readings[-1].count == count):
            return False
        return count & (count - 1) == 0 or self.read_ns < _AFFORDABLE * self.since_ns

    def read(self, micros: Mapping[str, int], cost_ns: int = 0) -> None:
        """Keep what the counters say now, and what it took to ask them."""
        self.readings.append(Reading(len(self.taken), dict(micros)))
        self.read_ns, self.since_ns = cost_ns, 0


def step_times(nodes: Sequence[str], counters: Counters, *, means: bool = True) -> Samples:
    """Nanoseconds of each node in each inference, shape [nodes, inferences].

    `means` says that the counters are means since compiling, else they are the last
    inference's. Inferences after the last reading have no times.
    """
    taken = np.array(counters.taken, np.float64)
    counts = np.array([reading.count for reading in counters.readings], np.int64)
    found = np.zeros((len(nodes), taken.size))
    for row, name in enumerate(nodes):
        values = np.array([r.micros.get(name, 0) for r in counters.readings], np.float64)
        if values.any():
            found[row] = (
                _from_means(values, counts, taken) if means else _held(values, counts, taken)
            )
    return np.rint(found).astype(np.int64)


def _from_means(values: Times, counts: NDArray[np.int64], taken: Times) -> Times:
    """One node's nanoseconds in each inference, from its mean at each reading."""
    totals = np.where(values > 0, values * counts + (counts - 1) / 2, 0.0)
    found = np.zeros(taken.size)
    start, past = 0, 0.0
    for place in _windows(values, counts):
        end = int(counts[place])
        whole = float(taken[start:end].sum())
        spent = min(max(1000 * (float(totals[place]) - past), 0.0), whole)
        found[start:end] = taken[start:end] * (spent / whole if whole else 0.0)
        start, past = end, float(totals[place])
    return found


def _windows(values: Times, counts: NDArray[np.int64]) -> list[int]:
    """The readings at which a node's windows end: the first alone, each other well known.

    A window that is as long as all before it is known as well as it can be.
    """
    ends: list[int] = []
    before = 0
    for place, (value, count) in enumerate(zip(values.tolist(), counts.tolist(), strict=True)):
        doubt = (count + before) / (2 * (count - before))
        if not ends or doubt <= _TOLERANCE * value or count >= 2 * before:
            ends.append(place)
            before = count
    if ends[-1] < len(values) - 1:  # what is left over is too short
        if len(ends) > 1:
            ends.pop()
        ends.append(len(values) - 1)
    return ends


def _held(values: Times, counts: NDArray[np.int64], taken: Times) -> Times:
    """One node's nanoseconds, from readings that are each the last inference's time."""
    found = np.zeros(taken.size)
    start = 0
    for value, end in zip(values.tolist(), counts.tolist(), strict=True):
        last = float(taken[end - 1])
        found[start:end] = taken[start:end] * (min(1000 * value, last) / last if last else 0.0)
        start = end
    return found
