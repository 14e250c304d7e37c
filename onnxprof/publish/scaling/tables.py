"""One system over sizes of an axis, in print: latency, rate, what is fixed, what an item costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.statistics.lines import Line
from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.growth.rows import over_axis
from onnxprof.compare.scaling import SATURATED, Point, ScaledRow, Scaling
from onnxprof.compare.table import RowKind
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.publish.comparing.alignment import layer_names, operators_text
from onnxprof.publish.phases import markdown as markdown_of_phases
from onnxprof.publish.phases import tables as phases
from onnxprof.publish.text import grades, numbers, sentences, verdicts
from onnxprof.publish.text.safe import in_markdown, printable

_HEADS = ("latency", "spread", "gain", "95 %")
_BOX = box.SIMPLE_HEAD
#: Columns that names of layers, and their operators, get in 80.
_ROOM, _OPERATORS = 24, 16
#: Characters of an axis's name in a heading; a longer one stands in the title alone.
_LONGEST = 12


def tables(
    every: Sequence[Scaling], limit: int | None = 20, limit_ns: int | None = None
) -> list[RenderableType]:
    """Those of several scalings, a line between two."""
    parts: list[RenderableType] = []
    for scaling in every:
        parts += [*([Text()] if parts else []), table(scaling, limit, limit_ns)]
    return parts


def table(scaling: Scaling, limit: int | None = 20, limit_ns: int | None = None) -> RenderableType:
    """Terminal tables: sizes, then what they say, then layers."""
    parts: list[RenderableType] = [Text(title(scaling), style="bold"), _sizes(scaling)]
    parts += [Text(line) for line in sentences_of(scaling, limit_ns)]
    if scaling.rows:
        parts += [Text(), _layers(scaling, limit), Text(legend(scaling), style="dim")]
    if growth := over_axis(scaling):
        parts += phases.grown(growth)
    return Group(*parts)


def in_short(scaling: Scaling) -> list[RenderableType]:
    """What the sizes say, without tables."""
    return [Text(title(scaling), style="bold"), *map(Text, sentences_of(scaling)), Text()]


def markdown(scaling: Scaling, limit: int | None = 20, limit_ns: int | None = None) -> str:
    """The same for a document."""
    lines = [f"**{in_markdown(title(scaling))}**", "", *_ruled(size_heads(scaling))]
    lines += map(_line_of, size_cells(scaling))
    lines += ["", *(f"- {in_markdown(text)}" for text in sentences_of(scaling, limit_ns))]
    if scaling.rows:
        lines += ["", *_ruled(layer_heads(scaling))]
        lines += [_line_of(cells) for cells, _ in layer_cells(scaling, limit, 80)]
        lines += ["", f"<sub>{in_markdown(legend(scaling))}</sub>"]
    if growth := over_axis(scaling):
        lines += markdown_of_phases.grown(growth)
    return "\n".join(lines) + "\n"


def _ruled(heads: Sequence[str]) -> list[str]:
    return [_line_of(heads), f"|{' --- |' * len(heads)}"]


def _line_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(in_markdown, cells))} |"


def title(scaling: Scaling) -> str:
    """The model, the system, and what all sizes have in common."""
    run = scaling.points[0].run
    asked = run.request
    sizes = [_held(scaling, name) for name, _ in asked.dims if name != scaling.axis]
    if scaling.axis != BATCH:
        sizes.insert(0, f"batch {asked.batch}")
    sizes += [asked.phase] if asked.phase else []
    facts = (run.device.name or asked.device_id, sentences.threads(asked.threads), *sizes)
    return printable(
        f"{scaling.model} on {scaling.system}, {', '.join(facts)}:"
        f" {len(scaling.points)} sizes of {scaling.axis}"
    )


def _held(scaling: Scaling, name: str) -> str:
    """`sequence=1`; `total=1…129` for an axis that follows the one that is set out."""
    sizes = [dict(point.run.request.dims).get(name) for point in scaling.points]
    first, last = sizes[0], sizes[-1]
    return f"{name}={first}" if first == last else f"{name}={first}…{last}"


def size_heads(scaling: Scaling) -> tuple[str, ...]:
    """Heads of the table of sizes."""
    return (scaling.axis, *_HEADS[:2], _rate_head(scaling), *_HEADS[2:])


def size_cells(scaling: Scaling) -> Iterator[tuple[str, ...]]:
    """A row for each size."""
    return ((str(point.size), *_figures(point)) for point in scaling.points)


def _sizes(scaling: Scaling) -> Table:
    grid = Table(box=_BOX, padding=(0, 1, 0, 0), pad_edge=False)
    for head in size_heads(scaling):
        grid.add_column(printable(head), justify="right", no_wrap=True)
    for point in scaling.points:
        style = verdicts.STYLES.get(point.verdict, "") if point.verdict else ""
        first = Text(str(point.size), style="bold" if point is scaling.best else "")
        cells = _figures(point)
        grid.add_row(first, *cells[:3], Text(cells[3], style=style), Text(cells[4], style=style))
    return grid


def _rate_head(scaling: Scaling) -> str:
    if scaling.axis == BATCH:
        return "samples/s"
    return f"{scaling.axis}/s" if len(scaling.axis) <= _LONGEST else "size/s"


def _figures(point: Point) -> tuple[str, ...]:
    mark = verdicts.SIGNED_MARKS.get(point.verdict, "") if point.verdict else ""
    gain = "" if point.gain is None else f"{numbers.signed_percent(point.gain)} %{mark}"
    between = (
        "…".join(map(numbers.signed_percent, point.gain_interval)) if point.gain_interval else ""
    )
    parity = point.run.parity
    wrong = "✗ " if parity is not None and parity.passed is False else ""
    return (
        wrong + numbers.duration(point.latency_ns),
        grades.spread_cell(point.latency_ns, point.interval_ns, point.samples),
        numbers.rate(point.rate),
        gain,
        between,
    )


def sentences_of(scaling: Scaling, limit_ns: int | None = None) -> Iterator[str]:
    """What the sizes say, a sentence or two each."""
    yield _line_text(scaling)
    yield best_text(scaling)
    yield _saturation_text(scaling)
    if limit_ns is not None:
        yield _within_text(scaling, limit_ns)
    unjudged = [p for p in scaling.points if not p.is_judged and p.gain is not None]
    if any(point.gain_interval is None for point in unjudged):
        yield (
            "Gains of a size with fewer than six samples have no interval and are not judged:"
            " measure with a larger --budget."
        )
    if any(point.gain_interval is not None for point in unjudged):
        yield (
            "Gains without a mark are not judged where one process ran on a machine that others"
            " kept busy: measure with --processes 10, or on an idle machine."
        )


def _item(scaling: Scaling) -> str:
    return "an item" if scaling.axis == BATCH else f"for each of {printable(scaling.axis)}"


def _fixed_text(line: Line) -> str:
    """What is there at size 0 of the line; less than nothing is a line that bends."""
    found = _with_interval(line.fixed_ns, line.fixed_interval)
    return f"{found} fixed" if line.fixed_ns > 0 else f"no fixed part (the line gives {found})"


def _line_text(scaling: Scaling) -> str:
    line = scaling.line
    text = (
        f"Latency: {_fixed_text(line)}, and"
        f" {_with_interval(line.item_ns, line.item_interval)} {_item(scaling)}."
    )
    if len(scaling.points) == 2:
        return f"{text} Two sizes give a line and do not test it."
    if scaling.is_straight:
        return f"{text} No measured size is further than {numbers.percent(line.misfit)} from it."
    return (
        f"{text} But latency is no straight line: a measured size is"
        f" {numbers.percent(line.misfit)} from it, so trust the table, not these two figures."
    )


def _with_interval(ns: float, interval: tuple[float, float]) -> str:
    """`2.000 ms (1.955 to 2.045)`."""
    text, (low, high) = numbers.duration(ns), interval
    if not math.isfinite(low + high):
        return f"{text} (interval unknown)"
    _, size = next(unit for unit in numbers.UNITS if unit[0] == text.split()[-1])
    ends = (numbers.figure(end / size, numbers.PLAIN) for end in interval)
    return f"{text} ({' to '.join(ends)})"


def best_text(scaling: Scaling) -> str:
    """The size with the best rate, and those that may be as good."""
    best, unit = scaling.best, _rate_head(scaling)
    text = f"Best rate: {printable(scaling.axis)} {best.size} with {numbers.rate(best.rate)} {unit}"
    if not scaling.alike:
        return f"{text}; all other sizes are lower."
    return f"{text}; {_listed(scaling.alike)} may be as good."


def _saturation_text(scaling: Scaling) -> str:
    size, largest = scaling.saturated, scaling.sizes[-1]
    if size == largest:
        return f"No saturation up to {largest}: no smaller one has {100 * SATURATED:.0f} % of that."
    return (
        f"{printable(scaling.axis).capitalize()} {size} has {100 * SATURATED:.0f} % of that"
        " already: larger ones add latency and little else."
    )


def _within_text(scaling: Scaling, limit_ns: int) -> str:
    limit, good = numbers.duration(limit_ns), scaling.within(limit_ns)
    if good is None:
        least = min(scaling.points, key=lambda point: point.latency_ns)
        return (
            f"Within {limit}: no measured size;"
            f" the shortest takes {numbers.duration(least.latency_ns)}."
        )
    text = (
        f"Within {limit}: {printable(scaling.axis)} {good.size} with {numbers.rate(good.rate)}"
        f" {_rate_head(scaling)}, {numbers.duration(good.latency_ns)} a call."
    )
    line = scaling.line
    largest = int((limit_ns - line.fixed_ns) / line.item_ns) if line.item_ns > 0 else 0
    if scaling.is_straight and good.size < largest < scaling.sizes[-1]:
        text += f" By the line {largest} would fit, too: not measured."
    return text


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


def layer_heads(scaling: Scaling) -> tuple[str, ...]:
    """Heads of the table of layers."""
    unit, _ = _unit(scaling)
    item = f"{unit}/{scaling.axis}" if len(scaling.axis) <= _LONGEST else f"{unit} for each"
    item = f"{unit} an item" if scaling.axis == BATCH else item
    first, last = scaling.sizes[0], scaling.sizes[-1]
    return "layers", "operators", f"fixed {unit}", item, f"{first}→{last}", "from"


def _layers(scaling: Scaling, limit: int | None) -> Table:
    grid = Table(box=_BOX, padding=(0, 1, 0, 0), pad_edge=False)
    for place, head in enumerate(layer_heads(scaling)):
        side: Any = "left" if place < 2 else "right"
        grid.add_column(printable(head), justify=side, no_wrap=True)
    ended = False
    for cells, closing in layer_cells(scaling, limit, _ROOM):
        if closing and not ended:
            grid.add_section()
            ended = True
        grid.add_row(*map(Text, cells))
    return grid


def layer_cells(
    scaling: Scaling, limit: int | None, longest: int
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Cells, and whether the row closes the table; what rounding loses is in the overhead."""
    blocks = [row for row in scaling.rows if row.kind is RowKind.BLOCK]
    others = [row for row in scaling.rows if row.kind is not RowKind.BLOCK]
    kept = _longest(blocks, limit)
    names = layer_names([row.layers for row in kept], longest) if kept else []
    for name, row in zip(names, kept, strict=True):
        operators = operators_text(row.operators, _OPERATORS if longest < 80 else longest)
        yield (name, operators, *_costs(scaling, row), *_tail(scaling, row)), False
    if rest := [row for row in blocks if row not in kept]:
        yield (f"({len(rest)} more)", "", *_sum_of(scaling, rest), "", ""), False
    yield ("(layers)", "", *_sum_of(scaling, blocks), "", ""), True
    for row in others[:-1]:
        if any(row.times_ns):
            yield (f"({row.kind.value})", "", *_costs(scaling, row), "", ""), True
    yield ("(overhead)", "", *_overhead(scaling, blocks, others[:-1]), "", ""), True
    model = ScaledRow(RowKind.TOTAL, _latencies(scaling), scaling.line)
    total = _costs(scaling, model)
    yield ("(median)", "", *total, *_tail(scaling, model, scaling.saturated)), True


