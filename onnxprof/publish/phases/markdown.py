"""Phases side by side for a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxprof.compare.growth.phases import Phases
from onnxprof.compare.growth.rows import Growth
from onnxprof.publish.comparing.alignment import layer_names
from onnxprof.publish.phases import cells, tables
from onnxprof.publish.text.safe import in_markdown

_ROOM, _OPERATORS = 80, 40


def markdown(each: Phases, limit: int | None) -> str:
    """All tables of one model's phases."""
    lines = [f"**{in_markdown(tables.title(each))}**", "", *_ruled(tables.heads(each.columns))]
    lines += [_line(tables.figures(column)) for column in each.columns]
    lines += ["", *(f"- {in_markdown(text)}" for text in cells.sentences(each))]
    if each.rows:
        places = tuple(range(len(each.columns)))
        heads = ("layers", "operators", *(str(column.phase) for column in each.columns))
        lines += ["", *_ruled(heads)]
        for row in cells.layer_cells(each, places, limit, _ROOM, _OPERATORS):
            lines.append(_line((row.name, row.operators, *row.cells)))
    for growth in each.growths:
        lines += grown(growth) if growth.rows else ()
    return "\n".join(lines) + "\n"


def grown(growth: Growth) -> Iterator[str]:
    """The table of growth over one axis."""
    places = tuple(range(len(growth.sizes)))
    yield from ("", in_markdown(cells.growth_title(growth)), "")
    yield from _ruled(cells.growth_heads(growth, places))
    rows = cells.growing(growth, tables.GROWING)
    names = layer_names([row.layers for row in rows], _ROOM)
    pairs = [*zip(names, rows, strict=True), *((cells.sum_name(r), r) for r in growth.sums)]
    for name, row in pairs:
        yield _line(cells.growth_cells(growth, row, name, places, _OPERATORS))
    yield from ("", f"<sub>{in_markdown(tables.LEGEND)}</sub>")


def _ruled(heads: Sequence[str]) -> list[str]:
    return [_line(heads), f"|{' --- |' * len(heads)}"]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(map(in_markdown, texts))} |"
