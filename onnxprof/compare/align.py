"""Runs of several systems side by side: a block of layers a row, a run a column.

Each column adds up: its blocks, the time that belongs to no layer, interruptions and overhead
make that run's un-profiled median, in whole nanoseconds. docs/align.md tells how to read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.analysis.processes import cut_alike
from onnxprof.analysis.reconcile import Reconciliation, Status, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.compare.blocks import Block, finest_blocks
from onnxprof.compare.limits import remarks, side
from onnxprof.compare.quantised.counterpart import Counterpart, counterparts
from onnxprof.compare.ratios import Floats, Group, ratios
from onnxprof.compare.replicates import latency_group, row_group
from onnxprof.compare.systems import is_bare, labels, runtime_version
from onnxprof.compare.table import Alignment, Cell, Column, Fate, Row, RowKind, Unplaced
from onnxprof.compare.verdict import (
    THRESHOLD,
    Verdict,
    decides_latency,
    decides_layers,
    has_latency_interval,
    has_layer_intervals,
    verdict,
)
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence
from onnxprof.records.timings import Samples

#: Nanoseconds a row, None where there is no time.
Times = Sequence[int | None]


def align(
    runs: Sequence[Run],
    *,
    baseline: int = 0,
    threshold: float = THRESHOLD,
    among: Sequence[Run] = (),
) -> Alignment:
    """Put runs of one model at one batch side by side; `systems.refuse_unlike` checks that.

    Layers that any step of these runs, or of those in `among`, executes together are in one
    block. Raises StoreError for a run without times and ValueError for a baseline that is
    no column.
    """
    if not 0 <= baseline < len(runs):
        raise ValueError(f"no column {baseline}")
    named = counterparts([*runs, *among])
    every = [its.run for its in named]
    named, runs = named[: len(runs)], every[: len(runs)]
    whole = _whole(every)
    blocks = _blocks(every, whole, len(runs))
    sums = [reconcile(run) for run in runs]
    columns = _columns(named, whole, sums)
    timed = [
        _Timed.of(its, alike, [block.steps[i] for block in blocks], columns[i].whole, sums[i])
        for i, (its, alike) in enumerate(zip(named, cut_alike(runs), strict=True))
    ]
    judged = _judge(timed, columns, baseline, threshold)
    fates = [_fates(column, each) for column, each in zip(columns, sums, strict=True)]
    rows = tuple(_rows(runs, blocks, timed, judged, fates))
    return Alignment(
        columns,
        rows,
        _sums(RowKind.LAYERS, [t.layers_ns for t in timed], timed, [j.layers for j in judged]),
        _sums(RowKind.NO_LAYER, [t.stray_ns for t in timed], timed),
        _sums(RowKind.INTERRUPTIONS, [t.interruptions_ns for t in timed], timed),
        _sums(RowKind.OVERHEAD, [t.overhead_ns for t in timed], timed),
        _sums(RowKind.TOTAL, [t.total_ns for t in timed], timed, [j.total for j in judged]),
        _unplaced(runs, blocks, fates),
        baseline,
        threshold,
        remarks(columns, rows, baseline),
        _sums(RowKind.CONVERSIONS, [t.conversions_ns for t in timed], timed)
        if any(its.match for its in named)
        else None,
    )


def _whole(runs: Sequence[Run]) -> list[bool]:
    """Runs of one step for several layers, where others have more steps: they tell no layers."""
    if all(len(run.steps) < 2 for run in runs):
        return [False] * len(runs)
    return [len(run.steps) == 1 and len(run.steps[0].layers) > 1 for run in runs]


def _blocks(runs: Sequence[Run], whole: Sequence[bool], own: int) -> list[Block]:
    """Those that the first `own` runs have steps in."""
    told = [replace(r, steps=()) if w else r for r, w in zip(runs, whole, strict=True)]
    found = [Block(block.layers, block.steps[:own]) for block in finest_blocks(told)]
    return [block for block in found if any(block.steps)]


def _columns(
    named: Sequence[Counterpart], whole: Sequence[bool], sums: Sequence[Reconciliation]
) -> tuple[Column, ...]:
    names = labels([its.run for its in named])
    return tuple(map(_column, named, names, whole, sums))


def _column(its: Counterpart, label: str, whole: bool, sums: Reconciliation) -> Column:
    run, quantised = its.run, its.match is not None
    version = runtime_version(run)
    if is_bare(run):
        return Column(run, label, version, None, None, 1, whole, quantised)
    processes = latency_group(run).times_ns.shape[1]
    interval = sums.interval_ns
    return Column(run, label, version, sums.total_ns, interval, processes, whole, quantised)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A run's times by block, and what their spread tells."""

    total_ns: int | None
    """None where the run has no un-profiled latencies."""
    block_ns: tuple[int | None, ...]
    layers_ns: int | None
    """None, as all below, where steps have no times."""
    stray_ns: int | None
    conversions_ns: int | None
    """None, too, where it is no quantised network beside its original."""
    interruptions_ns: int | None
    """None, too, where the timer cannot tell."""
    latency: Group | None
    spread: Group | None
    """Blocks, and below them all layers; None without step times."""

    @property
    def row_ns(self) -> list[int | None]:
        """The blocks, and below them all layers."""
        return [*self.block_ns, self.layers_ns]

    @property
    def overhead_ns(self) -> int | None:
        """The median less all else."""
        if self.total_ns is None or self.layers_ns is None or self.stray_ns is None:
            return None
        apart = self.stray_ns + (self.conversions_ns or 0)
        return self.total_ns - self.layers_ns - apart - (self.interruptions_ns or 0)

    @property
    def whole_ns(self) -> int:
        """What shares are of: the median, or the steps' sum where that is not known."""
        if self.total_ns is not None:
            return self.total_ns
        return (self.layers_ns or 0) + (self.stray_ns or 0) + (self.conversions_ns or 0)

    @classmethod
    def of(
        cls,
        its: Counterpart,
        alike: Run,
        own: Sequence[tuple[int, ...]],
        whole: bool,
        sums: Reconciliation,
    ) -> _Timed:
        """Of a run with these steps in the blocks; `alike` is the run cut as the others are.

        Times are those of the run's own table, their spread that of `alike`.
        """
        run, stray = its.run, its.strays
        assert run.timings is not None  # `_columns` has refused it
        apart = {*stray, *its.conversions}
        inside = tuple(i for i in range(len(run.steps)) if i not in apart)
        times = divided(run).whole_ns if run.timings.step_ns.size else None
        bare = is_bare(run)
        return cls(
            None if bare else intervals.median_ns(run.timings.latency_ns),
            tuple(_sum(times, steps) for steps in own),
            None if times is None else _sum(times, inside) or 0,
            None if times is None else _sum(times, stray) or 0,
            None if times is None or its.match is None else _sum(times, its.conversions) or 0,
            None if bare else sums.interruptions_ns,
            None if bare else latency_group(run),
            _spread(alike, [*([()] * len(own) if whole else own), inside]),
        )


