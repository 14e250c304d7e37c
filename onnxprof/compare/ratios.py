"""Ratios of times between two groups of processes: estimates, intervals, tests.

The unit is the process, since what differs between two processes of one program (memory
layout, clocks, who else ran) is in every sample of each (Mytkowicz et al., Producing Wrong
Data Without Doing Anything Obviously Wrong, ASPLOS 2009). docs/compare.md tells the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis.distributions import student_cdf, student_quantile
from onnxprof.analysis.intervals import trimmed_means
from onnxprof.records.timings import Indices

Floats = NDArray[np.float64]

#: Spread between processes, relative to a time, that is assumed before any is seen
#: (docs/compare.md has the measurements), and how many degrees of freedom that weighs.
FLOOR = 0.015
FLOOR_DF = 4.0
#: Cut off at each end: of a process's blocks, and of the processes.
_BLOCK_CUT, PROCESS_CUT = 0.2, 0.1
_MOST_CORRELATED = 0.8
_NOISY_WEIGHT = 0.1
#: Variance of a median over that of a mean, of normal values.
_MEDIAN = np.pi / 2


@dataclass(frozen=True, slots=True)
class Group:
    """Times of the same rows in the processes of one side."""

    times_ns: Floats
    """Shape [rows, processes]."""
    within: Floats
    """Relative variance of each of these times that its own process shows, same shape."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Processes that took turns: in each pair, B over A."""

    apart: Floats
    """Logarithm of the ratio, shape [rows, pairs], NaN where a side has no time."""
    within: Floats
    """Variance of each that the pair's blocks show, same shape."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """Logarithms of B over A, one a row, NaN where a side has no time."""

    effect: Floats
    error: Floats
    df: float | Floats

    def interval(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper ratio of each row."""
        reach = student_quantile(self.df, (1 + confidence) / 2) * self.error
        return np.exp(self.effect - reach), np.exp(self.effect + reach)

    def of_times(self, a_ns: Floats, b_ns: Floats) -> Ratios:
        """The same knowledge of the ratios of these times, which are those in print.

        What both differ by counts as error, so that the interval is honest about either.
        """
        effect = log(b_ns) - log(a_ns)
        error = np.sqrt(self.error**2 + (effect - self.effect) ** 2)
        return Ratios(effect, error, self.df)

    def p_values(self, least: float) -> Floats:
        """p of each row for "the logarithm is within ±least"; NaN rows stay NaN.

        McCarthy and Smyth, Testing significance relative to a fold-change threshold is a
        TREAT (Bioinformatics 25, 2009), equation 2. A row known no better than `least` counts
        a tenth (a weight as in Genovese, Roeder and Wasserman, Biometrika 93, 2006): there the
        threshold no longer keeps chance at bay, and what is noisy is seldom normal.
        """
        size = np.abs(self.effect)
        above = student_cdf(self.df, -(size - least) / self.error)
        below = student_cdf(self.df, -(size + least) / self.error)
        weight = np.where(self.error > least, _NOISY_WEIGHT, 1.0)
        p: Floats = np.minimum(1.0, (above + below) / weight)
        return p


def group(values: Floats, process: Indices) -> Group:
    """One time a row and process from block values of shape [rows, blocks]."""
    parts = [values[:, process == p] for p in np.unique(process)]
    times = [trimmed_means(part, _BLOCK_CUT) for part in parts]
    return Group(
        np.stack(times, axis=1),
        np.stack([variance_within(p, t) for p, t in zip(parts, times, strict=True)], axis=1),
    )


def variance_within(values: Floats, times: Floats) -> Floats:
    """Relative variance of a process's times, from its blocks, neighbours correlated."""
    if values.shape[1] < 3:
        return np.zeros(len(values))
    squares, kept = winsorised(values, _BLOCK_CUT)
    correlation = np.clip(_autocorrelation(values), 0.0, _MOST_CORRELATED)
    variance = squares / (kept - 1) / kept * (1 + correlation) / (1 - correlation)
    relative: Floats = variance / np.maximum(times, 1.0) ** 2
    return relative


def joined(groups: Sequence[Group]) -> Group:
    """The processes of several runs of one side."""
    return Group(
        np.concatenate([g.times_ns for g in groups], axis=1),
        np.concatenate([g.within for g in groups], axis=1),
    )


