"""One system at several sizes of an axis: what is fixed, what an item costs, where it saturates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from onnxprof.analysis.intervals import median_ns
from onnxprof.analysis.once import once
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.statistics.lines import Line, fit
from onnxprof.compare.axes import families as axes
from onnxprof.compare.axes.families import BATCH, size_in
from onnxprof.compare.blocks import latency_error, parts
from onnxprof.compare.ratios import Floats, ratios
from onnxprof.compare.replicates import latency_group
from onnxprof.compare.systems import labels, system
from onnxprof.compare.table import RowKind
from onnxprof.compare.verdict import (
    THRESHOLD,
    Side,
    Verdict,
    decides_latency,
    has_latency_interval,
    verdict,
)
from onnxprof.errors import UsageError
from onnxprof.records.run import Run

#: The part of the best measured rate from which a network or a layer counts as saturated.
SATURATED = 0.95
#: A line that misses a measured time by more than this is said to be none.
STRAIGHT = 0.10


@dataclass(frozen=True, slots=True)
class Point:
    """A run at one size."""

    size: int
    run: Run
    latency_ns: int
    interval_ns: tuple[int, int]
    """95 % interval of the latency; below six samples their range."""
    gain: float | None = None
    """The rate over that of the next smaller size, less 1; None for the smallest."""
    gain_interval: tuple[float, float] | None = None
    verdict: Verdict | None = None
    """Whether an item takes longer or less time than at the next smaller size."""
    is_judged: bool = True
    """False where one process ran on a busy machine, or samples are too few for an interval, so
    that nothing can be said."""

    @property
    def samples(self) -> int:
        """Un-profiled inferences."""
        return 0 if self.run.timings is None else int(self.run.timings.latency_ns.size)

    @property
    def rate(self) -> float:
        """Items a second, call after call."""
        return self.size * 1e9 / self.latency_ns


@dataclass(frozen=True, slots=True)
class ScaledRow:
    """A block of layers, or a part of the latency that is none, over the sizes."""

    kind: RowKind
    times_ns: tuple[int, ...]
    """At each size."""
    line: Line
    layers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    saturated: int | None = None
    """The smallest size with 95 % of the best measured rate; None without times."""

    def gain(self, sizes: Sequence[int]) -> float | None:
        """How many times more items a second the largest size has than the smallest."""
        first, last = self.times_ns[0], self.times_ns[-1]
        is_known = first > 0 and last > 0 and sizes[0] > 0
        return sizes[-1] * first / (sizes[0] * last) if is_known else None


@dataclass(frozen=True, slots=True)
class Scaling:
    """One model on one system over sizes of one axis.

    Times at each size, and fixed costs and costs an item, add up over `rows` to the latency's.
    """

    model: str
    system: str
    axis: str
    points: tuple[Point, ...]
    """Smallest size first."""
    line: Line
    """Of the un-profiled median."""
    rows: tuple[ScaledRow, ...]
    """Blocks in graph order, then time of no layer, interruptions, overhead; empty where a run has
    no times of steps."""
    best: Point
    """That with the highest rate."""
    alike: tuple[int, ...]
    """Other sizes whose rate is not told apart from the best one's."""
    saturated: int
    """The smallest size with 95 % of the best rate."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The measured sizes, smallest first."""
        return tuple(point.size for point in self.points)

    @property
    def is_straight(self) -> bool:
        """Whether the line describes what was measured."""
        return self.line.misfit <= STRAIGHT

    def within(self, limit_ns: int) -> Point | None:
        """The best rate among sizes whose median is surely within a limit; None if none is."""
        good = [point for point in self.points if point.interval_ns[1] <= limit_ns]
        return max(good, key=lambda point: point.rate, default=None)


def scaling(runs: Sequence[Run], axis: str = BATCH, threshold: float = THRESHOLD) -> Scaling:
    """Fit times over the sizes of an axis; the runs differ in nothing else.

    Raises UsageError where two runs have one size, or fewer than two sizes are there.
    """
    return once(_scaling, axis, threshold, *_ordered(runs, axis))


def _scaling(axis: str, threshold: float, *ordered: Run) -> Scaling:
    sizes = [size_in(run.request, axis) or 0 for run in ordered]
    _refuse(ordered, sizes, axis)
    points = _points(ordered, sizes, threshold)
    latency = np.array([[point.latency_ns for point in points]], np.float64)
    errors = np.array([[latency_error(run)] for run in ordered]).T
    weights = 1 / (latency[0] * errors[0]) ** 2
    [line] = fit(np.array(sizes, np.float64), latency, errors, weights)
    best = max(points, key=lambda point: point.rate)
    return Scaling(
        ordered[0].request.model_name,
        labels(ordered[:1])[0],
        axis,
        points,
        line,
        tuple(_rows(ordered, sizes, weights)),
        best,
        tuple(_alike(points, best, threshold)),
        _saturation(sizes, [point.latency_ns for point in points]) or sizes[-1],
    )