def _sum(times: Samples | None, steps: tuple[int, ...]) -> int | None:
    return int(times[list(steps)].sum()) if steps and times is not None else None


def _spread(run: Run, rows: Sequence[tuple[int, ...]]) -> Group | None:
    if run.timings is None or not run.timings.step_ns.size:
        return None
    if is_bare(run) or (run.origin is not None and run.origin.averaged):
        return None
    return row_group(run, rows)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Cells of one column that have a ratio and a verdict, and nothing else yet."""

    blocks: tuple[Cell, ...]
    layers: Cell
    total: Cell


def _judge(
    timed: Sequence[_Timed], columns: Sequence[Column], baseline: int, threshold: float
) -> list[_Judged]:
    first = timed[baseline]
    found = []
    for number, its in enumerate(timed):
        blank = Cell() if number == baseline else None
        sides = side(columns[baseline]), side(columns[number])
        models, layers = decides_latency(*sides), decides_layers(*sides)
        known = (first.latency, its.latency) if has_latency_interval(*sides) else (None, None)
        [total] = _ratios([first.total_ns], [its.total_ns], known, threshold, models)
        known = (first.spread, its.spread) if has_layer_intervals(*sides) else (None, None)
        *blocks, whole = _ratios(first.row_ns, its.row_ns, known, threshold, layers)
        found.append(
            _Judged(tuple(blank or cell for cell in blocks), blank or whole, blank or total)
        )
    return found


def _ratios(
    a: Times, b: Times, known: tuple[Group | None, Group | None], threshold: float, decided: bool
) -> list[Cell]:
    """Cells with the ratios of the times that are shown, and what is known of them."""
    bounds = zip(*(bound.tolist() for bound in _intervals(a, b, *known)), strict=True)
    rows = zip(a, b, bounds, strict=True)
    return [_ratio(ours, theirs, bound, threshold, decided) for ours, theirs, bound in rows]


def _intervals(a: Times, b: Times, of_a: Group | None, of_b: Group | None) -> tuple[Floats, Floats]:
    """95 % intervals of these times' ratios; NaN where nothing tells."""
    if of_a is None or of_b is None:
        return np.full(len(a), np.nan), np.full(len(a), np.nan)
    times = [np.array([ns or 0 for ns in side], np.float64) for side in (a, b)]
    with np.errstate(over="ignore", invalid="ignore"):
        return ratios(of_a, of_b).of_times(*times).interval()


