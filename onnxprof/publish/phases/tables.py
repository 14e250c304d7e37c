"""Phases side by side in a terminal: latencies, layers, growth with the length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.growth.phases import Column, Phases, phases
from onnxprof.compare.growth.rows import Growth
from onnxprof.compare.systems import labels
from onnxprof.publish.comparing.alignment import layer_names
from onnxprof.publish.phases import cells
from onnxprof.publish.text import grades, numbers, sentences
from onnxprof.publish.text.safe import printable
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import PhaseKind

_BOX = box.SIMPLE_HEAD
#: Columns that names of layers, and their operators, get in 80.
_ROOM, _OPERATORS = 20, 12
#: Blocks of layers, and blocks that grow most, that are shown.
LAYERS, GROWING = 10, 6
LEGEND = (
    "time, cost: how they grow with n; ✓ the time as the operations do, or the bytes where there"
    " are no operations; ≠ it does not; ~ these samples are too noisy to tell."
)


def side_by_side(runs: Sequence[Run]) -> Iterator[RenderableType]:
    """The phases of each model that has several, or one at several sizes."""
    for each in phases(runs):
        if len(each.columns) > 1:
            yield from table(each)


def table(each: Phases, limit: int | None = LAYERS) -> Iterator[RenderableType]:
    """All tables of one model's phases."""
    yield Text(title(each), style="bold")
    yield _latencies(each.columns)
    yield from map(Text, cells.sentences(each))
    if each.rows:
        yield Text()
        yield _layers(each, limit)
    for growth in each.growths:
        if growth.rows:
            yield from grown(growth)
    yield Text()


def title(each: Phases) -> str:
    """The model, and what all of its phases have in common."""
    run = each.columns[0].run
    asked = run.request
    sizes = [f"{name}={size}" for name, size in asked.dims]
    where = (run.device.name or asked.device_id, sentences.threads(asked.threads))
    facts = (*where, f"batch {asked.batch}", *sizes)
    return printable(f"{each.model} on {labels([run])[0]}, {', '.join(facts)}: phases")


def heads(columns: Sequence[Column]) -> tuple[str, ...]:
    """Heads of the table of latencies."""
    is_steps = columns[0].phase.kind is PhaseKind.STEPS
    return "phase", "latency", "spread", "steps/s" if is_steps else "tokens/s", "layers", "overhead"


def _latencies(columns: Sequence[Column]) -> Table:
    grid = Table(box=_BOX, padding=(0, 1, 0, 0), pad_edge=False)
    for place, head in enumerate(heads(columns)):
        grid.add_column(head, justify="right" if place else "left", no_wrap=True)
    for column in columns:
        grid.add_row(*figures(column))
    return grid


def figures(column: Column) -> tuple[str, ...]:
    """The cells under `heads`."""
    sums = reconcile(column.run)
    whole, timings = max(1, sums.total_ns), column.run.timings
    samples = 0 if timings is None else int(timings.latency_ns.size)
    parity = column.run.parity
    wrong = "✗ " if parity is not None and parity.passed is False else ""
    has_steps = timings is not None and timings.step_ns.size > 0
    shares = (sums.layer_sum_ns / whole, sums.overhead_ns / whole) if has_steps else ()
    rate = column.tokens_per_s
    return (
        f"{wrong}{column.phase}",
        numbers.duration(column.latency_ns),
        grades.spread_cell(column.latency_ns, column.interval_ns, samples),
        "" if rate is None else numbers.rate(rate),
        *(numbers.percent(share) for share in shares),
    )


def _layers(each: Phases, limit: int | None) -> Table:
    places = cells.shown(each)
    grid = Table(box=_BOX, padding=(0, 1, 0, 0), pad_edge=False)
    phases = (each.columns[i].phase for i in places)
    heads = ("layers", "operators", *(f"{p.kind.value}\n{p.size:,}" for p in phases))
    _columns(grid, heads)
    ended = False
    for row in cells.layer_cells(each, places, limit, _ROOM, _OPERATORS):
        if row.is_closing and not ended:
            grid.add_section()
            ended = True
        grid.add_row(*map(Text, (row.name, row.operators, *row.cells)))
    return grid


def _columns(grid: Table, heads: Sequence[str]) -> None:
    for place, head in enumerate(heads):
        side: Any = "left" if place < 2 else "right"
        grid.add_column(head, justify=side, no_wrap=True)


def grown(growth: Growth) -> Iterator[RenderableType]:
    """The table of growth over one axis: what grows most, then sums by order of cost."""
    places = cells.ends(len(growth.sizes))
    yield Text()
    yield Text(cells.growth_title(growth))
    grid = Table(box=_BOX, padding=(0, 1, 0, 0), pad_edge=False)
    _columns(grid, cells.growth_heads(growth, places))
    rows = cells.growing(growth, GROWING)
    names = layer_names([row.layers for row in rows], _ROOM)
    for name, row in zip(names, rows, strict=True):
        grid.add_row(*map(Text, cells.growth_cells(growth, row, name, places, _OPERATORS)))
    grid.add_section()
    for row in growth.sums:
        name = cells.sum_name(row)
        grid.add_row(*map(Text, cells.growth_cells(growth, row, name, places, _OPERATORS)))
    yield grid
    yield Text(LEGEND, style="dim")
