"""An alignment as Markdown, CSV or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxprof.analysis.grades import grade
from onnxprof.analysis.reconcile import milliseconds
from onnxprof.compare.table import Alignment, Cell, Column, Row, RowKind
from onnxprof.publish.comparing import alignment as shared
from onnxprof.publish.comparing.alignment import Choice, Scale
from onnxprof.publish.text import numbers, verdicts
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.safe import in_markdown, printable
from onnxprof.store.encoding import request_to_json, to_json

#: Columns of the CSV before those of the runs.
COLUMNS = ("row", "layers", "operators")
#: Columns of the CSV for each run, behind its label and a blank.
FIGURES = ("ms", "share", "ratio", "low", "high", "verdict", "confidence", "missing")
_LONGEST = 80
_NAMES = {RowKind.TOTAL: "median", RowKind.CONVERSIONS: "Q/DQ"}


def markdown(alignment: Alignment, choice: Choice) -> str:
    """A Markdown table of times and ratios with intervals, sums and caveats."""
    picked = shared.pick(alignment, choice)
    lines = [f"**{in_markdown(shared.title(alignment))}**", ""]
    for column in alignment.columns:
        facts = shared.column_text(column, alignment)
        lines.append(f"- **{in_markdown(printable(column.label))}**: {in_markdown(facts)}")
    scale = Scale.of(alignment)
    lines += ["", *_heading(alignment, scale)]
    lines += [_markdown_row(row, alignment, scale) for row in picked.shown]
    if picked.rest:
        rest, name = shared.summed(picked.rest), f"({len(picked.rest)} more)"
        lines.append(_markdown_row(rest, alignment, scale, name))
    lines += [_markdown_row(row, alignment, scale, _name(row)) for row in alignment.sums]
    lines += [""]
    notes = [*shared.remark_texts(alignment), *shared.untimed_texts(alignment)]
    lines += [f"> {in_markdown(text)}  " for text in notes]
    return "\n".join([*lines, "", f"<sub>{in_markdown(shared.rule_text(alignment))}</sub>"]) + "\n"


def _heading(alignment: Alignment, scale: Scale) -> Iterator[str]:
    base = alignment.baseline
    labels = [
        f"{in_markdown(printable(column.label))} {scale.unit}" for column in alignment.columns
    ]
    heads = [f"{head} | ratio" if i != base else f"{head} | share" for i, head in enumerate(labels)]
    yield f"| layers | operators | {' | '.join(heads)} |"
    yield f"| --- | --- | {' | '.join(['---: | ---:'] * len(heads))} |"


def _markdown_row(row: Row, alignment: Alignment, scale: Scale, name: str = "") -> str:
    name = name or shared.layers_text(row.layers, _LONGEST)
    cells = [
        _markdown_cell(cell, scale, i == alignment.baseline, alignment.columns[i].wrong, row)
        for i, cell in enumerate(row.cells)
    ]
    operators = shared.operators_text(row.operators, _LONGEST)
    return f"| {in_markdown(name)} | {in_markdown(operators)} | {' | '.join(cells)} |"


def _markdown_cell(cell: Cell, scale: Scale, base: bool, wrong: bool, row: Row) -> str:
    """The time, struck out where the outputs are wrong, and the ratio or the share."""
    figure = "" if cell.ns is None else str(scale.rounded(cell.ns))
    struck = f"~~{figure}~~" if wrong and figure else figure
    mark = f" {verdicts.INFERRED}".replace("~", "\\~") if shared.is_inferred(cell) else ""
    time = f"{struck}{mark}" if figure else shared.untimed_text(cell) if row.layers else ""
    if base:
        return f"{time} | {'' if cell.share is None else numbers.percent(cell.share)}"
    ratio = "" if cell.ratio is None else shared.number(cell.ratio)
    between = f" ({shared.interval_text(cell)})" if cell.interval else ""
    return f"{time} | {ratio}{between} {verdicts.mark(cell.verdict)}".rstrip()


def _name(row: Row) -> str:
    """The printed name of a sum's row, as `(overhead)`."""
    return f"({_NAMES.get(row.kind, row.kind.value)})"


def to_csv(alignment: Alignment) -> str:
    """Every block in graph order, then the sums.

    Milliseconds have six decimals, so each run's blocks, `no layer`, `interruptions` and
    `overhead` add up to its `total` exactly. Names are joined with `;`.
    """
    runs = [f"{column.label} {figure}" for column in alignment.columns for figure in FIGURES]
    return csv_text([*COLUMNS, *runs], map(_csv_row, (*alignment.rows, *alignment.sums)))


def _csv_row(row: Row) -> tuple[str, ...]:
    figures = (text for cell in row.cells for text in _csv_cell(cell))
    return row.kind.value, ";".join(row.layers), ";".join(row.operators), *figures


def _csv_cell(cell: Cell) -> Iterator[str]:
    low, high = cell.interval or (None, None)
    yield "" if cell.ns is None else milliseconds(cell.ns)
    for figure in (cell.share, cell.ratio, low, high):
        yield "" if figure is None else f"{figure:.6g}"
    yield cell.verdict.value if cell.verdict else ""
    yield cell.confidence.value if cell.steps else ""
    yield ";".join(f"{name}: {fate.value}" for name, fate in cell.missing)


def plain(alignment: Alignment) -> dict[str, Any]:
    """An alignment as dicts, lists and numbers; steps of a cell are given by name."""
    return {
        "baseline": alignment.baseline,
        "threshold": alignment.threshold,
        "columns": [_column(column) for column in alignment.columns],
        "blocks": [_row(row, alignment) for row in alignment.rows],
        **{row.kind.value.replace(" ", "_"): _row(row, alignment) for row in alignment.sums},
        "unplaced": to_json(alignment.unplaced),
        "remarks": to_json(alignment.remarks),
    }


def _column(column: Column) -> dict[str, Any]:
    run = column.run
    return {
        "label": column.label,
        "version": column.version,
        "device": run.device.name,
        "timer": run.timer,
        "processes": column.processes,
        "total_ns": column.total_ns,
        "interval_ns": None if column.interval_ns is None else list(column.interval_ns),
        "samples": column.samples,
        "grade": found.value if (found := grade(run)) else None,
        "parity": None if run.parity is None else run.parity.passed,
        "whole": column.whole,
        "request": request_to_json(run.request),
        "created": run.created,
        "command": run.command,
    }


def _row(row: Row, alignment: Alignment) -> dict[str, Any]:
    cells = zip(row.cells, alignment.columns, strict=True)
    return {
        "layers": list(row.layers),
        "operators": list(row.operators),
        "cells": [_cell(cell, column) for cell, column in cells],
    }


def _cell(cell: Cell, column: Column) -> dict[str, Any]:
    return {
        "ns": cell.ns,
        "share": cell.share,
        "ratio": cell.ratio,
        "interval": None if cell.interval is None else list(cell.interval),
        "verdict": cell.verdict.value if cell.verdict else None,
        "steps": [column.run.steps[number].name for number in cell.steps],
        "confidence": cell.confidence.value,
        "missing": {name: fate.value for name, fate in cell.missing},
    }
