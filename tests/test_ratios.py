"""Estimates, tests and adjusted p-values of ratios."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from onnxprof import ratios
from onnxprof.ratios import Group


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


def test_pairs_take_off_what_happened_to_both() -> None:
    rng = np.random.default_rng(0)
    load = np.exp(rng.normal(0, 0.3, 10))  # a machine that others keep busy
    own = np.exp(rng.normal(0, 0.002, (2, 10)))
    none = np.zeros((1, 10))
    a, b = Group((1e6 * load * own[0])[None], none), Group((1.06e6 * load * own[1])[None], none)
    paired, apart = ratios.paired_ratios(a, b), ratios.ratios(a, b)
    assert np.exp(paired.effect[0]) == pytest.approx(1.06, rel=0.005)
    assert paired.p_values(np.log(1.02))[0] < 0.05 < apart.p_values(np.log(1.02))[0]
    low, high = paired.interval()
    assert low[0] < 1.06 < high[0]


def test_pairs_have_two_ends() -> None:
    a, b = Group(np.ones((1, 3)), np.zeros((1, 3))), Group(np.ones((1, 4)), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="no pairs: 3 and 4"):
        ratios.paired_ratios(a, b)


def test_one_pair_is_as_wide_as_what_is_assumed() -> None:
    one = Group(np.full((1, 1), 1e6), np.zeros((1, 1)))
    found = ratios.paired_ratios(one, one)
    assert found.error[0] == pytest.approx(np.sqrt(2) * 0.015)
    assert found.df == 4
