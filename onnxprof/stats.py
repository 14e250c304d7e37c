"""Pure statistics over raw samples: quantiles and distribution-free intervals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from onnxprof.records import Samples


def quantile_ns(samples: Samples, q: float) -> int:
    """The q-quantile of the samples (linear interpolation), in whole nanoseconds.

    Raises ValueError if there are no samples.
    """
    if samples.size == 0:
        raise ValueError("no samples")
    return round(float(np.quantile(samples, q)))


def median_ns(samples: Samples) -> int:
    """The median of the samples, in whole nanoseconds. Raises ValueError if there are none."""
    return quantile_ns(samples, 0.5)


@lru_cache(maxsize=4096)
def interval_ranks(n: int, confidence: float = 0.95) -> tuple[int, int] | None:
    """0-based ranks of the order statistics that enclose the median.

    The narrowest symmetric pair (r, n-1-r) whose coverage, a binomial sum, is at least
    `confidence`, whatever the distribution (David and Nagaraja, Order Statistics, 3rd ed.,
    section 7.1). None where n is too small for any pair: below 6 at 95 %.
    """
    from scipy.special import bdtr, bdtrik  # a tenth of a second to import

    tail = (1 - confidence) / 2
    if n < 1 or bdtr(0, n, 0.5) > tail:
        return None
    rank = max(0, int(bdtrik(tail, n, 0.5)))  # a guess that the next lines correct
    while bdtr(rank, n, 0.5) > tail:
        rank -= 1
    while bdtr(rank + 1, n, 0.5) <= tail:
        rank += 1
    return rank, n - 1 - rank


def median_interval(samples: Samples, confidence: float = 0.95) -> tuple[int, int]:
    """A distribution-free interval of the median, in nanoseconds.

    Too few samples for the confidence give the whole range. Raises ValueError for none.
    """
    if samples.size == 0:
        raise ValueError("no samples")
    ranks = interval_ranks(int(samples.size), confidence)
    low, high = ranks if ranks else (0, samples.size - 1)
    ordered = np.partition(samples, (low, high))
    return int(ordered[low]), int(ordered[high])


def relative_half_width(samples: Samples, confidence: float = 0.95) -> float:
    """Half of the median's interval over the median; infinite where n is too small for one."""
    if interval_ranks(int(samples.size), confidence) is None:
        return float("inf")
    low, high = median_interval(samples, confidence)
    middle = float(np.median(samples))
    return (high - low) / 2 / middle if middle else float("inf")
