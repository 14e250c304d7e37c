"""Percentiles, how many samples each needs, and the rate of several streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.analysis.grades import has_interval
from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.statistics.percentiles import (
    SHOWN,
    concurrent_ns,
    concurrent_rate,
    fewest,
    percentiles,
)
from onnxprof.records.timings import Concurrency


def test_how_many_samples_each_percentile_needs() -> None:
    assert [fewest(p) for p in SHOWN] == [6, 36, 72, 368, 3688]


@given(st.floats(0.01, 0.9999))
def test_the_fewest_samples_enclose_a_percentile_with_95_per_cent(fraction: float) -> None:
    count, rarer = fewest(fraction), max(fraction, 1 - fraction)
    assert rarer**count <= 0.025 * (1 + 1e-9)
    assert rarer ** (count - 1) > 0.025 * (1 - 1e-9)


def test_the_median_needs_as_many_as_its_interval_does() -> None:
    assert has_interval(fewest(0.5))
    assert not has_interval(fewest(0.5) - 1)


@pytest.mark.parametrize(
    ("count", "known"),
    [
        (1, []),
        (5, []),
        (6, ["p50"]),
        (36, ["p50", "p90"]),
        (367, ["p50", "p90", "p95"]),
        (368, ["p50", "p90", "p95", "p99"]),
        (3688, ["p50", "p90", "p95", "p99", "p99.9"]),
    ],
)
def test_a_percentile_without_enough_samples_has_no_value(count: int, known: list[str]) -> None:
    found = percentiles(np.arange(count, dtype=np.int64))
    assert [each.name for each in found if each.ns is not None] == known
    assert {each.samples for each in found} == {count}


def test_values_are_quantiles_and_the_median_is_the_median() -> None:
    samples = np.random.default_rng(3).integers(1, 10**9, 5000)
    found = {each.name: each.ns for each in percentiles(samples)}
    assert found["p50"] == median_ns(samples)
    assert found["p99.9"] == round(float(np.quantile(samples, 0.999)))
    assert sum(samples > found["p99"]) == 50


def test_the_rate_is_the_sum_of_the_rates_of_the_streams() -> None:
    load = Concurrency(2, 1, ((2_000_000, 2_000_000), (5_000_000,)))
    assert concurrent_rate(load) == pytest.approx(500 + 200)
    assert concurrent_ns(load).tolist() == [2_000_000, 2_000_000, 5_000_000]


@pytest.mark.parametrize("samples", [(), ((),), ((0, 0), (3,))])
def test_no_samples_have_no_rate(samples: tuple[tuple[int, ...], ...]) -> None:
    assert concurrent_rate(Concurrency(2, 1, samples, "failed")) is None
