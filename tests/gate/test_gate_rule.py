"""The gate's rule: its rate of false alarms and what it finds, counted over simulated gates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.compare.verdict import Verdict
from onnxprof.gate.rule import (
    Judgement,
    Rule,
    Spread,
    judge,
    pairs_for,
    plain_alarms,
    resolution,
    seen_from,
    spread,
    unchanged_alarms,
)

#: Standard deviation of one process on a hosted runner; a pair has the root of two of it.
HOSTED = 0.027
PAIR = HOSTED * 2**0.5
GATES = 1000

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(0, PAIR, count)


def heavy_tailed(rng: np.random.Generator, count: int) -> np.ndarray:
    """Differences of processes whose logarithms have Student's distribution with 3 degrees."""
    return (rng.standard_t(3, count) - rng.standard_t(3, count)) * HOSTED / 3**0.5


def in_two_places(rng: np.random.Generator, count: int) -> np.ndarray:
    """Differences of processes whose buffers come to lie well or badly."""
    places = rng.integers(0, 2, (2, count)) * 2 * HOSTED
    return places[0] - places[1] + rng.normal(0, 0.005, count)


def slow_neighbours(rng: np.random.Generator, count: int) -> np.ndarray:
    """One process in ten is slowed by a fifth."""
    slowed = np.log(1.2) * (rng.random((2, count)) < 0.1)
    return slowed[0] - slowed[1] + rng.normal(0, PAIR, count)


