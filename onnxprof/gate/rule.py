"""When a change counts as slower: the gate's rule, its false alarms and the slowdown it sees.

The unit is a pair of fresh processes that took turns block by block; what is known of a pair is
the logarithm of the new model's latency over the old one's. The old model is measured against
itself in such pairs first, so how far they scatter on this machine is measured, not assumed.

*Slower* is called where the lower confidence bound of the ratio lies above what may pass: a
one-sided test of "the slowdown is at most the limit". The centre is the mean of the logarithms
without a tenth at each end, and its error is Yuen's (Yuen, Biometrika 61, 1974): the winsorised
sum of squares over h (h - 1), of h values that are kept. Student's t with h - 1 degrees of freedom
belongs to it. Where the old model against itself scattered more, the variance of both together
counts, each weighted by its degrees of freedom: that can widen the bounds and never narrows
them, so the false-alarm rate of Yuen's test holds whatever the first measurement was. Several
cases share the false alarms that are allowed in equal parts (Bonferroni).

What such a test can tell apart is a minimum detectable effect (Bloom, Evaluation Review 19, 1995):
the sum of two quantiles of Student's t, that of the level and that of the power, times the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onnxprof.analysis.distributions import normal_cdf, student_cdf, student_quantile
from onnxprof.analysis.intervals import trimmed_means
from onnxprof.compare.ratios import PROCESS_CUT, Floats, winsorised
from onnxprof.compare.verdict import Verdict, verdict

#: How often the smallest slowdown that a gate sees is found.
POWER = 0.9
#: Pairs below which no spread is known well enough to judge by.
FEWEST_PAIRS = 4
#: More pairs than this are no advice.
_MOST_PAIRS = 400
#: Pairs that differ by less are equal: a clock counts no smaller part of a time.
_LEAST_VARIANCE = 1e-18


@dataclass(frozen=True, slots=True)
class Rule:
    """What may pass, and how often something that may is stopped all the same."""

    max_slowdown: float
    """The largest slowdown that passes, as a fraction."""
    false_alarms: float
    """Chance that any case within the limit is called slower, at most."""
    cases: int = 1
    """Models, batches, sizes of axes and phases that are judged."""

    @property
    def level(self) -> float:
        """The chance of a false alarm that one case is allowed."""
        return self.false_alarms / self.cases

    @property
    def margin(self) -> float:
        """The limit as a logarithm."""
        return float(np.log1p(self.max_slowdown))


@dataclass(frozen=True, slots=True)
class Spread:
    """How far pairs of processes scatter."""

    variance: float
    """Of one pair's logarithm."""
    freedom: int
    """Degrees of freedom that it is known with."""

    @property
    def of_processes(self) -> float:
        """Relative standard deviation of one process: a pair has twice its variance."""
        return float(np.sqrt(self.variance / 2))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The new model's latency over the old one's, and what may be said of it."""

    ratio: float
    low: float
    high: float
    """Bounds that hold each with the rule's level."""
    verdict: Verdict
    within: bool
    """Whether the ratio is shown to be within the limit: the upper bound is."""


def spread(apart: Floats) -> Spread:
    """How far pairs scatter, from their logarithms. Raises ValueError for too few of them."""
    _, squares, kept = _centre(apart)
    return Spread(max(_LEAST_VARIANCE, apart.size * squares / (kept * (kept - 1))), kept - 1)


def judge(apart: Floats, noise: Spread, rule: Rule) -> Judgement:
    """Judge pairs of old and new, given the spread of the old model against itself.

    Raises ValueError for too few pairs.
    """
    centre, _, _ = _centre(apart)
    own = spread(apart)
    together = noise.freedom * noise.variance + own.freedom * own.variance
    variance = max(own.variance, together / (noise.freedom + own.freedom))
    reach = _quantile(1 - rule.level, own.freedom) * np.sqrt(variance / apart.size)
    low, ratio, high = (float(np.exp(centre + by)) for by in (-reach, 0.0, reach))
    called = verdict(ratio, (low, high), rule.max_slowdown)
    return Judgement(ratio, low, high, called, high < 1 + rule.max_slowdown)


def resolution(noise: Spread, pairs: int, rule: Rule) -> float:
    """The smallest difference that so many pairs tell apart, as a fraction.

    A model that is slower than the limit by more is called slower nine times in ten; where this is
    no more than the limit, an unchanged model is shown to be within it as often.
    """
    freedom = _kept(pairs) - 1
    both = _quantile(1 - rule.level, freedom) + _quantile(POWER, freedom)
    return float(np.expm1(both * np.sqrt(noise.variance / pairs)))


def seen_from(noise: Spread, pairs: int, rule: Rule) -> float:
    """The slowdown that is called slower nine times in ten, as a fraction."""
    return (1 + rule.max_slowdown) * (1 + resolution(noise, pairs, rule)) - 1


def pairs_for(noise: Spread, rule: Rule) -> int | None:
    """How many pairs tell the limit from no change; None for more than can be advised."""
    both = _quantile(1 - rule.level, _MOST_PAIRS) + _quantile(POWER, _MOST_PAIRS)
    least = int(both**2 * noise.variance / rule.margin**2) - 1
    counts = range(max(FEWEST_PAIRS, least), _MOST_PAIRS + 1)
    return next((n for n in counts if resolution(noise, n, rule) <= rule.max_slowdown), None)


def unchanged_alarms(noise: Spread, pairs: int, rule: Rule) -> float:
    """How often an unchanged model is called slower by this rule here, at most."""
    freedom = _kept(pairs) - 1
    beyond = _quantile(1 - rule.level, freedom) + rule.margin / np.sqrt(noise.variance / pairs)
    return float(student_cdf(freedom, -beyond))


def plain_alarms(noise: Spread, rule: Rule) -> float:
    """How often one run of each would differ by more than the limit, either way, by chance.

    That is what a rule without statistics does to an unchanged model.
    """
    return 2 * normal_cdf(-rule.margin / float(np.sqrt(noise.variance)))


def _centre(apart: Floats) -> tuple[float, float, int]:
    """The trimmed mean, the winsorised sum of squares, and how many values are kept."""
    if apart.ndim != 1 or apart.size < FEWEST_PAIRS or not np.isfinite(apart).all():
        raise ValueError(f"no {FEWEST_PAIRS} pairs of processes with times: {apart}")
    squares, kept = winsorised(apart, PROCESS_CUT)
    return float(trimmed_means(apart[np.newaxis], PROCESS_CUT)[0]), float(squares), kept


def _kept(pairs: int) -> int:
    return pairs - 2 * int(PROCESS_CUT * pairs)


@lru_cache(maxsize=4096)
def _quantile(p: float, freedom: int) -> float:
    return float(student_quantile(freedom, p))
