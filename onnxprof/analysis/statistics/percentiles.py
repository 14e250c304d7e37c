"""Percentiles of latencies, and from how many samples each of them can be known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxprof.analysis.intervals import quantile_ns
from onnxprof.records.timings import Concurrency, Samples

#: The percentiles that are shown, as fractions.
SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999)
#: Confidence of the interval that must exist.
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile of some samples."""

    fraction: float
    ns: int | None
    """Interpolated between order statistics; None where the samples are too few to know it."""
    samples: int

    @property
    def name(self) -> str:
        """`p99.9`."""
        return f"p{100 * self.fraction:.10g}"

    @property
    def needed(self) -> int:
        """The fewest samples from which it is known."""
        return fewest(self.fraction)


def fewest(fraction: float) -> int:
    """The fewest samples that enclose a percentile with 95 % confidence, whatever they are like.

    The smallest and the largest of n samples are beyond the percentile p each with probability
    1 - (1 - p)^n and 1 - p^n; both sides may be missed in 2.5 % (David and Nagaraja, Order
    Statistics, 3rd ed., section 7.1). So the rarer side needs n >= ln 0.025 / ln p samples, some
    3.7 / (1 - p): 6 for the median, 36 for the percentile 90, 72 for 95, 368 for 99 and 3,688 for
    99.9. Samples count as independent.
    """
    tail = (1 - _CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log(max(fraction, 1 - fraction)))


def percentiles(samples: Samples, fractions: Sequence[float] = SHOWN) -> tuple[Percentile, ...]:
    """Each percentile, without a value where there are fewer samples than it needs."""
    count = int(samples.size)
    return tuple(
        Percentile(p, quantile_ns(samples, p) if count >= fewest(p) else None, count)
        for p in fractions
    )


def concurrent_ns(concurrency: Concurrency) -> Samples:
    """The latencies of all streams, one stream after another."""
    return np.array([ns for stream in concurrency.latency_ns for ns in stream], np.int64)


def concurrent_rate(concurrency: Concurrency) -> float | None:
    """Inferences a second of all streams together; None without samples.

    A stream's samples add up to the time that they took, so each stream has its own rate.
    """
    taken = [(len(stream), sum(stream)) for stream in concurrency.latency_ns]
    if not taken or not all(ns for _, ns in taken):
        return None
    return sum(count / ns for count, ns in taken) * 1e9
