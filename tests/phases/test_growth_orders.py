"""The order by which times and costs grow: constant, linear, quadratic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.compare.growth.orders import Order, exact, fitted, may_follow

SIZES = (128, 256, 512, 1024, 2048)
NO_ERROR = (0.0,) * len(SIZES)


@pytest.mark.parametrize(
    ("coefficients", "order"),
    [
        ((5e6, 0, 0), Order.CONSTANT),
        ((5e6, 2_000, 0), Order.LINEAR),
        ((0, 2_000, 0), Order.LINEAR),
        ((1e5, 2_000, 9), Order.QUADRATIC),
        ((0, 0, 9), Order.QUADRATIC),
    ],
)
def test_a_polynomial_is_found_again(coefficients, order):
    times = [sum(c * n**k for k, c in enumerate(coefficients)) for n in SIZES]
    fit = fitted(SIZES, times, NO_ERROR)
    assert fit.order is order
    assert fit.sign == (order is not Order.CONSTANT)
    assert fit.misfit < 0.01
    if order is Order.QUADRATIC:
        assert fit.coefficients[2] == pytest.approx(9)


def test_noise_grows_by_no_order():
    times = 1e6 * (1 + 0.03 * np.array([0.5, -1, 1, -0.5, 0.8]))
    assert fitted(SIZES, list(times), (0.03,) * 5).order is Order.CONSTANT


def test_a_time_that_falls_says_so():
    fit = fitted(SIZES, [5e6 - 2_000 * n for n in SIZES], NO_ERROR)
    assert (fit.order, fit.sign) == (Order.LINEAR, -1)


def test_times_that_grow_less_and_less_are_no_square():
    fit = fitted((128, 256, 512), (50_000, 100_000, 150_000), (0.0,) * 3)
    assert (fit.order, fit.sign) == (Order.LINEAR, 1)


def test_noisy_times_may_follow_a_cost_that_they_do_not_show():
    times, costs = [1e5, 1e6, 5e6, 15e6], [64**2, 213**2, 363**2, 512**2]
    assert may_follow(costs, times, (0.3, 0.5, 0.4, 0.3))
    assert not may_follow(costs, [3e6, 2e6, 1e6, 5e5], (0.03,) * 4)
    assert not may_follow([7, 7, 7, 7], times, (0.3,) * 4)


COSTS = st.lists(st.integers(1, 10**12), min_size=2, max_size=6, unique=True)
SPREAD = st.lists(st.floats(0.0, 0.5), min_size=6, max_size=6)


@given(COSTS, st.floats(1e3, 1e9), SPREAD)
def test_times_in_proportion_to_a_cost_may_follow_it(costs, longest, errors):
    """Whatever their errors, and however little the cost grows."""
    times = [longest * cost / max(costs) for cost in costs]
    assert may_follow(costs, times, errors[: len(costs)])


@given(st.integers(2, 6), st.floats(1e3, 1e9), st.floats(0.0, 0.85), SPREAD)
def test_a_fixed_part_may_hide_most_of_the_growth(count, longest, fixed, errors):
    costs = [4**i for i in range(count)]
    times = [longest * (fixed + (1 - fixed) * cost / costs[-1]) for cost in costs]
    assert may_follow(costs, times, errors[:count])


@given(st.integers(2, 6), st.integers(1, 10**9), st.floats(1e4, 1e9), st.floats(-0.005, 0.005))
def test_a_time_that_stays_does_not_follow_a_cost_that_doubles(count, first, time, drift):
    costs = [first * 2**i for i in range(count)]
    times = [time * (1 + drift * (-1) ** i) for i in range(count)]
    assert not may_follow(costs, times, (0.0,) * count)
    assert may_follow(costs, times, (0.3,) * count), "errors of 30 % hide a tenth"


@given(st.integers(3, 6), st.floats(1e4, 1e9))
def test_times_that_fall_or_outgrow_a_cost_do_not_follow_it(count, time):
    costs = [4**i for i in range(count)]
    assert not may_follow(costs, [time / c for c in costs], (0.05,) * count)
    assert not may_follow(costs, [time * c**2 for c in costs], (0.05,) * count)


@given(COSTS, st.lists(st.floats(1e3, 1e9), min_size=6, max_size=6), st.integers(1, 10**6))
def test_only_what_the_costs_are_to_each_other_counts(costs, times, factor):
    mine, errors = times[: len(costs)], (0.1,) * len(costs)
    scaled = [cost * 2 ** factor.bit_length() for cost in costs]
    assert may_follow(scaled, mine, errors) == may_follow(costs, mine, errors)


def test_two_sizes_make_no_square():
    assert fitted((1, 2), (10_000, 40_000), (0.0, 0.0)).order is Order.LINEAR
    assert exact((1, 2), (10, 40)) is Order.LINEAR


def test_one_size_does_not_grow():
    with pytest.raises(ValueError, match="two sizes"):
        fitted((5, 5), (1, 2), (0.0, 0.0))


@given(
    st.lists(st.integers(0, 5000), min_size=4, max_size=6, unique=True),
    st.integers(0, 10**9),
    st.integers(1, 10**6),
    st.integers(1, 10**4),
)
def test_costs_are_exact(sizes, constant, linear, square):
    assert exact(sizes, [constant] * len(sizes)) is Order.CONSTANT
    assert exact(sizes, [constant + linear * n for n in sizes]) is Order.LINEAR
    made = [constant + linear * n + square * n * n for n in sizes]
    assert exact(sizes, made) is Order.QUADRATIC
    assert exact(sizes, [n**5 for n in sizes]) is None or min(sizes) == 0
