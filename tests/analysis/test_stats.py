"""Quantiles and distribution-free intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.analysis import intervals
from onnxprof.records.timings import Timings


def coverage(low: int, high: int, n: int) -> float:
    """P(low < X <= high), X the number of samples below the median."""
    return sum(math.comb(n, k) for k in range(low + 1, high + 1)) / 2**n


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_ranks_are_the_narrowest_that_cover(confidence: float) -> None:
    for n in range(1, 200):
        ranks = intervals.interval_ranks(n, confidence)
        if ranks is None:
            assert coverage(0, n - 1, n) < confidence
            continue
        low, high = ranks
        assert high == n - 1 - low
        assert coverage(low, high, n) >= confidence - 1e-12
        if low + 1 < high - 1:
            assert coverage(low + 1, high - 1, n) < confidence


def test_fewer_than_six_samples_give_no_interval() -> None:
    assert intervals.interval_ranks(5) is None
    assert intervals.interval_ranks(6) == (0, 5)
    assert intervals.interval_ranks(0) is None


@pytest.mark.parametrize("n", [10**4, 10**6, 10**8])
def test_many_samples_agree_with_the_normal_approximation(n: int) -> None:
    ranks = intervals.interval_ranks(n)
    assert ranks is not None
    assert ranks[0] == pytest.approx(n / 2 - 1.959964 * math.sqrt(n) / 2, abs=2)


@pytest.mark.parametrize("n", [7, 30, 101])
def test_interval_covers_the_median_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(7)
    draws = np.sort((rng.lognormal(size=(4000, n)) * 1e6).astype(np.int64), axis=1)
    ranks = intervals.interval_ranks(n)
    assert ranks is not None
    hit = np.mean((draws[:, ranks[0]] <= 1e6) & (draws[:, ranks[1]] >= 1e6))
    assert hit >= 0.94


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=60))
def test_interval_encloses_the_median(values: list[int]) -> None:
    samples = np.array(values, np.int64)
    low, high = intervals.median_interval(samples)
    assert min(values) <= low <= intervals.median_ns(samples) <= high <= max(values)
    ranks = intervals.interval_ranks(len(values)) or (0, len(values) - 1)
    assert (low, high) == tuple(np.sort(samples)[list(ranks)])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_stay_inside_and_are_whole(values: list[int], q: float) -> None:
    found = intervals.quantile_ns(np.array(values, np.int64), q)
    assert type(found) is int
    assert min(values) <= found <= max(values)


def test_no_samples_is_an_error() -> None:
    for function in (intervals.median_ns, intervals.median_interval):
        with pytest.raises(ValueError, match="no samples"):
            function(np.zeros(0, np.int64))


def test_relative_half_width() -> None:
    assert intervals.relative_half_width(np.full(5, 9)) == float("inf")
    assert intervals.relative_half_width(np.full(9, 9)) == 0
    assert intervals.relative_half_width(np.zeros(9, np.int64)) == float("inf")
    assert intervals.relative_half_width(np.arange(90, 111)) == pytest.approx(0.05)


def test_trimmed_mean() -> None:
    assert intervals.trimmed_means(np.array([1, 2, 3, 4, 1000])) == 3
    assert intervals.trimmed_means(np.array([1, 2]), 0.4) == 1.5
    for samples, cut in ((np.zeros(0), 0.2), (np.ones(3), 0.5)):
        with pytest.raises(ValueError, match="no "):
            intervals.trimmed_means(samples, cut)


@pytest.mark.parametrize(("processes", "least"), [(2, 0.93), (4, 0.93), (6, 0.95), (12, 0.94)])
def test_clustered_interval_covers_where_processes_differ(processes: int, least: float) -> None:
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(processes, dtype=np.int32), 30)
    hits = narrow = 0
    for _ in range(400):
        shift = np.repeat(rng.normal(0, 0.03, processes), 30)
        samples = (1e6 * np.exp(shift + rng.normal(0, 0.01, shift.size))).astype(np.int64)
        low, high = intervals.clustered_median_interval(samples, clusters)
        bare = intervals.median_interval(samples)
        assert low <= bare[0] <= bare[1] <= high
        hits += low <= 1e6 <= high
        narrow += bare[0] <= 1e6 <= bare[1]
    assert hits / 400 >= least
    assert narrow / 400 < least - 0.2  # which is why processes are heeded


def test_one_cluster_is_no_cluster() -> None:
    samples = np.arange(1000, 1100)
    one = np.zeros(100, np.int32)
    assert intervals.clustered_median_interval(samples, one) == intervals.median_interval(samples)


def timed(blocks: np.ndarray, processes: tuple[int, ...] = ()) -> Timings:
    """Ten samples a block."""
    none = np.zeros(0, np.int64)
    numbers = np.repeat(np.arange(blocks.size, dtype=np.int32), 10)
    samples = np.repeat(blocks, 10).astype(np.int64)
    return Timings(
        *(1, 1, none, samples, numbers, none, np.zeros((0, 0), np.int64)),
        block_process=processes,
    )


def test_drift_is_told_with_its_size() -> None:
    rising = 1e6 * np.linspace(1.0, 1.05, 12)
    assert intervals.drift(timed(rising)) == pytest.approx(0.05, rel=0.05)
    assert intervals.drift(timed(rising[::-1])) == pytest.approx(-0.05, rel=0.05)
    assert intervals.drift(timed(1e6 * np.linspace(1.0, 1.005, 12))) == 0
    assert intervals.drift(timed(np.full(12, 1e6))) == 0
    assert intervals.drift(timed(np.array([1e6]))) == 0


def test_a_jump_between_processes_is_no_drift() -> None:
    jump = np.where(np.arange(24) < 12, 1e6, 1.2e6)
    assert intervals.drift(timed(jump)) != 0
    assert intervals.drift(timed(jump, (0,) * 12 + (1,) * 12)) == 0


def test_noise_is_seldom_called_drift() -> None:
    rng = np.random.default_rng(4)
    found = [intervals.drift(timed(1e6 * rng.normal(1, 0.02, 12))) != 0 for _ in range(500)]
    assert np.mean(found) <= 0.015


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(-1, 4)), min_size=1, max_size=40))
def test_medians_of_groups_are_those_of_each_group(pairs: list[tuple[int, int]]) -> None:
    samples = np.array([sample for sample, _ in pairs], np.int64)
    groups = np.array([group for _, group in pairs], np.int32)
    numbers, medians = intervals.group_medians(samples, groups)
    assert numbers.tolist() == sorted(set(groups.tolist()))
    assert medians.tolist() == [np.median(samples[groups == n]) for n in numbers]
