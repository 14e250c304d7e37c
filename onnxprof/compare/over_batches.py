"""Systems against one another over a batch or another axis: latency, throughput, speed-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from onnxprof.compare.align import align
from onnxprof.compare.axes.families import BATCH, size_in
from onnxprof.compare.systems import labels, system
from onnxprof.compare.table import Alignment, Cell, Column, Row
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.errors import UsageError
from onnxprof.records.run import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Point:
    """One system at one batch size."""

    column: Column
    cell: Cell
    """The un-profiled median, with its ratio to the baseline's."""

    @property
    def latency_ns(self) -> int:
        """The un-profiled median; `refuse_unlike` lets no run without one come here."""
        assert self.column.total_ns is not None
        return self.column.total_ns

    @property
    def interval_ns(self) -> tuple[int, int]:
        """Its 95 % interval; below six samples their range."""
        assert self.column.interval_ns is not None
        return self.column.interval_ns

    @property
    def inferences_per_s(self) -> float:
        """Calls a second, one after the other."""
        return 1e9 / self.latency_ns

    @property
    def samples_per_s(self) -> float:
        """Calls a second times the batch."""
        return self.column.run.request.batch * self.inferences_per_s


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One block of layers over the batch sizes."""

    layers: tuple[str, ...]
    operators: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    """A tuple a batch, in it a cell a system; None where it was not measured at that batch."""

    @property
    def longest(self) -> float:
        """The largest share of any run's latency that it takes."""
        cells = [cell for batch in self.cells for cell in batch if cell is not None]
        return max((cell.share or 0.0 for cell in cells), default=0.0)


@dataclass(frozen=True, slots=True)
class Batches:
    """Systems side by side at several sizes of an axis; the first one is the baseline."""

    model: str
    systems: tuple[str, ...]
    batches: tuple[int, ...]
    """The sizes: of the batch, or of the axis that is named."""
    alignments: tuple[Alignment, ...]
    """One a size; the blocks are the same at each."""
    points: tuple[tuple[Point | None, ...], ...]
    """A tuple a size, in it a point a system."""
    rows: tuple[BlockRow, ...]
    """Blocks in graph order."""
    alone: tuple[int, ...]
    """Sizes that were left out, since the baseline or all others lack them."""
    axis: str = BATCH

    @property
    def held(self) -> str:
        """`batch 1` where another axis is set out; else nothing."""
        asked = self.alignments[0].columns[0].run.request
        return "" if self.axis == BATCH else f"batch {asked.batch}"


def speedup(cell: Cell) -> float | None:
    """How much faster than the baseline, as a fraction: 1.0 is twice the throughput."""
    return None if not cell.ratio else 1 / cell.ratio - 1


def speedup_interval(cell: Cell) -> tuple[float, float] | None:
    """95 % interval of the speed-up."""
    if cell.interval is None or min(cell.interval) <= 0:
        return None
    low, high = cell.interval
    return 1 / high - 1, 1 / low - 1


def system_labels(runs: Sequence[Run]) -> tuple[str, ...]:
    """What the systems of these runs are called, in order of appearance."""
    first: dict[tuple[str, ...], Run] = {}
    for run in runs:
        first.setdefault(system(run), run)
    return labels(list(first.values()))


def over_batches(
    runs: Sequence[Run], *, baseline: int = 0, threshold: float = THRESHOLD, axis: str = BATCH
) -> Batches:
    """Line up runs of several systems and sizes of an axis, one run for each system and size.

    `baseline` is the number of a system, in the order of the runs. Raises UsageError where
    no size has two systems with the baseline among them, or a system has two runs at one.
    """
    keys = list(dict.fromkeys(system(run) for run in runs))
    if not 0 <= baseline < len(keys):
        raise ValueError(f"no system {baseline}")
    keys = [keys[baseline], *keys[:baseline], *keys[baseline + 1 :]]
    grid = _grid(runs, keys, axis)
    good = [batch for batch, row in grid.items() if row[0] is not None and any(row[1:])]
    if not good:
        what = "batch size" if axis == BATCH else f"size of {axis}"
        option = "--batch N,N" if axis == BATCH else f"--dim {axis}=N,N"
        raise UsageError(
            f"no {what} was measured on the baseline and on another system",
            where=runs[0].request.model_name,
            remedy=f"Measure the same {option} on both, or choose another --baseline",
        )
    chosen = {batch: [run for run in grid[batch] if run is not None] for batch in good}
    every = [run for row in chosen.values() for run in row]
    found = tuple(align(chosen[b], threshold=threshold, among=every) for b in good)
    return Batches(
        runs[0].request.model_name,
        labels([_first(grid, number) for number in range(len(keys))]),
        tuple(good),
        found,
        tuple(_spread(_points(a), grid[b]) for a, b in zip(found, good, strict=True)),
        _rows(found, [grid[batch] for batch in good]),
        tuple(batch for batch in grid if batch not in good),
        axis,
    )


def _grid(
    runs: Sequence[Run], keys: Sequence[tuple[str, ...]], axis: str
) -> dict[int, list[Run | None]]:
    """From each size, smallest first, to a run or None a system."""
    sizes = [_size(run, axis) for run in runs]
    grid: dict[int, list[Run | None]] = {size: [None] * len(keys) for size in sorted(set(sizes))}
    for run, size in zip(runs, sizes, strict=True):
        row, place = grid[size], keys.index(system(run))
        if row[place] is not None:
            raise UsageError(
                f"two runs of {run.request.backend} at {axis} {size}",
                where=run.request.model_name,
                remedy="Name a folder: of each system its newest run is taken",
            )
        row[place] = run
    return grid


def _size(run: Run, axis: str) -> int:
    size = size_in(run.request, axis)
    if size is None:
        known = ", ".join((BATCH, *sorted(name for name, _ in run.request.dims)))
        raise UsageError(
            f"a run has no axis {axis!r}",
            where=f"{run.request.model_name} on {run.request.backend}",
            remedy=f"--over takes one of: {known}",
        )
    return size


def _first(grid: dict[int, list[Run | None]], number: int) -> Run:
    return next(run for row in grid.values() if (run := row[number]) is not None)


def _points(alignment: Alignment) -> list[Point]:
    pairs = zip(alignment.columns, alignment.total.cells, strict=True)
    return [Point(column, cell) for column, cell in pairs]


def _spread(values: Sequence[T], row: Sequence[Run | None]) -> tuple[T | None, ...]:
    """One value a column, put where the column's system stands."""
    rest = iter(values)
    return tuple(None if run is None else next(rest) for run in row)


def _rows(
    alignments: Sequence[Alignment], grid: Sequence[Sequence[Run | None]]
) -> tuple[BlockRow, ...]:
    told = [{row.layers: row for row in alignment.rows} for alignment in alignments]
    order: dict[tuple[str, ...], Row] = {}
    for rows in told:
        for layers, row in rows.items():
            order.setdefault(layers, row)
    return tuple(
        BlockRow(
            layers,
            row.operators,
            tuple(
                _spread(rows[layers].cells if layers in rows else [Cell()] * len(a.columns), g)
                for a, rows, g in zip(alignments, told, grid, strict=True)
            ),
        )
        for layers, row in order.items()
    )
