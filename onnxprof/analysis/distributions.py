"""The distributions behind intervals and tests: binomial at one half, normal, Student's t.

Formulas are those of the NIST Digital Library of Mathematical Functions (DLMF). SciPy has them
too, and takes 0.2 s to import, in every process that measures.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: A sum's further terms are left out below this part of it.
_NEGLIGIBLE = 1e-17
#: Levels of the continued fraction: so many, and so many more a square root of its parameters.
_LEVELS, _MORE_LEVELS = 40, 8
#: So few numbers take less time one by one than as an array.
_FEW = 8
#: Newton's steps at most; they double their digits once they are near.
_STEPS = 200


def binomial_half_cdf(successes: int, trials: int) -> float:
    """P(X <= successes) of the binomial distribution of these trials at one half."""
    if successes >= trials:
        return 1.0
    if 2 * successes >= trials:
        return 1.0 - binomial_half_cdf(trials - successes - 1, trials)
    if successes < 0:
        return 0.0
    term = total = _binomial_half(successes, trials)
    for k in range(successes, 0, -1):  # terms fall: each is k / (n - k + 1) of the one above
        term *= k / (trials - k + 1)
        total += term
        if term <= _NEGLIGIBLE * total:  # both are 0 where the first is below any number
            break
    return total


def _binomial_half(successes: int, trials: int) -> float:
    if trials <= 1000:
        return math.comb(trials, successes) / (1 << trials)
    ways = math.lgamma(successes + 1) + math.lgamma(trials - successes + 1)
    return math.exp(math.lgamma(trials + 1) - ways - trials * math.log(2))


def normal_cdf(z: float) -> float:
    """P(Z <= z) of the standard normal distribution (DLMF 7.18.1, by the error function)."""
    return math.erfc(-z / math.sqrt(2)) / 2


def student_cdf(df: ArrayLike, t: ArrayLike) -> Floats:
    """P(T <= t) of Student's t at these degrees of freedom, element by element; NaN of NaN.

    A tail is I_x(df/2, 1/2) / 2 at x = df / (df + t²), the regularised incomplete beta
    function (Abramowitz and Stegun, 26.7.1 and 26.5.27), accurate however small it is.
    """
    freedom, at = np.broadcast_arrays(np.asarray(df, np.float64), np.asarray(t, np.float64))
    squares = np.square(at)
    whole = freedom + squares
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isinf(squares), 1.0, squares / whole)
    # below this the fraction converges fast (DLMF 8.17, after 8.17.22); else 8.17.4 turns it round
    outer = middle * (freedom / 2 + 2.5) > 1.5
    a = np.where(outer, freedom / 2, 0.5)
    b = np.where(outer, 0.5, freedom / 2)
    part = _incomplete_beta(a, b, np.where(outer, freedom / whole, middle))
    tail = np.where(outer, part, 1 - part) / 2
    cdf: Floats = np.where(at > 0, 1 - tail, tail)
    return cdf


def student_quantile(df: ArrayLike, p: float) -> Floats:
    """The t with P(T <= t) = p, for each of these degrees of freedom and 0 < p < 1.

    Newton's method from 0: above the median the distribution function is concave, so that steps
    never go too far. Raises ValueError for another p.
    """
    if not 0 < p < 1:
        raise ValueError(f"no probability between 0 and 1: {p}")
    if p < 0.5:
        return -student_quantile(df, 1 - p)
    freedom = np.asarray(df, np.float64)
    return _quantiles(freedom, p) if freedom.ndim else _quantile(float(freedom), p)


@lru_cache(maxsize=4096)
def _quantile(df: float, p: float) -> Floats:
    """For one number, which is asked for in every table again."""
    return _quantiles(np.asarray(df), p)


def _quantiles(freedom: Floats, p: float) -> Floats:
    t = np.zeros(freedom.shape)
    for _ in range(_STEPS):
        step = (p - student_cdf(freedom, t)) / _student_density(freedom, t)
        t = t + step
        if np.all(np.abs(step) <= 1e-14 * t):
            break
    return t


def _student_density(df: Floats, t: Floats) -> Floats:
    density: Floats = np.exp(-_log_beta(df / 2, 0.5) - (df + 1) / 2 * np.log1p(t * t / df))
    return density / np.sqrt(df)


def _log_gamma(values: ArrayLike) -> Floats:
    known, place = np.unique(np.asarray(values, np.float64), return_inverse=True)
    gamma: Floats = np.array([math.lgamma(value) for value in known])[place]
    return gamma.reshape(np.shape(values))


def _log_beta(a: ArrayLike, b: ArrayLike) -> Floats:
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(np.add(a, b))


def _levels_of(levels: int, a: Any, b: Any, x: Any) -> Any:
    """For arrays or for plain numbers, whose arithmetic is the same."""
    fraction = 1.0
    for m in range(levels, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        fraction = 1 + even / (1 + odd / fraction)
    return fraction


def _incomplete_beta(a: Floats, b: Floats, x: Floats) -> Floats:
    """I_x(a, b) by its continued fraction (DLMF 8.17.22 and 8.17.23), from the inside out."""
    largest = float(np.max(np.maximum(a, b), initial=0.0))
    levels = _LEVELS + int(_MORE_LEVELS * math.sqrt(largest))
    if x.size > _FEW:
        fraction = _levels_of(levels, a, b, x)
    else:
        each = zip(*(values.ravel().tolist() for values in (a, b, x)), strict=True)
        fraction = np.array([_levels_of(levels, *one) for one in each]).reshape(x.shape)
    fraction = 1 - (a + b) * x / (a + 1) / fraction
    front = x**a * (1 - x) ** b / a * np.exp(-_log_beta(a, b))
    found: Floats = front / fraction
    return found