def gates(draw: Draw, pairs: int, rule: Rule, ratio: float = 1.0, wider: float = 1.0) -> list:
    """Simulated gates of a model that is slower by a ratio, each with its own first measurement."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(GATES):
        noise = spread(draw(rng, pairs))
        found.append(judge(draw(rng, pairs) * wider + np.log(ratio), noise, rule))
    return found


def count(found: list[Judgement], verdict: Verdict) -> int:
    return sum(judged.verdict is verdict for judged in found)


@pytest.mark.parametrize("draw", [normal, heavy_tailed, in_two_places, slow_neighbours])
@pytest.mark.parametrize("pairs", [4, 10, 15])
def test_an_unchanged_model_is_stopped_no_more_often_than_stated(draw: Draw, pairs: int) -> None:
    rule = Rule(max_slowdown=0.02, false_alarms=0.01)
    assert count(gates(draw, pairs, rule), Verdict.SLOWER) <= GATES * rule.false_alarms


@pytest.mark.parametrize("draw", [normal, heavy_tailed, in_two_places])
def test_nor_is_one_that_is_slower_by_just_the_limit(draw: Draw) -> None:
    rule = Rule(max_slowdown=0.05, false_alarms=0.05)
    stopped = count(gates(draw, 12, rule, ratio=1.05), Verdict.SLOWER)
    chance = 3 * (GATES * 0.05 * 0.95) ** 0.5
    assert stopped <= GATES * rule.false_alarms + chance


def test_a_new_model_that_scatters_more_raises_no_alarms() -> None:
    rule = Rule(max_slowdown=0.05, false_alarms=0.05)
    stopped = count(gates(normal, 12, rule, ratio=1.05, wider=3.0), Verdict.SLOWER)
    assert stopped <= GATES * rule.false_alarms + 3 * (GATES * 0.05 * 0.95) ** 0.5


def test_the_first_measurement_only_ever_widens() -> None:
    rng = np.random.default_rng(1)
    rule = Rule(0.05, 0.01)
    for _ in range(100):
        apart = normal(rng, 10)
        quiet, loud = (judge(apart, Spread(variance, 7), rule) for variance in (0.0, 0.01))
        assert loud.low < quiet.low <= quiet.ratio <= quiet.high < loud.high


@pytest.mark.parametrize("draw", [normal, in_two_places])
def test_a_slowdown_of_a_tenth_is_found_on_a_hosted_runner(draw: Draw) -> None:
    rule = Rule(max_slowdown=0.05, false_alarms=0.01)
    assert count(gates(draw, 15, rule, ratio=1.1), Verdict.SLOWER) >= 0.85 * GATES


def test_a_plain_rule_of_two_per_cent_is_wrong_more_often_than_not() -> None:
    rule = Rule(0.02, 0.01)
    assert plain_alarms(Spread(PAIR**2, 9), rule) == pytest.approx(0.6, abs=0.01)
    one = np.abs(normal(np.random.default_rng(2), 20_000))
    assert np.mean(one > np.log(1.02)) == pytest.approx(0.6, abs=0.02)


def test_what_a_gate_sees_is_found_nine_times_in_ten_and_no_less() -> None:
    rule = Rule(0.03, 0.01)
    rng = np.random.default_rng(3)
    known = Spread(PAIR**2, 1000)
    for pairs in (8, 15, 30):
        ratio = 1 + seen_from(known, pairs, rule)
        judged = [judge(normal(rng, pairs) + np.log(ratio), known, rule) for _ in range(GATES)]
        assert 0.8 < count(judged, Verdict.SLOWER) / GATES < 0.97


def test_the_pairs_that_are_advised_show_an_unchanged_model_within_the_limit() -> None:
    rule = Rule(0.03, 0.01)
    known = Spread(PAIR**2, 1000)
    pairs = pairs_for(known, rule)
    assert pairs is not None
    assert resolution(known, pairs, rule) <= 0.03 < resolution(known, pairs - 1, rule)
    rng = np.random.default_rng(4)
    judged = [judge(normal(rng, pairs), known, rule) for _ in range(GATES)]
    assert sum(one.within for one in judged) >= 0.8 * GATES


def test_where_no_number_of_pairs_would_do_none_is_advised() -> None:
    assert pairs_for(Spread(0.25, 9), Rule(0.01, 0.01)) is None
    assert pairs_for(Spread(1e-18, 9), Rule(0.01, 0.01)) == 4


def test_cases_share_the_false_alarms() -> None:
    one, ten = Rule(0.05, 0.01), Rule(0.05, 0.01, cases=10)
    assert ten.level == pytest.approx(0.001)
    noise = Spread(PAIR**2, 9)
    assert resolution(noise, 10, ten) > resolution(noise, 10, one)
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        cases = [judge(normal(rng, 10), spread(normal(rng, 10)), ten) for _ in range(10)]
        alarms += any(case.verdict is Verdict.SLOWER for case in cases)
    assert alarms <= 200 * 0.01


def test_the_rate_for_an_unchanged_model_bounds_what_happens() -> None:
    rule = Rule(max_slowdown=0.005, false_alarms=0.2)
    stated = unchanged_alarms(Spread(PAIR**2, 9), 10, rule)
    assert 0.02 < stated < 0.2
    happened = count(gates(normal, 10, rule), Verdict.SLOWER) / GATES
    assert happened <= stated + 3 * (stated / GATES) ** 0.5


def test_equal_pairs_are_the_same_and_a_clear_change_is_called() -> None:
    rule = Rule(0.05, 0.01)
    none = np.zeros(10)
    assert judge(none, spread(none), rule).verdict is Verdict.SAME
    assert judge(none + np.log(1.2), spread(none), rule).verdict is Verdict.SLOWER
    faster = judge(none - np.log(1.2), spread(none), rule)
    assert (faster.verdict, faster.within) == (Verdict.FASTER, True)


def test_a_model_that_may_be_faster_or_the_same_is_within_the_limit() -> None:
    apart = np.log(0.955) + np.linspace(-0.03, 0.03, 10)
    judged = judge(apart, spread(apart), Rule(0.05, 0.01))
    assert (judged.verdict, judged.within) == (Verdict.UNDECIDED, True)


@pytest.mark.parametrize(
    "apart", [np.zeros(3), np.array([0.0, 0.1, np.nan, 0.2]), np.zeros((2, 4))]
)
def test_too_little_to_judge_by_is_refused(apart: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no 4 pairs"):
        spread(apart)


@given(
    st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=40),
    st.floats(1e-6, 0.1),
    st.floats(0.001, 1.0),
)
def test_old_and_new_exchanged_turn_the_bounds_round(
    apart: list[float], variance: float, limit: float
) -> None:
    rule, noise = Rule(limit, 0.01), Spread(variance, 9)
    there = judge(np.array(apart), noise, rule)
    back = judge(-np.array(apart), noise, rule)
    assert there.low <= there.ratio <= there.high
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
    assert (there.verdict is Verdict.SLOWER) == (there.low > 1 + limit)
