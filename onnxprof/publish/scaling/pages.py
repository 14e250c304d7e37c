"""Sizes of an axis on a model's page: the tables of `onnxprof scaling` for its template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.compare.axes.families import BATCH, leading
from onnxprof.compare.growth.rows import over_axis
from onnxprof.compare.scaling import Scaling, families, scaling
from onnxprof.compare.systems import newest
from onnxprof.publish.phases.pages import ROOM, Grid, Section, capitals, grown
from onnxprof.publish.phases.tables import LEGEND
from onnxprof.publish.scaling import tables as printed
from onnxprof.publish.text.safe import in_page
from onnxprof.records.run import Run

#: Systems whose tables a page has, and blocks of layers of each over the batch.
_MOST, _BLOCKS = 12, 8


def sections(runs: Sequence[Run]) -> tuple[Section, ...]:
    """One for each system and axis with several sizes, those with most sizes first.

    Of more than a dozen the first ones; the command has all.
    """
    known = newest([run for run in runs if run.has_latency])
    found: list[Scaling] = []
    for axis in leading([run.request for run in known]):
        found += (scaling(group, axis) for group in families(known, axis))
    found.sort(key=lambda each: -len(each.points))
    return tuple(_section(each, f"sizes-{number}") for number, each in enumerate(found[:_MOST]))


def _section(each: Scaling, key: str) -> Section:
    said = tuple(map(in_page, printed.sentences_of(each)))
    grids = tuple(_grids(each, key))
    growth = over_axis(each)
    legend = LEGEND if growth else printed.legend(each) if each.rows else ""
    return Section(in_page(printed.title(each)), said, grids, legend)


def _grids(each: Scaling, key: str) -> Iterator[Grid]:
    rows = tuple(printed.size_cells(each))
    named = () if each.axis == BATCH else (each.axis, f"{each.axis}/s")
    heads = capitals(printed.size_heads(each), named)
    yield Grid(key, in_page(f"Latency at each size of {each.axis}"), heads, rows, 1)
    if growth := over_axis(each):
        yield grown(growth, f"{key}-growth")
    elif each.rows:
        lines = list(printed.layer_cells(each, _BLOCKS, ROOM))
        body = tuple(_plain(cells) for cells, closing in lines if not closing)
        sums = tuple(_plain(cells) for cells, closing in lines if closing)
        heads = capitals(printed.layer_heads(each))
        yield Grid(f"{key}-layers", "What is fixed, and what an item costs", heads, body, 2, sums)


def _plain(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(in_page, cells))