def _ratio(
    a: int | None, b: int | None, interval: tuple[float, float], threshold: float, decided: bool
) -> Cell:
    """The ratio of the times that are shown, so that whoever divides them finds the same."""
    if not a or not b:
        return Cell()
    ratio = b / a
    if not np.isfinite(interval).all():
        return Cell(ratio=ratio, verdict=Verdict.UNDECIDED)
    told = verdict(ratio, interval, threshold) if decided else Verdict.UNDECIDED
    return Cell(ratio=ratio, interval=interval, verdict=told)


_FATES = {
    Status.FOLDED: Fate.FOLDED,
    Status.CONSTANT: Fate.CONSTANT,
    Status.INPUT: Fate.INPUT,
    Status.NOT_EXECUTED: Fate.NOT_EXECUTED,
    Status.UNKNOWN: Fate.UNTOLD,
    Status.UNTIMED: Fate.UNTIMED,
}


def _fates(column: Column, sums: Reconciliation) -> dict[str, Fate]:
    """What became of each layer that has no step with a time."""
    run = column.run
    names = [name for step in run.steps for name in step.layers] if column.whole else []
    found = dict.fromkeys(names, Fate.UNTOLD)
    for row in sums.rows:
        if row.status in _FATES:
            found[row.name] = _FATES[row.status]
    if not run.steps:  # nothing was traced, so nothing is known of what was executed
        found = {n: Fate.UNTOLD if f is Fate.NOT_EXECUTED else f for n, f in found.items()}
    return found


def _rows(
    runs: Sequence[Run],
    blocks: Sequence[Block],
    timed: Sequence[_Timed],
    judged: Sequence[_Judged],
    fates: Sequence[Mapping[str, Fate]],
) -> Iterator[Row]:
    kinds = {layer.name: layer.op_type for run in reversed(runs) for layer in run.table.nodes}
    for place, block in enumerate(blocks):
        cells = tuple(
            replace(
                judged[i].blocks[place],
                ns=timed[i].block_ns[place],
                share=_share(timed[i].block_ns[place], timed[i].whole_ns),
                **_placed(run, block.layers, block.steps[i], fates[i]),
            )
            for i, run in enumerate(runs)
        )
        operators = tuple(kinds.get(name, "") for name in block.layers)
        yield Row(RowKind.BLOCK, cells, block.layers, operators)


def _placed(
    run: Run, layers: Sequence[str], numbers: tuple[int, ...], fates: Mapping[str, Fate]
) -> dict[str, Any]:
    """What a cell says of a block's steps and of its layers without one."""
    steps = [run.steps[number] for number in numbers]
    covered = {name for step in steps for name in step.layers}
    return {
        "steps": numbers,
        "confidence": _weakest([step.confidence for step in steps]),
        "missing": tuple((n, fates.get(n, Fate.ABSENT)) for n in layers if n not in covered),
    }


def _weakest(told: Sequence[Confidence]) -> Confidence:
    for confidence in (Confidence.INFERRED, Confidence.EXACT):
        if confidence in told:
            return confidence
    return Confidence.NONE


def _share(ns: int | None, total: int) -> float | None:
    return ns / total if ns is not None and total else None


def _sums(
    kind: RowKind, ns: Sequence[int | None], timed: Sequence[_Timed], cells: Sequence[Cell] = ()
) -> Row:
    return Row(
        kind,
        tuple(
            replace(cell, ns=its, share=_share(its, column.whole_ns))
            for its, column, cell in zip(ns, timed, cells or [Cell()] * len(ns), strict=True)
        ),
    )


def _unplaced(
    runs: Sequence[Run], blocks: Sequence[Block], fates: Sequence[Mapping[str, Fate]]
) -> tuple[Unplaced, ...]:
    placed = {name for block in blocks for name in block.layers}
    kinds = {layer.name: layer.op_type for run in reversed(runs) for layer in run.table.nodes}
    names = dict.fromkeys(layer.name for run in runs for layer in run.table.nodes)
    return tuple(
        Unplaced(name, kinds[name], tuple(its.get(name, Fate.ABSENT) for its in fates))
        for name in names
        if name not in placed
    )