def _latencies(scaling: Scaling) -> tuple[int, ...]:
    return tuple(point.latency_ns for point in scaling.points)


def _longest(blocks: Sequence[ScaledRow], limit: int | None) -> list[ScaledRow]:
    """Those with the largest part of the longest latency, in graph order."""
    if limit is None or len(blocks) <= limit:
        return list(blocks)
    ranked = sorted(range(len(blocks)), key=lambda i: -blocks[i].times_ns[-1])
    return [blocks[i] for i in sorted(ranked[:limit])]


def _unit(scaling: Scaling) -> tuple[str, int]:
    return ("µs", 1_000) if scaling.line.item_ns < 1_000_000 else ("ms", 1_000_000)


def _rounded(scaling: Scaling, line: Line) -> tuple[Decimal, Decimal]:
    """Fixed and item in the table's unit, as printed."""
    unit = _unit(scaling)[1]
    digits = max(0, 4 - len(str(int(max(scaling.line.item_ns, 0.0) / unit))))
    step = Decimal(1).scaleb(-digits)
    fixed, item = (Decimal(repr(ns)) / unit for ns in (line.fixed_ns, line.item_ns))
    return fixed.quantize(step) + 0, item.quantize(step) + 0  # without the sign of a zero


def _costs(scaling: Scaling, row: ScaledRow) -> tuple[str, str]:
    fixed, item = _rounded(scaling, row.line)
    return f"{fixed:,}", f"{item:,}"


