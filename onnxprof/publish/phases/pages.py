"""Phases side by side on a model's page: tables as records for its template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxprof.compare.growth.phases import Phases, phases
from onnxprof.compare.growth.rows import Growth, GrowthRow
from onnxprof.publish.comparing.alignment import layer_names
from onnxprof.publish.phases import cells, tables
from onnxprof.publish.text.safe import in_page
from onnxprof.records.run import Run

#: Blocks of layers on a page.
_LAYERS = 12
#: Letters of their names and operators.
ROOM, _OPERATORS = 48, 40
#: What no head begins with a capital of.
_UNITS = ("µs", "ms")
#: Phases that stand side by side.
_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its caption, heads, rows, and sums below them."""

    id: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int
    """Columns at the left that hold texts, not figures."""
    sums: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One system's phases."""

    title: str
    sentences: tuple[str, ...]
    grids: tuple[Grid, ...]
    legend: str


def sections(runs: Sequence[Run]) -> tuple[Section, ...]:
    """Those of systems with several phases; none for a model without phases."""
    found = [each for each in phases(runs) if len(each.columns) > 1]
    return tuple(_section(each, number) for number, each in enumerate(found))


def capitals(heads: Sequence[str], names: Sequence[str] = ()) -> tuple[str, ...]:
    """Heads as pages have them: with a capital, but for units, and these names."""
    return tuple(
        in_page(head if head in names or head.startswith(_UNITS) else head[:1].upper() + head[1:])
        for head in heads
    )


def _section(each: Phases, number: int) -> Section:
    grids = [*_grids(each, f"phases-{number}")]
    legend = tables.LEGEND if any(growth.rows for growth in each.growths) else ""
    said = tuple(map(in_page, cells.sentences(each)))
    return Section(in_page(tables.title(each)), said, tuple(grids), legend)


def _grids(each: Phases, key: str) -> Iterator[Grid]:
    rows = tuple(tables.figures(column) for column in each.columns)
    heads = tables.heads(each.columns)
    blank = tuple((*row, *[""] * (len(heads) - len(row))) for row in rows)
    yield Grid(key, "Latency of each phase", capitals(heads), blank, 1)
    if each.rows:
        yield _layers(each, f"{key}-layers")
    for growth in each.growths:
        if growth.rows:
            yield grown(growth, f"{key}-{growth.over}")


def _layers(each: Phases, key: str) -> Grid:
    places = cells.shown(each, _COLUMNS)
    made = cells.layer_cells(each, places, _LAYERS, ROOM, _OPERATORS)
    unit = made[-1].operators
    named = [str(each.columns[i].phase) for i in places]
    heads = capitals(("layers", "operators", *named), named)
    rows = [
        (in_page(row.name), "" if row.is_closing else in_page(row.operators), *row.cells)
        for row in made
    ]
    count = sum(row.is_closing for row in made)
    caption = f"Layers by phase in {unit}; rows add up to the latency"
    return Grid(key, caption, heads, tuple(rows[:-count]), 2, tuple(rows[-count:]))


def grown(growth: Growth, key: str) -> Grid:
    """The table of growth over one axis."""
    places = tuple(range(len(growth.sizes)))[:_COLUMNS]
    rows = cells.growing(growth, _LAYERS)
    names = layer_names([row.layers for row in rows], ROOM)

    def line(name: str, row: GrowthRow) -> tuple[str, ...]:
        return tuple(map(in_page, cells.growth_cells(growth, row, name, places, _OPERATORS)))

    lines = tuple(line(name, row) for name, row in zip(names, rows, strict=True))
    sums = tuple(line(cells.sum_name(row), row) for row in growth.sums)
    heads = capitals(cells.growth_heads(growth, places))
    return Grid(key, cells.growth_title(growth), heads, lines, 2, sums)
