"""Systems over sizes of an axis: latency, rate and speed-up, then the speed-up of each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.reconcile import milliseconds
from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.over_batches import Batches, BlockRow, Point, speedup, speedup_interval
from onnxprof.compare.table import Cell
from onnxprof.compare.verdict import Verdict
from onnxprof.publish.comparing import alignment as shared
from onnxprof.publish.comparing.alignment import Choice, Sort
from onnxprof.publish.comparing.alignment_text import plain
from onnxprof.publish.text import grades, numbers, verdicts
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.safe import in_markdown, printable, shortened

#: Columns of the CSV: a row per batch, system and block, and one without layers for the model.
COLUMNS = (
    *("model", "batch", "system", "layers", "operators", "ms", "low_ms", "high_ms", "share"),
    *("inferences_per_s", "samples_per_s", "speedup_percent", "low_percent", "high_percent"),
    "verdict",
)
#: The same for another axis than the batch.
OVER_COLUMNS = ("model", "axis", "size", *COLUMNS[2:])
_HEADS = ("batch", "system", "latency", "spread", "inferences/s", "samples/s", "speed-up", "95 %")
#: Least width of a table with a column for the latency's interval or range.
_WIDE = 96
_NAMES = 44
#: Characters of an axis's name in the heading of a column of layers.
_LONGEST = 8


def table(comparison: Batches, choice: Choice, width: int = 80) -> RenderableType:
    """Terminal tables: latency and speed-up by batch, then layers for each further system."""
    parts: list[RenderableType] = [
        Text(_title(comparison), style="bold"),
        _models(comparison, width),
    ]
    for number in range(1, len(comparison.systems)):
        parts += [*_layer_tables(comparison, number, choice, width)]
    return Group(*parts, *_notes(comparison), Text(_rule(comparison), style="dim"))


def in_short(comparison: Batches, width: int = 80) -> list[RenderableType]:
    """Latencies and speed-ups of the models, without layers."""
    return [
        Text(_title(comparison), style="bold"),
        _models(comparison, width),
        *_notes(comparison),
        Text(_rule(comparison), style="dim"),
        Text(),
    ]


def markdown(comparison: Batches, choice: Choice) -> str:
    """The same tables for a document."""
    firsts = map(in_markdown, _heads(comparison))
    lines = [f"**{in_markdown(_title(comparison))}**", "", f"| {' | '.join(firsts)} |"]
    lines.append("| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    lines += [f"| {' | '.join(map(in_markdown, texts))} |" for texts, _ in _model_rows(comparison)]
    for number in range(1, len(comparison.systems)):
        rows, rest = _picked(comparison, number, choice)
        heads = [_size_text(comparison, size) for size in comparison.batches]
        lines += ["", in_markdown(_layers_title(comparison, number)), ""]
        lines.append(f"| layers | operators | {' | '.join(map(in_markdown, heads))} |")
        lines.append(f"| --- | --- | {' | '.join(['---:'] * len(heads))} |")
        for row in rows:
            names = shared.layers_text(row.layers, 80), shared.operators_text(row.operators, 80)
            cells = (_percent(cells[number]) for cells in row.cells)
            lines.append(f"| {' | '.join(map(in_markdown, (*names, *cells)))} |")
        lines += ["", f"{rest} more blocks are not shown."] if rest else []
    lines += ["", *(f"> {in_markdown(text)}  " for text in _caveats(comparison))]
    return "\n".join([*lines, "", f"<sub>{in_markdown(_rule(comparison))}</sub>"]) + "\n"


def _title(comparison: Batches) -> str:
    others = ", ".join(comparison.systems[1:])
    how = "batch by batch" if comparison.axis == BATCH else f"over {comparison.axis}"
    where = f", {comparison.held}" if comparison.held else ""
    return printable(f"{comparison.model}{where}: {others} against {comparison.systems[0]}, {how}")


def _heads(comparison: Batches) -> tuple[str, ...]:
    return (comparison.axis, *_HEADS[1:])


def _size_text(comparison: Batches, size: int) -> str:
    """What a column of layers is headed: `batch 8`, `past 128`; a long name is in the title."""
    is_short = len(comparison.axis) <= _LONGEST
    return f"{comparison.axis} {size}" if is_short else str(size)


def _models(comparison: Batches, width: int) -> Table:
    """The table of latencies; names of systems are cut to fit, figures are not."""
    shown = [i for i, head in enumerate(_HEADS) if width >= _WIDE or head != "spread"]
    rows = list(_model_rows(comparison))
    heads = [printable(head) for head in _heads(comparison)]
    widths = [max(map(len, column)) for column in zip(heads, *(t for t, _ in rows), strict=True)]
    names = width - sum(widths[i] + 2 for i in shown if i != 1) - 2
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    sides: dict[str, Literal["left", "right"]] = {"system": "left"}
    for i in shown:
        head = heads[i]
        least = widths[i] if i != 1 else None
        grid.add_column(head, justify=sides.get(head, "right"), no_wrap=True, min_width=least)
    for number, (texts, verdict) in enumerate(rows):
        if texts[0] and number:
            grid.add_section()
        style = verdicts.STYLES.get(verdict, "") if verdict else ""
        cells = (texts[0], shortened(texts[1], max(6, names)), *texts[2:])
        grid.add_row(*(Text(cells[i], style=style if i > 5 else "") for i in shown))
    return grid


def _model_rows(comparison: Batches) -> Iterator[tuple[tuple[str, ...], Verdict | None]]:
    for batch, points in zip(comparison.batches, comparison.points, strict=True):
        shown = str(batch)
        for number, point in enumerate(points):
            if point is not None:
                name = printable(comparison.systems[number])
                yield (shown, name, *_figures(point, number == 0)), point.cell.verdict
                shown = ""


def _figures(point: Point, base: bool) -> tuple[str, ...]:
    between = speedup_interval(point.cell)
    return (
        ("✗ " if point.column.wrong else "") + numbers.duration(point.latency_ns),
        grades.spread_cell(point.latency_ns, point.interval_ns, point.column.samples),
        numbers.rate(point.inferences_per_s),
        numbers.rate(point.samples_per_s),
        "baseline" if base else _percent(point.cell),
        ""
        if between is None
        else f"{numbers.signed_percent(between[0])}…{numbers.signed_percent(between[1])}",
    )


def _percent(cell: Cell | None) -> str:
    """The speed-up in per cent with its mark, or why there is none."""
    if cell is None:
        return ""
    faster = speedup(cell)
    if faster is None:
        return "" if cell.ns is not None else shared.untimed_text(cell)
    mark = verdicts.SIGNED_MARKS.get(cell.verdict, "") if cell.verdict else ""
    return f"{numbers.signed_percent(faster)} %{mark}"


def _layers_title(comparison: Batches, number: int) -> str:
    return printable(f"Speed-up of {comparison.systems[number]}, layer by layer")


def _picked(comparison: Batches, number: int, choice: Choice) -> tuple[list[BlockRow], int]:
    """(blocks that take longest, in the chosen order; how many others there are)."""
    rows = [row for row in comparison.rows if row.longest >= choice.min_share]
    ranked = sorted(rows, key=lambda row: -_rank(row, number, choice.sort))
    kept = ranked if choice.limit is None else ranked[: choice.limit]
    if choice.sort is Sort.GRAPH:
        kept = [row for row in comparison.rows if any(row is picked for picked in kept)]
    return kept, len(comparison.rows) - len(kept)


def _rank(row: BlockRow, number: int, sort: Sort) -> float:
    pairs = [(cells[0], cells[number]) for cells in row.cells]
    if sort is Sort.RATIO:
        return max((theirs.ratio or 0.0 for _, theirs in pairs if theirs), default=0.0)
    if sort is Sort.GAP:
        times = ((a.ns or 0, b.ns or 0) for a, b in pairs if a and b)
        return max((abs(b - a) for a, b in times), default=0.0)
    return row.longest


def _layer_tables(
    comparison: Batches, number: int, choice: Choice, width: int
) -> Iterator[RenderableType]:
    """Tables of layers' speed-ups, each with as many batches as fit the width."""
    rows, rest = _picked(comparison, number, choice)
    if not rows:
        return
    yield Text(_layers_title(comparison, number), style="bold")
    names = [shared.layers_text(row.layers, _NAMES) for row in rows]
    texts = [[_percent(cells[number]) for cells in row.cells] for row in rows]
    widest = max(8, *(len(text) for line in texts for text in line)) + 2
    count = max(1, (width - min(max(map(len, names)), 24) - 2) // widest)
    for start in range(0, len(comparison.batches), count):
        chosen = range(start, min(start + count, len(comparison.batches)))
        yield _layer_grid(comparison, number, rows, chosen, width - widest * len(chosen) - 2)
    if rest:
        yield Text(f"({rest} more blocks)", style="dim")


def _layer_grid(
    comparison: Batches, number: int, rows: Sequence[BlockRow], chosen: Sequence[int], room: int
) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column("layers", no_wrap=True)
    for place in chosen:
        head = printable(_size_text(comparison, comparison.batches[place]))
        grid.add_column(head, justify="right", no_wrap=True)
    named = shared.layer_names([row.layers for row in rows], max(12, min(_NAMES, room)))
    for name, row in zip(named, rows, strict=True):
        cells = [row.cells[place][number] for place in chosen]
        styles = [verdicts.STYLES.get(c.verdict, "") if c and c.verdict else "" for c in cells]
        texts = [Text(_percent(c), style=s) for c, s in zip(cells, styles, strict=True)]
        grid.add_row(Text(name), *texts)
    return grid


def _caveats(comparison: Batches) -> Iterator[str]:
    """Caveats of all batches without repeats, with the batches to which they apply."""
    batches_of: dict[str, list[int]] = {}
    for batch, alignment in zip(comparison.batches, comparison.alignments, strict=True):
        for text in shared.remark_texts(alignment):
            batches_of.setdefault(text, []).append(batch)
    for text, batches in batches_of.items():
        axis = "Batch" if comparison.axis == BATCH else comparison.axis
        where = "" if len(batches) == len(comparison.batches) else f"{axis} {_joined(batches)}: "
        yield f"{where}{text}"
    if comparison.alone:
        axis = "Batch" if comparison.axis == BATCH else comparison.axis
        yield f"{axis} {_joined(comparison.alone)} was not measured on both and is left out."


def _joined(batches: Sequence[int]) -> str:
    return ", ".join(map(str, batches))


def _notes(comparison: Batches) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    for text in _caveats(comparison):
        grid.add_row(Text("!"), Text(text), style="yellow")
    return [grid] if grid.row_count else []


def _rule(comparison: Batches) -> str:
    return (
        f"Speed-up: throughput over that of {printable(comparison.systems[0])}, less 100 %."
        f" {verdicts.signed_marks_text(comparison.alignments[0].threshold)}"
    )


def to_csv(comparison: Batches) -> str:
    """CSV: for each batch and system a row without layers, then a row per block."""
    columns = COLUMNS if comparison.axis == BATCH else OVER_COLUMNS
    return csv_text(columns, _csv_rows(comparison))


def _csv_rows(comparison: Batches) -> Iterator[tuple[str | int, ...]]:
    for place, batch in enumerate(comparison.batches):
        for number, point in enumerate(comparison.points[place]):
            if point is None:
                continue
            axis = () if comparison.axis == BATCH else (comparison.axis,)
            head = comparison.model, *axis, batch, comparison.systems[number]
            low, high = point.interval_ns
            rates = f"{point.inferences_per_s:.6g}", f"{point.samples_per_s:.6g}"
            limits = milliseconds(low), milliseconds(high)
            yield *head, "", "", *_timed(point.cell, limits), *rates, *_gain(point.cell)
            for row in comparison.rows:
                cell = row.cells[place][number] or Cell()
                names = ";".join(row.layers), ";".join(row.operators)
                yield *head, *names, *_timed(cell, ("", "")), "", "", *_gain(cell)


def _timed(cell: Cell, limits: tuple[str, str]) -> tuple[str, ...]:
    ms = "" if cell.ns is None else milliseconds(cell.ns)
    return ms, *limits, "" if cell.share is None else f"{cell.share:.6g}"


def _gain(cell: Cell) -> tuple[str, ...]:
    figures = (speedup(cell), *(speedup_interval(cell) or (None, None)))
    verdict = cell.verdict.value if cell.verdict else ""
    return *("" if f is None else f"{100 * f:.6g}" for f in figures), verdict


def plain_batches(comparison: Batches) -> dict[str, Any]:
    """Latencies and the alignment at each batch as dicts, lists and numbers."""
    return {
        "model": comparison.model,
        "systems": list(comparison.systems),
        "left_out": list(comparison.alone),
        **({} if comparison.axis == BATCH else {"axis": comparison.axis}),
        "batches": [_plain(comparison, place) for place in range(len(comparison.batches))],
    }


def _plain(comparison: Batches, place: int) -> dict[str, Any]:
    size = comparison.batches[place]
    asked = comparison.alignments[place].columns[0].run.request
    return {
        "batch": asked.batch,
        **({} if comparison.axis == BATCH else {"size": size}),
        "points": [
            None if point is None else _plain_point(comparison.systems[number], point)
            for number, point in enumerate(comparison.points[place])
        ],
        "alignment": plain(comparison.alignments[place]),
    }


def _plain_point(name: str, point: Point) -> dict[str, Any]:
    between = speedup_interval(point.cell)
    return {
        "system": name,
        "latency_ns": point.latency_ns,
        "interval_ns": list(point.interval_ns),
        "samples": point.column.samples,
        "inferences_per_s": point.inferences_per_s,
        "samples_per_s": point.samples_per_s,
        "speedup": speedup(point.cell),
        "speedup_interval": None if between is None else list(between),
        "verdict": point.cell.verdict.value if point.cell.verdict else None,
    }