def _sums(scaling: Scaling, rows: Sequence[ScaledRow]) -> tuple[Decimal, Decimal]:
    pairs = [_rounded(scaling, row.line) for row in rows]
    return sum((p[0] for p in pairs), Decimal(0)), sum((p[1] for p in pairs), Decimal(0))


def _sum_of(scaling: Scaling, rows: Sequence[ScaledRow]) -> tuple[str, str]:
    fixed, item = _sums(scaling, rows)
    return f"{fixed:,}", f"{item:,}"


def _overhead(
    scaling: Scaling, blocks: Sequence[ScaledRow], others: Sequence[ScaledRow]
) -> tuple[str, str]:
    fixed, item = _rounded(scaling, scaling.line)
    less = _sums(scaling, [*blocks, *(row for row in others if any(row.times_ns))])
    return f"{fixed - less[0]:,}", f"{item - less[1]:,}"


def _tail(scaling: Scaling, row: ScaledRow, saturated: int | None = None) -> tuple[str, str]:
    gain, size = row.gain(scaling.sizes), row.saturated if saturated is None else saturated
    return "" if gain is None else f"{gain:.2f}×", "" if size is None else str(size)


def legend(scaling: Scaling) -> str:
    """What the columns of both tables say."""
    first, last = scaling.sizes[0], scaling.sizes[-1]
    per = "items a second" if scaling.axis == BATCH else f"{printable(scaling.axis)} a second"
    return (
        f"{first}→{last}: how many times more {per} at {last} than at {first}; from: the smallest"
        f" size with {100 * SATURATED:.0f} % of the best rate. Fixed below zero: it grows"
        " faster than the size. Gain: over the size above; * differs by more than"
        f" {numbers.percent(THRESHOLD)}, with 95 % confidence; = the same."
    )