def ratios(a: Group, b: Group) -> Ratios:
    """B over A, row by row.

    Trimmed means of logarithms over processes, with the winsorised variance that belongs to
    them (Yuen, Biometrika 61, 1974), pooled over both sides and moderated by the assumed
    floor as in Smyth (Statistical Applications in Genetics 3, 2004), which here never narrows
    an interval. Where both sides are of one process, the floor and the spread within the
    processes are all there is.
    """
    logs_a, logs_b = _logs(a), _logs(b)
    squares_a, kept_a = winsorised(logs_a, PROCESS_CUT)
    squares_b, kept_b = winsorised(logs_b, PROCESS_CUT)
    seen = kept_a - 1 + kept_b - 1
    assumed = FLOOR**2 + np.concatenate([a.within, b.within], axis=1).mean(axis=1)
    moderated = (FLOOR_DF * assumed + squares_a + squares_b) / (FLOOR_DF + seen)
    variance = np.maximum(moderated, (squares_a + squares_b) / max(1, seen))
    effect = trimmed_means(logs_b, PROCESS_CUT) - trimmed_means(logs_a, PROCESS_CUT)
    return Ratios(effect, np.sqrt(variance * (1 / kept_a + 1 / kept_b)), FLOOR_DF + seen)


def relative_errors(side: Group) -> Floats:
    """Relative standard error of each row's time; NaN where there is none.

    With the spread that `ratios` assumes, of which this is one side.
    """
    squares, kept = winsorised(_logs(side), PROCESS_CUT)
    assumed = FLOOR**2 + side.within.mean(axis=1)
    moderated = (FLOOR_DF * assumed + squares) / (FLOOR_DF + kept - 1)
    errors: Floats = np.sqrt(np.maximum(moderated, squares / max(1, kept - 1)) / kept)
    return errors


def pairs(a: Floats, b: Floats, pair: Indices) -> Pairs:
    """Pairs from block values of shape [rows, blocks]; one column was measured in one go.

    What the machine did to both blocks cancels in their ratio. Of a pair's ratios the median
    counts, since any block may have been interrupted.
    """
    both = [_pair(a[:, pair == p], b[:, pair == p]) for p in np.unique(pair)]
    return Pairs(
        np.stack([apart for apart, _ in both], axis=1),
        np.stack([within for _, within in both], axis=1),
    )


def _pair(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Where a block has no time, as of a layer that a coarse clock often misses, means count."""
    apart = log(b) - log(a)
    whole = np.asarray(np.isfinite(apart).all(axis=1))
    logs = np.where(whole[:, np.newaxis], apart, 0.0)
    means = a.mean(axis=1), b.mean(axis=1)
    coarse = log(means[1]) - log(means[0])
    spread = variance_within(a, means[0]) + variance_within(b, means[1])
    return (
        np.where(whole, np.median(logs, axis=1), coarse),
        np.where(whole, _MEDIAN * variance_within(logs, np.ones(len(logs))), spread),
    )


def paired_ratios(measured: Pairs) -> Ratios:
    """B over A, row by row, from processes that took turns.

    As `ratios`, of the pairs' logarithms: the pair is the unit, since what differs between two
    processes from their start on is in all their blocks. Pairs that differ by more than what is
    assumed speak for themselves, with their own degrees of freedom.
    """
    squares, kept = winsorised(measured.apart, PROCESS_CUT)
    assumed = 2 * FLOOR**2 + measured.within.mean(axis=1)
    moderated = (FLOOR_DF * assumed + squares) / (FLOOR_DF + kept - 1)
    seen = squares / max(1, kept - 1)
    variance = np.maximum(moderated, seen)
    effect = trimmed_means(measured.apart, PROCESS_CUT)
    df = kept - 1 + np.where(seen > moderated, 0.0, FLOOR_DF)
    return Ratios(effect, np.sqrt(variance / kept), df)


def benjamini_hochberg(p: Floats) -> Floats:
    """Adjusted p-values: those at most q form a set with a false-discovery rate of q.

    Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995). NaN is no
    test and stays NaN.
    """
    adjusted: Floats = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested])]
    scaled = p[order] * tested.size / np.arange(1, tested.size + 1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def _logs(side: Group) -> Floats:
    return log(side.times_ns)


def log(times: Floats) -> Floats:
    """The logarithm; NaN of no time."""
    logs: Floats = np.log(np.where(times > 0, times, np.nan))
    return logs


def winsorised(values: Floats, part: float) -> tuple[Floats, int]:
    """Sum of squares of a sample whose ends are drawn in, scaled for what is kept; and that."""
    count = values.shape[-1]
    cut = int(part * count)
    ordered = np.sort(values, axis=-1)
    drawn = np.clip(ordered, ordered[..., [cut]], ordered[..., [count - 1 - cut]])
    squares: Floats = ((drawn - drawn.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return squares, count - 2 * cut


def _autocorrelation(values: Floats) -> Floats:
    """Of neighbours, along the last axis; 0 for a constant series."""
    centred = values - values.mean(axis=-1, keepdims=True)
    squares = (centred**2).sum(axis=-1)
    products = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1)
    correlation: Floats = products / np.where(squares > 0, squares, 1.0)
    return correlation
