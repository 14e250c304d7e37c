"""Pure statistics over raw samples: quantiles, distribution-free intervals, drift."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis.distributions import (
    binomial_half_cdf,
    normal_cdf,
    student_quantile,
)
from onnxprof.analysis.once import once
from onnxprof.records.step import Timer
from onnxprof.records.timings import Indices, Samples, Timings, traced_by

#: Level and size from which a trend of the latency counts as drift.
DRIFT_LEVEL = 0.01
DRIFT_SIZE = 0.01


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
    tail = (1 - confidence) / 2
    if n < 1 or binomial_half_cdf(0, n) > tail:
        return None
    low, high = 0, n  # the sum is within the tail at `low`, and beyond it at `high`
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_half_cdf(middle, n) > tail:
            high = middle
        else:
            low = middle
    return low, n - 1 - low


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


def trimmed_means(values: NDArray[Any], cut: float = 0.2) -> NDArray[np.float64]:
    """Means along the last axis, without the lowest and the highest `cut` of the values.

    Unlike a median such a mean is not bound to the ticks of a coarse clock. Raises ValueError for
    no values and for a cut that leaves none.
    """
    count = values.shape[-1]
    if count == 0 or not 0 <= cut < 0.5:
        raise ValueError("no samples" if count == 0 else f"no cut: {cut}")
    trimmed = int(cut * count)
    ordered = np.sort(np.ascontiguousarray(values), axis=-1)
    return np.asarray(ordered[..., trimmed : count - trimmed].mean(axis=-1), np.float64)


def sample_process(timings: Timings) -> Indices:
    """The process of each un-profiled sample; all 0 for one process, or without blocks."""
    if not timings.block_process or timings.latency_block.size != timings.latency_ns.size:
        return np.zeros(timings.latency_ns.size, np.int32)
    return np.array(timings.block_process, np.int32)[timings.latency_block]


def latency_interval(timings: Timings, confidence: float = 0.95) -> tuple[int, int]:
    """An interval of the un-profiled median that includes the spread between processes."""
    return once(_latency_interval, timings, confidence)


def _latency_interval(timings: Timings, confidence: float) -> tuple[int, int]:
    return clustered_median_interval(timings.latency_ns, sample_process(timings), confidence)


def clustered_median_interval(
    samples: Samples, clusters: Indices, confidence: float = 0.95
) -> tuple[int, int]:
    """An interval of the median of samples that come in clusters, such as processes.

    Samples of one process share its memory layout and its clocks, so the process is the unit
    (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013). Six or more
    clusters: order statistics of their medians, whatever the distribution. Fewer: Student's t
    over those medians. One: as `median_interval`, and never narrower than that.
    """
    low, high = median_interval(samples, confidence)
    _, middles = group_medians(samples, clusters)
    if middles.size < 2:
        return low, high
    below, above = interval_of(middles, confidence)
    return min(low, max(0, round(below))), max(high, round(above))


def interval_of(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """An interval of the centre of at least two block or process medians.

    By order statistics for six or more, with Student's t for fewer.
    """
    if (ranks := interval_ranks(values.size, confidence)) is not None:
        ordered = np.sort(values)
        return float(ordered[ranks[0]]), float(ordered[ranks[1]])
    error = float(values.std(ddof=1)) / np.sqrt(values.size)
    reach = float(student_quantile(values.size - 1, (1 + confidence) / 2)) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


def by_process(timings: Timings) -> list[Timings]:
    """The samples of each process, with blocks numbered from 0; unchanged for one process.

    Warm-ups stay with the first process; load and first inference are those of the whole. A
    process without rounds of prefixes has the trace alone.
    """
    if not (timings.block_process and timings.latency_ns.size and _is_blocked(timings)):
        return [timings]
    process = np.array(timings.block_process, np.int32)
    measured = np.unique(process[timings.latency_block])
    return [_of_process(timings, process, number) for number in measured]


def _of_process(timings: Timings, process: Indices, number: int) -> Timings:
    first = int(np.flatnonzero(process == number)[0])
    plain = process[timings.latency_block] == number
    traced = process[timings.traced_block] == number
    rounds = np.array(timings.round_process, np.int32)
    repeats = np.array(timings.repeat_process, np.int32)
    prefix_ns = timings.prefix_ns[:, rounds == number] if rounds.size else timings.prefix_ns
    uncut = timings.timer is Timer.PREFIX and not prefix_ns.size
    return replace(
        timings,
        timer=traced_by(timings.host_ns) if uncut else timings.timer,
        warmup_ns=timings.warmup_ns if first == 0 else timings.warmup_ns[:0],
        latency_ns=timings.latency_ns[plain],
        latency_block=timings.latency_block[plain] - np.int32(first),
        traced_ns=timings.traced_ns[traced],
        traced_block=timings.traced_block[traced] - np.int32(first),
        step_ns=timings.step_ns[:, traced],
        host_ns=timings.host_ns[:, traced] if timings.host_ns.size else timings.host_ns,
        prefix_ns=prefix_ns,
        repeat_ns=timings.repeat_ns[:, repeats == number] if repeats.size else timings.repeat_ns,
        block_process=(),
        round_process=(),
        repeat_process=(),
    )


def _is_blocked(timings: Timings) -> bool:
    latency, traced = timings.latency_ns, timings.traced_ns
    return (timings.latency_block.size, timings.traced_block.size) == (latency.size, traced.size)


def inflation_ratios(timings: Timings) -> NDArray[np.float64]:
    """The ratio of traced to un-profiled medians, for each traced block and its neighbours.

    The neighbours are the un-profiled blocks before and after, so that a slow drift cancels.
    Empty where samples have no blocks, and for the prefix timer, which keeps no neighbours.
    """
    if timings.timer is Timer.PREFIX or not _is_blocked(timings):
        return np.zeros(0)
    return np.concatenate([_inflation_ratios(part) for part in by_process(timings)])


def _inflation_ratios(timings: Timings) -> NDArray[np.float64]:
    plain = dict(_medians(timings.latency_ns, timings.latency_block))
    traced = _medians(timings.traced_ns, timings.traced_block)
    pairs = [(median, [plain[n] for n in (b, b + 1) if plain.get(n)]) for b, median in traced]
    ratios = [median / (sum(near) / len(near)) for median, near in pairs if near]
    return np.array(ratios, np.float64)


def _medians(samples: Samples, block: Indices) -> list[tuple[int, float]]:
    """The median of each block; nothing where samples have no blocks."""
    if block.size != samples.size:
        return []
    blocks, medians = group_medians(samples, block)
    return list(zip(blocks.tolist(), medians.tolist(), strict=True))


def group_medians(samples: Samples, groups: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """The numbers of the groups, ascending, and the median of each one's samples."""
    order = np.lexsort((samples, groups))
    ordered, numbers = samples[order], groups[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    counts = np.diff(starts, append=numbers.size)
    lower, upper = ordered[starts + (counts - 1) // 2], ordered[starts + counts // 2]
    return numbers[starts], (lower.astype(np.float64) + upper) / 2


def drift(timings: Timings) -> float:
    """How far the latency moved over a process's blocks, relative to its median; 0 if steady.

    A trend counts where the Mann-Kendall test of the block medians finds it at 1 %, and where
    Sen's slope from first to last block is over 1 %. Processes are strata, as seasons are in
    Hirsch and Slack (Water Resources Research 20, 1984), so that a jump between two processes
    is no drift.
    """
    strata = _block_medians(timings)
    middle = float(np.median(np.concatenate(strata))) if strata else 0.0
    if not middle or _trend_p(strata) >= DRIFT_LEVEL:
        return 0.0
    slope = float(np.median(np.concatenate([_slopes(series) for series in strata])))
    moved = slope * (max(series.size for series in strata) - 1) / middle
    return moved if abs(moved) > DRIFT_SIZE else 0.0


def _block_medians(timings: Timings) -> list[NDArray[np.float64]]:
    """One series a process; none where samples have no blocks."""
    if timings.latency_block.size != timings.latency_ns.size:
        return []
    per_process = [_medians(part.latency_ns, part.latency_block) for part in by_process(timings)]
    return [np.array([median for _, median in medians]) for medians in per_process]


def _pairs(series: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each pair, the later less the earlier value, and the distance of their positions."""
    early, late = np.triu_indices(series.size, 1)
    return series[late] - series[early], (late - early).astype(np.float64)


def _slopes(series: NDArray[np.float64]) -> NDArray[np.float64]:
    rises, runs = _pairs(series)
    return rises / runs


def _trend_p(strata: list[NDArray[np.float64]]) -> float:
    """Two-sided p of the Mann-Kendall statistic summed over strata, normal approximation."""
    total = sum(float(np.sign(_pairs(series)[0]).sum()) for series in strata)
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in (series.size for series in strata))
    if not variance:
        return 1.0
    return float(2 * normal_cdf(-max(0.0, abs(total) - 1) / np.sqrt(variance)))
