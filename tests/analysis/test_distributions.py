"""Distributions, with SciPy as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from onnxprof.analysis import distributions
from onnxprof.analysis.distributions import (
    binomial_half_cdf,
    normal_cdf,
    student_cdf,
    student_quantile,
)
from onnxprof.analysis.intervals import interval_ranks

DF = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 29.0, 104.0, 1000.0, 4.7])
T = np.array([0.0, 1e-3, 0.3, 1.0, 1.7, 1.8, 2.5, 8.0, 40.0, 300.0, np.inf])


@pytest.mark.parametrize("trials", [1, 2, 5, 6, 7, 50, 999, 1000, 1001, 20_000, 1_000_000])
def test_the_binomial_sum(trials: int) -> None:
    middle, spread = trials // 2, int(trials**0.5)
    for k in (-1, 0, middle - 3 * spread, middle - spread, middle, middle + spread, trials):
        expected = special.bdtr(k, trials, 0.5) if 0 <= k < trials else float(k >= trials)
        assert binomial_half_cdf(k, trials) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_it_is_exact_where_it_is_a_sum_of_powers_of_two() -> None:
    assert binomial_half_cdf(0, 6) == 1 / 64
    assert binomial_half_cdf(1, 3) == 0.5


def _ranks(n: int, confidence: float) -> tuple[int, int] | None:
    tail = (1 - confidence) / 2
    within = np.flatnonzero(special.bdtr(np.arange(n), n, 0.5) <= tail)
    return (int(within[-1]), n - 1 - int(within[-1])) if within.size else None


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_ranks_are_those_of_scipys_sum(confidence: float) -> None:
    for n in [*range(1, 400), 1000, 1001, 4096, 99_999]:
        assert interval_ranks(n, confidence) == _ranks(n, confidence)


@pytest.mark.parametrize("z", [-40.0, -8.0, -1.96, 0.0, 0.5, 9.0])
def test_the_normal_distribution(z: float) -> None:
    assert normal_cdf(z) == pytest.approx(float(special.ndtr(z)), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("sign", [1, -1])
def test_students_distribution_into_its_tails(sign: int) -> None:
    df, t = np.meshgrid(DF, sign * T)
    expected = special.stdtr(df, t)
    np.testing.assert_allclose(student_cdf(df, t), expected, rtol=2e-11, atol=1e-300)


def test_one_degree_of_freedom_is_cauchys_distribution() -> None:
    t = np.array([-1e9, -2.0, -1e-9, 0.0, 1e-9, 5.0])
    expected = [0.5 + np.arctan(value) / np.pi for value in t[1:]]
    np.testing.assert_allclose(student_cdf(1, t)[1:], expected, rtol=1e-14)
    assert student_cdf(1, t)[0] == pytest.approx(1e-9 / np.pi)


@pytest.mark.parametrize("p", [1e-6, 0.2, 0.5, 0.9, 0.975, 0.9995, 1 - 1e-9])
def test_students_quantiles(p: float) -> None:
    expected = special.stdtrit(DF, p)
    np.testing.assert_allclose(student_quantile(DF, p), expected, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(special.stdtr(DF, student_quantile(DF, p)), p, rtol=1e-9)


def test_no_number_stays_none_and_shapes_are_kept() -> None:
    assert np.isnan(student_cdf(4.0, [np.nan, 1.0])).tolist() == [True, False]
    assert student_cdf(4.0, np.zeros((2, 3))).shape == (2, 3)
    assert student_cdf(4.0, []).shape == (0,)
    assert student_quantile(4.0, 0.9).shape == ()


def test_few_numbers_give_the_same_bits_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    t = np.array([0.0, 1e-9, -0.3, 2.5, 1e4, np.inf, np.nan])
    for df in (0.3, 1.0, 7.7, 4000.0):
        few = student_cdf(df, t), student_quantile([df, df + 1], 0.975)
        with monkeypatch.context() as patch:
            patch.setattr(distributions, "_FEW", -1)
            many = student_cdf(df, t), student_quantile([df, df + 1], 0.975)
        assert [part.tobytes() for part in few] == [part.tobytes() for part in many]


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0, float("nan")])
def test_what_is_no_probability_has_no_quantile(p: float) -> None:
    with pytest.raises(ValueError, match="no probability"):
        student_quantile(3, p)
