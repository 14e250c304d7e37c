"""How far a run's latency can be trusted: solid, rough or noise.

A 95 % interval of a median that assumes no distribution needs six samples: the least and the
greatest of n enclose the median with probability 1 - 2^(1 - n), which is 75 % for three samples and
97 % for six (David and Nagaraja, Order Statistics, 3rd ed., section 7.1). Fewer samples have a
range, which is never printed as ±.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from onnxprof.records.run import Run
from onnxprof.records.warning import WarningKind

if TYPE_CHECKING:
    from onnxprof.analysis.reconcile import Reconciliation

#: Fewest samples that have a 95 % interval of the median; fewer have a range.
FEWEST = 6
#: Fewest samples whose range tells anything of the spread.
FEWEST_ROUGH = 3
#: Half of the interval over the median, at most, of a solid and of a rough figure.
SOLID_WITHIN, ROUGH_WITHIN = 0.02, 0.10
#: Warnings that say that the machine or the model was not steady: no figure is solid then.
UNSTEADY = frozenset((WarningKind.BUSY_MACHINE, WarningKind.DRIFT, WarningKind.UNSTEADY_WARMUP))
#: Those that leave no figure solid: a warning of too few samples contradicts the word, too.
NOT_SOLID = UNSTEADY | {WarningKind.FEW_SAMPLES}


class Grade(StrEnum):
    """How far a figure can be trusted, the best first."""

    SOLID = "solid"
    """±2 %, no warning of few samples, a busy machine, a drift or an unsteady warm-up."""
    ROUGH = "rough"
    """Three samples or more, whose interval (range, below six samples) is within ±10 %."""
    NOISE = "noise"
    """Anything else."""


def has_interval(samples: int) -> bool:
    """Whether so many samples have a 95 % interval of their median, rather than a range."""
    return samples >= FEWEST


def graded(samples: int, half_width: float, kinds: Collection[WarningKind] = ()) -> Grade:
    """The grade of a median of so many samples.

    `half_width` is half of the interval (below six samples: of the range) over the median, `kinds`
    are those of the run's warnings. Never better for fewer samples, a greater width or more
    warnings; NaN is noise.
    """
    if samples < FEWEST_ROUGH or not half_width <= ROUGH_WITHIN:
        return Grade.NOISE
    if has_interval(samples) and half_width <= SOLID_WITHIN and NOT_SOLID.isdisjoint(kinds):
        return Grade.SOLID
    return Grade.ROUGH


def grade(run: Run, sums: Reconciliation | None = None) -> Grade | None:
    """The grade of a run's un-profiled median.

    None for what is no figure to trust or not: a failed run, an imported one without un-profiled
    latencies, and one whose outputs are wrong. `sums` is the run's reconciliation where it is
    known; the run then needs no samples.
    """
    samples, half_width = _measured(run) if sums is None else (sums.samples, sums.half_width)
    if not samples or run.is_wrong:
        return None
    return graded(samples, half_width, {warning.kind for warning in run.warnings})


def worst(grades: Iterable[Grade | None]) -> Grade | None:
    """The grade of a figure made from several: the worst one; None where one has none."""
    order = list(Grade)
    places = [None if one is None else order.index(one) for one in grades]
    known = [place for place in places if place is not None]
    return order[max(known)] if known and len(known) == len(places) else None


def _measured(run: Run) -> tuple[int, float]:
    """The number of un-profiled samples, and half of their interval or range over the median."""
    from onnxprof.analysis import intervals

    timings = run.timings
    if timings is None or not timings.latency_ns.size:
        return 0, float("nan")
    low, high = intervals.latency_interval(timings)
    median = intervals.median_ns(timings.latency_ns)
    half_width = (high - low) / 2 / median if median else float("nan")
    return int(timings.latency_ns.size), half_width
