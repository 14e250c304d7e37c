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
