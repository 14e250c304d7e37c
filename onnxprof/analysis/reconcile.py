"""From a run's raw samples to rows that add up: one a layer, then overhead, then total."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.analysis.interruptions import Times
from onnxprof.analysis.once import once
from onnxprof.analysis.step_times import Division, divided, empty_call, inflation
from onnxprof.errors import StoreError
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.records.timings import Timings

#: A row is in doubt if the interval of the median is wider than this, relative to the lower end.
_UNSURE = 0.5
_SAME_TICKS = 2


class Status(StrEnum):
    """The state of a layer at run time."""

    TIMED = "timed"
    FUSED = "fused"
    FOLDED = "folded"
    CONSTANT = "constant"
    INPUT = "input"
    NOT_EXECUTED = "not executed"
    UNTIMED = "never timed"
    """Published tables have no time for the layer."""
    UNKNOWN = "unknown"
    """No step is tied to the layer, but a step whose layers were refuted may have computed it."""
    UNATTRIBUTED = "unattributed"
    INTERRUPTIONS = "interruptions"
    OVERHEAD = "overhead"
    TOTAL = "total"


#: Rows that sum up rather than stand for a step; they close a table, in this order.
CLOSING = (Status.INTERRUPTIONS, Status.OVERHEAD, Status.TOTAL)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a row's rank is uncertain: too few samples, or samples that scatter too far."""

    samples: int
    spread: float
    """p95 over p5; infinite where p5 is 0. 0 where the median is 0: the time is then below the
    timer's resolution."""


@dataclass(frozen=True, slots=True)
class TimedRow:
    """One row of a run's timing table.

    `median_ns` is a whole number of nanoseconds, so that the rows add up in print; it is
    None for a layer without a time of its own. p5 and p95 are those of the samples, scaled by the
    factor that makes their median `median_ns`. `share` is of the un-profiled median. An
    average has no quantiles; `samples` is then the number of inferences behind it (0: unknown).
    """

    name: str
    status: Status
    layer: Layer | None = None
    step: Step | None = None
    median_ns: int | None = None
    p5_ns: int | None = None
    p95_ns: int | None = None
    samples: int = 0
    share: float | None = None
    doubt: Doubt | None = None

    @property
    def rank_ns(self) -> int:
        """The time to rank by, in nanoseconds: the p5 of a row in doubt, else the median."""
        ns = self.median_ns if self.doubt is None else self.p5_ns
        return ns or 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How layer rows, interruptions, overhead and the un-profiled median fit together.

    `overhead_ns = total_ns - layer_sum_ns - interruptions_ns`, by definition; it is negative
    where the timer inflates the steps by more than the runtime spends between them. An imported
    run may have no un-profiled median: then `is_whole` is False, `total_ns` is the sum of the
    rows, shares are of that, and the closing rows have no time. Of published lower bounds, which
    are no latency either, `total_ns` is the published sum.
    """

    rows: tuple[TimedRow, ...]
    total_ns: int
    layer_sum_ns: int
    traced_ns: int
    unattributed_ns: int
    interval_ns: tuple[int, int]
    samples: int
    inflation: float
    """Traced over un-profiled; 1.0 is a timer that costs nothing."""
    empty_ns: int | None
    """Nanoseconds of an empty call; None where none was measured."""
    is_whole: bool = True
    """Whether the un-profiled median is known, and so the overhead."""
    interruptions_ns: int | None = None
    """Nanoseconds of the un-profiled median that other programs and interrupts took; None where
    the timer cannot tell."""

    @property
    def overhead_ns(self) -> int:
        """Un-profiled median less the layer rows and the interruptions."""
        return self.total_ns - self.layer_sum_ns - (self.interruptions_ns or 0)

    @property
    def half_width(self) -> float:
        """Half of the median's 95 % interval, relative to the median."""
        low, high = self.interval_ns
        return (high - low) / 2 / self.total_ns if self.total_ns else float("nan")


def reconcile(run: Run) -> Reconciliation:
    """Build the timing table of a run.

    A step stands on the row of its first layer in table order. Where several steps claim a
    layer, the first has it; a step without a layer of its own shares the row of its first
    layer, and the times are added inference by inference. A step whose layers are not in the
    table counts as a step without layers. So every step is in the rows exactly once.

    Raises StoreError for a run that failed, for one that was not imported and has no un-profiled
    samples, and for one whose times do not match its steps.
    """
    return once(_reconciled, run)


