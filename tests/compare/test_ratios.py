"""Estimates, tests and adjusted p-values of ratios."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.compare import ratios
from onnxprof.compare.ratios import Group, Pairs


def sides(rng: np.random.Generator, processes: int, spread: float, rows: int = 1) -> list[Group]:
    times = 1e6 * np.exp(rng.normal(0, spread, (2, rows, processes)))
    return [Group(side, np.zeros((rows, processes))) for side in times]


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusted_p_values_agree_with_the_reference(values: list[float]) -> None:
    p = np.array(values, np.float64)
    expected = scipy.stats.false_discovery_control(p) if p.size else p
    assert ratios.benjamini_hochberg(p) == pytest.approx(expected)


def test_rows_without_a_test_do_not_count() -> None:
    with_gap = ratios.benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    assert with_gap[[0, 2]] == pytest.approx(ratios.benjamini_hochberg(np.array([0.01, 0.04])))
    assert np.isnan(with_gap[1])


def test_false_discoveries_are_held() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(400):
        a, b = sides(rng, 10, 0.02, 30)
        changed = np.arange(30) < 10
        b = Group(b.times_ns * np.where(changed, 1.15, 1.02)[:, None], b.within)
        found = ratios.ratios(a, b).p_values(float(np.log(1.02)))
        called = ratios.benjamini_hochberg(found) <= 0.05
        shares.append((called & ~changed).sum() / max(1, called.sum()))
        assert called[changed].mean() > 0.5
    assert np.mean(shares) <= 0.05


@pytest.mark.parametrize(("processes", "spread"), [(2, 0.01), (5, 0.015), (10, 0.03), (20, 0.05)])
def test_intervals_cover_the_ratio_as_often_as_they_say(processes: int, spread: float) -> None:
    found = ratios.ratios(*sides(np.random.default_rng(5), processes, spread, 4000))
    low, high = found.interval()
    assert np.mean((low <= 1) & (high >= 1)) >= 0.94


def test_one_process_a_side_has_the_assumed_spread() -> None:
    a, b = sides(np.random.default_rng(0), 1, 0.0)
    low, high = ratios.ratios(a, b).interval()
    reach = scipy.stats.t.ppf(0.975, ratios.FLOOR_DF) * ratios.FLOOR * np.sqrt(2)
    assert np.log(high) == pytest.approx(reach)
    assert np.log(low) == pytest.approx(-reach)


def test_one_bad_process_of_ten_does_not_move_the_ratio() -> None:
    a, b = sides(np.random.default_rng(1), 10, 0.01)
    before = ratios.ratios(a, b).effect
    b.times_ns[0, int(np.argmax(b.times_ns))] *= 3
    assert ratios.ratios(a, b).effect == pytest.approx(before)


def test_a_time_of_zero_has_no_ratio() -> None:
    zero = Group(np.array([[0.0], [5.0]]), np.zeros((2, 1)))
    found = ratios.ratios(zero, Group(np.array([[1.0], [5.0]]), np.zeros((2, 1))))
    assert np.isnan(found.effect).tolist() == [True, False]
    assert np.isnan(found.p_values(0.02)[0])


def test_blocks_become_one_time_a_process() -> None:
    values = np.array([[1.0, 2.0, 3.0, 10.0, 10.0, 10.0]]) * 1e3
    found = ratios.group(values, np.array([0, 0, 0, 1, 1, 1], np.int32))
    assert found.times_ns.tolist() == [[2000.0, 10000.0]]
    assert found.within[0, 0] > 0
    assert found.within[0, 1] == 0


def test_correlated_blocks_widen() -> None:
    rng = np.random.default_rng(2)
    loose = rng.normal(1e6, 1e4, (200, 40))
    sticky = np.sort(loose, axis=1)  # the same values, neighbours alike
    middle = np.full(200, 1e6)
    widened = ratios.variance_within(sticky, middle) / ratios.variance_within(loose, middle)
    assert np.median(widened) > 4


def turns(
    rng: np.random.Generator,
    count: int,
    spread: float,
    change: float = 0.0,
    rows: int = 1,
    blocks: int = 30,
) -> Pairs:
    """Pairs of processes that differ by `spread`, on a machine that others keep busy."""
    shape = rows, count, blocks
    load = np.exp(rng.normal(0, 0.2, shape))
    offset = rng.normal(0, spread, (2, rows, count, 1))
    own = np.exp(offset + rng.normal(0, 0.02, (2, *shape)))
    times = (1e6 * load * own * np.array([1, 1 + change])[:, None, None, None]).reshape(2, rows, -1)
    return ratios.pairs(times[0], times[1], np.repeat(np.arange(count), blocks).astype(np.int32))


@pytest.mark.parametrize(("count", "spread"), [(1, 0.01), (2, 0.01), (5, 0.02), (10, 0.03)])
def test_intervals_of_pairs_cover_the_ratio(count: int, spread: float) -> None:
    found = ratios.paired_ratios(turns(np.random.default_rng(7), count, spread, 0.04, 3000))
    low, high = found.interval()
    assert np.mean((low <= 1.04) & (high >= 1.04)) >= 0.94


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("change", [0.0, 0.02, -0.019])
def test_pairs_within_the_threshold_are_seldom_called(spread: float, change: float) -> None:
    """Of comparisons of twelve layers each at most 5 % call anything; of A/A hardly any."""
    rng, calls = np.random.default_rng(8), 0
    for _ in range(150):
        found = ratios.paired_ratios(turns(rng, 10, spread, change, 12, 10))
        p = ratios.benjamini_hochberg(found.p_values(float(np.log(1.02))))
        calls += bool((p <= 0.05).any())
    assert calls <= (1 if not change else 14)


def test_pairs_find_5_percent_where_processes_differ_by_1() -> None:
    rng, hits = np.random.default_rng(9), 0
    for _ in range(100):
        apart = turns(rng, 10, 0.01, 0.0, 12, 100)
        apart.apart[4] += np.log(1.05)
        p = ratios.paired_ratios(apart).p_values(float(np.log(1.02)))
        hits += ratios.benjamini_hochberg(p)[4] <= 0.05
    assert hits >= 95


def test_pairs_take_off_what_happened_to_both() -> None:
    found = ratios.paired_ratios(turns(np.random.default_rng(0), 10, 0.002, 0.06))
    assert np.exp(found.effect[0]) == pytest.approx(1.06, rel=0.005)
    assert found.p_values(np.log(1.02))[0] < 0.01


@given(st.floats(-0.5, 0.5), st.integers(1, 5), st.integers(1, 8), st.integers(0, 1000))
def test_sides_that_change_places_change_the_sign(
    change: float, count: int, blocks: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.5, 2, (2, 3, count * blocks)) * np.exp(change)
    pair = np.repeat(np.arange(count), blocks).astype(np.int32)
    there = ratios.paired_ratios(ratios.pairs(a, b, pair))
    back = ratios.paired_ratios(ratios.pairs(b, a, pair))
    assert there.effect == pytest.approx(-back.effect)
    assert there.error == pytest.approx(back.error)


def test_a_block_that_a_coarse_clock_missed_does_not_hide_a_layer() -> None:
    a, b = np.array([[0.0, 1000.0, 1000.0, 2000.0]]), np.array([[1000.0, 1000.0, 0.0, 2000.0]])
    found = ratios.pairs(a, b, np.zeros(4, np.int32))
    assert found.apart[0, 0] == 0
    assert found.within[0, 0] > 0
    gone = ratios.pairs(np.zeros((1, 4)), b, np.zeros(4, np.int32))
    assert np.isnan(gone.apart[0, 0])


def test_one_pair_is_as_wide_as_what_is_assumed() -> None:
    one = np.full((1, 1), 1e6)
    found = ratios.paired_ratios(ratios.pairs(one, one, np.zeros(1, np.int32)))
    assert found.error[0] == pytest.approx(np.sqrt(2) * 0.015)
    assert found.df == 4
