"""Quantiles and distribution-free intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof import stats


def coverage(low: int, high: int, n: int) -> float:
    """P(low < X <= high), X the number of samples below the median."""
    return sum(math.comb(n, k) for k in range(low + 1, high + 1)) / 2**n


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_ranks_are_the_narrowest_that_cover(confidence: float) -> None:
    for n in range(1, 200):
        ranks = stats.interval_ranks(n, confidence)
        if ranks is None:
            assert coverage(0, n - 1, n) < confidence
            continue
        low, high = ranks
        assert high == n - 1 - low
        assert coverage(low, high, n) >= confidence - 1e-12
        if low + 1 < high - 1:
            assert coverage(low + 1, high - 1, n) < confidence


def test_fewer_than_six_samples_give_no_interval() -> None:
    assert stats.interval_ranks(5) is None
    assert stats.interval_ranks(6) == (0, 5)
    assert stats.interval_ranks(0) is None


@pytest.mark.parametrize("n", [10**4, 10**6, 10**8])
def test_many_samples_agree_with_the_normal_approximation(n: int) -> None:
    ranks = stats.interval_ranks(n)
    assert ranks is not None
    assert ranks[0] == pytest.approx(n / 2 - 1.959964 * math.sqrt(n) / 2, abs=2)


@pytest.mark.parametrize("n", [7, 30, 101])
def test_interval_covers_the_median_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(7)
    draws = np.sort((rng.lognormal(size=(4000, n)) * 1e6).astype(np.int64), axis=1)
    ranks = stats.interval_ranks(n)
    assert ranks is not None
    hit = np.mean((draws[:, ranks[0]] <= 1e6) & (draws[:, ranks[1]] >= 1e6))
    assert hit >= 0.94


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=60))
def test_interval_encloses_the_median(values: list[int]) -> None:
    samples = np.array(values, np.int64)
    low, high = stats.median_interval(samples)
    assert min(values) <= low <= stats.median_ns(samples) <= high <= max(values)
    ranks = stats.interval_ranks(len(values)) or (0, len(values) - 1)
    assert (low, high) == tuple(np.sort(samples)[list(ranks)])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_stay_inside_and_are_whole(values: list[int], q: float) -> None:
    found = stats.quantile_ns(np.array(values, np.int64), q)
    assert type(found) is int
    assert min(values) <= found <= max(values)


def test_no_samples_is_an_error() -> None:
    for function in (stats.median_ns, stats.median_interval):
        with pytest.raises(ValueError, match="no samples"):
            function(np.zeros(0, np.int64))


def test_relative_half_width() -> None:
    assert stats.relative_half_width(np.full(5, 9)) == float("inf")
    assert stats.relative_half_width(np.full(9, 9)) == 0
    assert stats.relative_half_width(np.zeros(9, np.int64)) == float("inf")
    assert stats.relative_half_width(np.arange(90, 111)) == pytest.approx(0.05)