def _reconciled(run: Run) -> Reconciliation:
    timings = _checked(run)
    is_whole = timings.latency_ns.size > 0
    homes, division = _homes(run), divided(run)
    timed = _step_rows(run, homes.places, division)
    layer_sum = sum(row.median_ns or 0 for row in timed)
    total = _total(run, timings, layer_sum)
    timed = [replace(row, share=_share(row.median_ns, total)) for row in timed]
    stray = [row for row in timed if row.status is Status.UNATTRIBUTED]
    low, high = intervals.latency_interval(timings) if is_whole else (0, 0)
    empty = empty_call(timings)
    interrupted = _rounded(division.interruptions_ns) if is_whole else None
    return Reconciliation(
        rows=(
            *_layer_rows(run, homes, timed),
            *stray,
            *(
                _closing_rows(total, layer_sum, interrupted, timings)
                if is_whole
                else _foreign_rows(run, total, layer_sum)
            ),
        ),
        total_ns=total,
        layer_sum_ns=layer_sum,
        traced_ns=intervals.median_ns(timings.traced_ns) if timings.traced_ns.size else 0,
        unattributed_ns=sum(row.median_ns or 0 for row in stray),
        interval_ns=(low, high),
        samples=int(timings.latency_ns.size),
        inflation=inflation(timings),
        empty_ns=_rounded(empty),
        is_whole=is_whole,
        interruptions_ns=interrupted,
    )


#: The closing rows of a run without an un-profiled median.
_UNKNOWN = tuple(TimedRow(f"({status})", status) for status in CLOSING)


def _total(run: Run, timings: Timings, layer_sum: int) -> int:
    """The un-profiled median; without one the published sum, else that of the rows."""
    if timings.latency_ns.size:
        return intervals.median_ns(timings.latency_ns)
    if run.request.is_published and timings.traced_ns.size:
        return int(timings.traced_ns[0])
    return layer_sum


def _foreign_rows(run: Run, total: int, layer_sum: int) -> tuple[TimedRow, ...]:
    """The closing rows of a run without an un-profiled median.

    A published sum was added up before its rows were rounded: where they differ, so much is said.
    """
    if not run.request.is_published:
        return _UNKNOWN
    rest = total - layer_sum
    rounding = TimedRow("(rounding)", Status.OVERHEAD, median_ns=rest, share=_share(rest, total))
    share = 1.0 if total else None
    bound = TimedRow("(total)", Status.TOTAL, median_ns=total, share=share)
    return _UNKNOWN[0], rounding if rest else _UNKNOWN[1], bound


def _rounded(ns: float | None) -> int | None:
    return None if ns is None else round(ns)


def _share(ns: int | None, total: int) -> float | None:
    return None if ns is None or not total else ns / total


def _checked(run: Run) -> Timings:
    timings = run.timings
    where = run.request.model_name
    if timings is None:
        raise StoreError(f"this run has no times: {run.failure}", where=where)
    if timings.latency_ns.size == 0 and run.origin is None:
        raise StoreError("this run has no un-profiled samples", where=where)
    if timings.step_ns.ndim != 2 or len(timings.step_ns) != len(run.steps):
        shape = list(timings.step_ns.shape)
        raise StoreError(f"{len(run.steps)} steps have times of shape {shape}", where=where)
    return timings


@dataclass(slots=True)
class _Place:
    """A row that has a time: the row number of the layer, if any, and the steps added up."""

    layer: int | None
    steps: list[int]


@dataclass(frozen=True, slots=True)
class _Homes:
    places: list[_Place]
    owner: dict[int, int]
    """From the row of a layer to the index in `places` of the time that contains the layer."""


def _homes(run: Run) -> _Homes:
    """Give every step one row; rows are used rather than names, since a name may occur twice."""
    row_of: dict[str, int] = {}
    for i, layer in enumerate(run.table):
        if layer.kind is LayerKind.NODE:
            row_of.setdefault(layer.name, i)
    places: list[_Place] = []
    owner: dict[int, int] = {}
    for number, step in enumerate(run.steps):
        claimed = sorted({row_of[name] for name in step.layers if name in row_of})
        free = [row for row in claimed if row not in owner]
        if claimed and not free:
            places[owner[claimed[0]]].steps.append(number)
            continue
        owner |= dict.fromkeys(free, len(places))
        places.append(_Place(free[0] if free else None, [number]))
    return _Homes(places, owner)