def saturated(runs: Sequence[Run], axis: str = BATCH) -> int:
    """The smallest size with 95 % of the best rate, as `scaling` has it, from latencies alone."""
    ordered = _ordered(runs, axis)
    sizes = [size_in(run.request, axis) or 0 for run in ordered]
    latencies = [median_ns(run.timings.latency_ns) if run.timings else 0 for run in ordered]
    return _saturation(sizes, latencies) or sizes[-1]


def _ordered(runs: Sequence[Run], axis: str) -> list[Run]:
    return sorted(runs, key=lambda run: size_in(run.request, axis) or 0)


def families(runs: Sequence[Run], axis: str = BATCH) -> list[list[Run]]:
    """The runs in groups over an axis and what follows it, each with two sizes at least."""
    return axes.families(runs, axis, lambda run: run.request, family)


def family(run: Run) -> tuple[object, ...]:
    """What runs over an axis have in common: the model, the system and the phase."""
    asked = run.request
    return asked.model_name, asked.model_sha256, system(run), asked.phase


def _refuse(runs: Sequence[Run], sizes: Sequence[int], axis: str) -> None:
    where = runs[0].request.model_name if runs else ""
    if len(sizes) < 2:
        raise UsageError(
            f"one size of {axis} was measured, two are needed",
            where=where,
            remedy=f"Measure more: {more_sizes(axis)}",
        )
    twice = next((a for a, b in pairwise(sizes) if a == b), None)
    if twice is not None:
        raise UsageError(
            f"two runs have {axis} {twice}",
            where=where,
            remedy="Name a folder: of each system and size its newest run is taken",
        )


def more_sizes(axis: str) -> str:
    """An option that measures several sizes."""
    return "--batch 1,2,4,8,16,32" if axis == BATCH else f"--dim {axis}=N,N"


def _points(runs: Sequence[Run], sizes: Sequence[int], threshold: float) -> tuple[Point, ...]:
    points: list[Point] = []
    for run, size in zip(runs, sizes, strict=True):
        sums = reconcile(run)
        point = Point(size, run, sums.total_ns, sums.interval_ns)
        points.append(_judged(points[-1], point, threshold) if points else point)
    return tuple(points)


def _judged(before: Point, point: Point, threshold: float) -> Point:
    decided = _decides(before, point)
    if not before.size:  # no item that could take longer or less time
        return replace(point, is_judged=decided)
    ratio, interval = _time_per_item(before, point)
    known = has_latency_interval(*_sides(before, point))
    return Point(
        point.size,
        point.run,
        point.latency_ns,
        point.interval_ns,
        1 / ratio - 1,
        (1 / interval[1] - 1, 1 / interval[0] - 1) if known else None,
        verdict(ratio, interval, threshold) if decided else Verdict.UNDECIDED,
        decided,
    )


def _decides(a: Point, b: Point) -> bool:
    return decides_latency(*_sides(a, b))


def _sides(a: Point, b: Point) -> tuple[Side, Side]:
    return Side.of([a.run], _processes(a.run)), Side.of([b.run], _processes(b.run))


def _time_per_item(a: Point, b: Point) -> tuple[float, tuple[float, float]]:
    """B's time an item over A's, with its 95 % interval."""
    calls = ratios(latency_group(a.run), latency_group(b.run)).of_times(
        np.array([a.latency_ns], np.float64), np.array([b.latency_ns], np.float64)
    )
    low, high = (float(bound[0]) for bound in calls.interval())
    items = a.size / b.size
    return b.latency_ns / a.latency_ns * items, (low * items, high * items)


def _processes(run: Run) -> int:
    return int(latency_group(run).times_ns.shape[1])


def _alike(points: Sequence[Point], best: Point, threshold: float) -> Iterator[int]:
    for point in points:
        if point is not best and point.size:
            ratio, interval = _time_per_item(best, point)
            told = verdict(ratio, interval, threshold) if _decides(best, point) else None
            if told is not Verdict.SLOWER:
                yield point.size


def _saturation(sizes: Sequence[int], times_ns: Sequence[int]) -> int | None:
    rates = [size / ns if ns > 0 else 0.0 for size, ns in zip(sizes, times_ns, strict=True)]
    enough = SATURATED * max(rates)
    return next((s for s, rate in zip(sizes, rates, strict=True) if 0 < rate >= enough), None)


def _rows(runs: Sequence[Run], sizes: Sequence[int], weights: Floats) -> Iterator[ScaledRow]:
    every = parts(runs)
    if not every:
        return
    times = np.array([part.times_ns for part in every], np.float64)
    errors = np.array([part.errors for part in every], np.float64)
    lines = fit(np.array(sizes, np.float64), times, errors, weights)
    for part, line in zip(every, lines, strict=True):
        saturated = _saturation(sizes, part.times_ns) if part.kind is RowKind.BLOCK else None
        yield ScaledRow(part.kind, part.times_ns, line, part.layers, part.operators, saturated)