def _step_rows(run: Run, places: list[_Place], division: Division) -> list[TimedRow]:
    """The rows of all steps. Quantiles of a thousand rows take as long as those of a few."""
    samples = run.timings.step_ns if run.timings else np.zeros((0, 0), np.int64)
    if not places or not samples.shape[1]:
        return [_step_row(run, place) for place in places]
    scaled, whole = division.scaled(samples), division.whole_ns
    sums = np.array([scaled[place.steps].sum(axis=0) for place in places])
    quantiles = np.quantile(sums, (0.05, 0.5, 0.95), axis=1).T
    doubts = _doubts(sums, float(np.gcd.reduce(samples, axis=None)))
    return [
        _step_row(run, place, _figures(int(whole[place.steps].sum()), q, sums.shape[1], doubt))
        for place, q, doubt in zip(places, quantiles.tolist(), doubts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Figures:
    median_ns: int | None = None
    p5_ns: int | None = None
    p95_ns: int | None = None
    samples: int = 0
    doubt: Doubt | None = None


def _figures(ns: int, quantiles: Sequence[float], samples: int, uncertain: bool) -> _Figures:
    """p5, median and p95 of the samples, scaled so that the median is the row's time."""
    p5, median, p95 = quantiles
    factor = ns / median if median > 0 else 1.0
    low, high = min(ns, round(p5 * factor)), max(ns, round(p95 * factor))
    spread = p95 / p5 if p5 > 0 else float("inf")
    doubt = Doubt(samples, spread if ns else 0.0) if uncertain or not ns else None
    return _Figures(ns, low, high, samples, doubt)


def _doubts(sums: Times, tick: float) -> list[bool]:
    """For each row, whether the 95 % interval of the median is wider than half of the time.

    Below six samples there is no such interval, and the whole range counts; neighbouring ticks
    of a coarse clock count as one time.
    """
    count = sums.shape[1]
    ranks = intervals.interval_ranks(count) or (0, count - 1)
    ordered = np.sort(sums, axis=1)
    low, high = ordered[:, ranks[0]], ordered[:, ranks[1]]
    scattered = high - low > np.maximum(_UNSURE * low, tick * _SAME_TICKS)
    return [bool(one) or count == 1 for one in scattered]


def _step_row(run: Run, place: _Place, figures: _Figures | None = None) -> TimedRow:
    figures = figures or _Figures()
    step = _merged([run.steps[i] for i in place.steps])
    layer = None if place.layer is None else run.table.layers[place.layer]
    if run.origin is not None and run.origin.averaged:
        figures = _Figures(figures.median_ns, samples=run.origin.inferences)
    return TimedRow(
        name=layer.name if layer else step.name,
        status=Status.TIMED if layer else Status.UNATTRIBUTED,
        layer=layer,
        step=step,
        median_ns=figures.median_ns,
        p5_ns=figures.p5_ns,
        p95_ns=figures.p95_ns,
        samples=figures.samples,
        doubt=figures.doubt,
    )


def _merged(steps: list[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]
    return replace(
        steps[0],
        name=" + ".join(step.name for step in steps),
        op_type=" + ".join(dict.fromkeys(step.op_type for step in steps)),
        layers=tuple(dict.fromkeys(name for step in steps for name in step.layers)),
        outputs=tuple(tensor for step in steps for tensor in step.outputs),
    )


def _layer_rows(run: Run, homes: _Homes, timed: list[TimedRow]) -> Iterator[TimedRow]:
    folded = frozenset(run.folded)
    untied = _untied(run)
    for i, layer in enumerate(run.table):
        if i not in homes.owner:
            yield TimedRow(layer.name, _untimed(layer, folded) or untied, layer)
            continue
        row = timed[homes.owner[i]]
        at_home = homes.places[homes.owner[i]].layer == i
        yield row if at_home else TimedRow(layer.name, Status.FUSED, layer, row.step)


def _untied(run: Run) -> Status:
    """What is said of a layer that no step is tied to."""
    if run.request.is_published:
        return Status.UNTIMED
    return Status.UNKNOWN if any(step.is_refuted for step in run.steps) else Status.NOT_EXECUTED


def _untimed(layer: Layer, folded: frozenset[str]) -> Status | None:
    """Why no step is tied to a layer; None where none should be missing."""
    if layer.kind is LayerKind.INPUT:
        return Status.INPUT
    if layer.kind is not LayerKind.NODE:
        return Status.CONSTANT
    if layer.op_type == "Constant" and not layer.domain:
        return Status.CONSTANT
    return Status.FOLDED if layer.name in folded else None


def _closing_rows(
    total: int, layer_sum: int, interruptions: int | None, timings: Timings
) -> tuple[TimedRow, ...]:
    latency = timings.latency_ns
    overhead = total - layer_sum - (interruptions or 0)
    return (
        TimedRow(
            "(interruptions)",
            Status.INTERRUPTIONS,
            median_ns=interruptions,
            share=_share(interruptions, total),
        ),
        TimedRow("(overhead)", Status.OVERHEAD, median_ns=overhead, share=_share(overhead, total)),
        TimedRow(
            "(total)",
            Status.TOTAL,
            median_ns=total,
            p5_ns=intervals.quantile_ns(latency, 0.05),
            p95_ns=intervals.quantile_ns(latency, 0.95),
            samples=int(np.size(latency)),
            share=1.0,
        ),
    )


def milliseconds(ns: int) -> str:
    """Print whole nanoseconds as milliseconds with six decimals, exactly."""
    return f"{Decimal(ns) / 1_000_000:.6f}"
