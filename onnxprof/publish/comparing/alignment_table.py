"""An alignment as a terminal table, with as many columns as fit the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from onnxprof.compare.table import Alignment, Cell, Row
from onnxprof.publish.comparing import alignment as shared
from onnxprof.publish.comparing.alignment import Choice, Picked, Scale
from onnxprof.publish.text import numbers, verdicts
from onnxprof.publish.text.safe import printable, shortened

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 8
#: Least and largest widths of names and of operators.
_NAMES, _OPERATORS = (20, 44), (12, 34)
#: Least width of names in a table with bars or intervals.
_WIDE_NAMES = 28
_HEADING = 9


def table(alignment: Alignment, choice: Choice) -> RenderableType:
    """The whole output: title, a line per run, the blocks and their sums, caveats, legend."""
    picked = shared.pick(alignment, choice)
    legend: list[RenderableType] = [
        Text(line, style="dim") for line in shared.untimed_texts(alignment)
    ]
    return Group(
        Text(shared.title(alignment), style="bold"),
        _runs(alignment),
        _Fitted(alignment, picked),
        *_caveats(shared.remark_texts(alignment)),
        *legend,
        Text(shared.rule_text(alignment), style="dim"),
    )


def _runs(alignment: Alignment) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for column in alignment.columns:
        style = "red" if column.wrong else ""
        grid.add_row(
            printable_text(column.label), Text(shared.column_text(column, alignment), style=style)
        )
    return grid


def printable_text(label: str) -> Text:
    """A label, escaped, of at most 30 characters."""
    return Text(shortened(printable(label), 30))


def _caveats(lines: Sequence[str]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    for line in lines:
        grid.add_row(Text("!"), Text(line), style="yellow")
    return [grid] if lines else []


@dataclass(frozen=True, slots=True)
class _Level:
    """Which columns are shown of each run; the first of `_LEVELS` that fits is taken."""

    operators: bool = True
    times: bool = True
    """Whether every run has a column of times, or the baseline alone."""
    shares: bool = True
    intervals: bool = False
    bars: bool = False


_LEVELS = (
    _Level(intervals=True, bars=True),
    _Level(intervals=True),
    _Level(bars=True),
    _Level(),
    _Level(shares=False),
    _Level(shares=False, operators=False),
    _Level(times=False, shares=False),
    _Level(times=False, shares=False, operators=False),
)


@dataclass(frozen=True, slots=True)
class _Part:
    """A printed column: heading, and a text and a style for each line."""

    heading: str
    texts: tuple[str, ...]
    styles: tuple[str, ...]
    justify: Literal["left", "right"] = "right"
    gap: int = 2

    @property
    def width(self) -> int:
        """The width with the gap before the column, which includes the table's divider."""
        lines = (*self.heading.split("\n"), *self.texts)
        return max(map(len, lines)) + self.gap


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table laid out when it is printed; runs that do not fit are shown in further tables."""

    alignment: Alignment
    picked: Picked

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        lines = list(_lines(self.alignment, self.picked))
        base = self.alignment.baseline
        others = [i for i in range(len(self.alignment.columns)) if i != base]
        while others:
            count = len(others)
            level = _fitting(self.alignment, lines, others, options.max_width)
            while level is None and count > 1:
                count -= 1
                level = _fitting(self.alignment, lines, others[:count], options.max_width)
            chosen = sorted([base, *others[:count]])
            yield _grid(self.alignment, lines, chosen, level or _LEVELS[-1], options.max_width)
            others = others[count:]


@dataclass(frozen=True, slots=True)
class _Line:
    """A row as it is printed, with figures that add up."""

    name: tuple[str, ...]
    operators: tuple[str, ...]
    cells: tuple[Cell, ...]
    figures: tuple[Decimal | None, ...]
    style: str = ""
    section: bool = False
    """Whether a rule stands above it."""
    barred: bool = False
    unknown: bool = False
    """Whether a missing time is printed as `unknown`."""


def _lines(alignment: Alignment, picked: Picked) -> Iterator[_Line]:
    scale = Scale.of(alignment)
    shown = [_block(row, scale) for row in picked.shown]
    if picked.rest:
        rest = _block(shared.summed(picked.rest), scale)
        name = (f"({len(picked.rest)} more)",)
        shown.append(replace(rest, name=name, style="dim", barred=False))
    yield from shown
    layers = _added([line.figures for line in shown], alignment.layer_sum, scale)
    converting = alignment.conversions.cells if alignment.conversions else ()
    conversions = tuple(_rounded(cell, scale) for cell in converting) or (None,) * len(layers)
    stray = tuple(_rounded(cell, scale) for cell in alignment.no_layer.cells)
    total = tuple(_rounded(cell, scale) for cell in alignment.total.cells)
    interruptions = tuple(_rounded(cell, scale) for cell in alignment.interruptions.cells)
    overhead = tuple(
        None if a is None or b is None or t is None else t - a - b - (c or 0) - (i or 0)
        for a, b, c, i, t in zip(layers, stray, conversions, interruptions, total, strict=True)
    )
    yield _Line(("(layers)",), (), alignment.layer_sum.cells, layers, section=True)
    if converting:
        yield _Line(("(Q/DQ)",), (), converting, conversions, "dim")
    yield _Line(("(no layer)",), (), alignment.no_layer.cells, stray, "dim")
    if any(figure is not None for figure in interruptions):
        cells = alignment.interruptions.cells
        yield _Line(("(interruptions)",), (), cells, interruptions, "dim", unknown=True)
    yield _Line(("(overhead)",), (), alignment.overhead.cells, overhead, "dim", unknown=True)
    yield _Line(("(median)",), (), alignment.total.cells, total, "bold", unknown=True)


def _block(row: Row, scale: Scale) -> _Line:
    figures = tuple(_rounded(cell, scale) for cell in row.cells)
    return _Line(row.layers, row.operators, row.cells, figures, barred=True)


def _rounded(cell: Cell, scale: Scale) -> Decimal | None:
    return None if cell.ns is None else scale.rounded(cell.ns)


def _added(
    figures: Sequence[tuple[Decimal | None, ...]], row: Row, scale: Scale
) -> tuple[Decimal | None, ...]:
    """Sums of the printed figures per run; for a run without figures the cell's own time."""
    sums: list[Decimal | None] = []
    for i, cell in enumerate(row.cells):
        parts = [line[i] for line in figures]
        known = [part for part in parts if part is not None]
        sums.append(sum(known, Decimal(0)) if known else _rounded(cell, scale))
    return tuple(sums)


def _fitting(
    alignment: Alignment, lines: Sequence[_Line], others: Sequence[int], width: int
) -> _Level | None:
    """The first level that leaves room for names."""
    chosen = sorted([alignment.baseline, *others])
    names, kinds = _wanted(lines)
    for level in _LEVELS:
        used = sum(part.width for part in _parts(alignment, lines, chosen, level)) + 2
        wide = level.bars or level.intervals
        least = min(names, _WIDE_NAMES if wide else _NAMES[0])
        least += min(kinds, _OPERATORS[0]) + 2 if level.operators else 0
        if used + least <= width:
            return level
    return None


def _wanted(lines: Sequence[_Line]) -> tuple[int, int]:
    names = max(len(shared.layers_text(line.name, _NAMES[1])) for line in lines)
    kinds = [len(shared.operators_text(line.operators, _OPERATORS[1])) for line in lines]
    return names, max(max(kinds), len("operators"))


def _parts(
    alignment: Alignment, lines: Sequence[_Line], chosen: Sequence[int], level: _Level
) -> list[_Part]:
    unit = Scale.of(alignment).unit
    longest = max((cell.share or 0.0 for row in alignment.rows for cell in row.cells), default=0.0)
    return [
        part
        for number in chosen
        for part in _run_parts(alignment, lines, number, level, unit, longest)
    ]


def _run_parts(
    alignment: Alignment,
    lines: Sequence[_Line],
    number: int,
    level: _Level,
    unit: str,
    longest: float,
) -> Iterator[_Part]:
    base = number == alignment.baseline
    cells = [line.cells[number] for line in lines]
    struck = "strike " if alignment.columns[number].wrong else ""
    heading = _heading(alignment, number)
    plain = tuple(struck + line.style for line in lines)
    marked = tuple(
        struck + f"{line.style} {verdicts.STYLES.get(cell.verdict, '') if cell.verdict else ''}"
        for line, cell in zip(lines, cells, strict=True)
    )
    if base or level.times:
        texts = tuple(_time(line, number) for line in lines)
        yield _Part(f"{heading}\n{unit} ", texts, plain, gap=1)
    if base and level.shares:
        shares = tuple("" if c.share is None else numbers.percent(c.share) for c in cells)
        yield _Part("share", shares, plain)
    if level.bars:
        bars = tuple(
            _bar(c.share, longest) if line.barred else ""
            for c, line in zip(cells, lines, strict=True)
        )
        yield _Part(" " * _BAR, bars, tuple("cyan" for _ in lines), "left", 1)
    if not base:
        above = "ratio " if level.times else f"{heading}\nratio "
        yield _Part(above, tuple(map(_ratio, cells)), marked, gap=1)
        if level.intervals:
            yield _Part("95 %", tuple(map(shared.interval_text, cells)), ("dim",) * len(lines))


def _heading(alignment: Alignment, number: int) -> str:
    """The label, one word per line, after a cross for a run with wrong outputs."""
    column = alignment.columns[number]
    label = f"{'✗' if column.wrong else ''}{printable(column.label)}"
    return "\n".join(f"{shortened(word, _HEADING)} " for word in label.split(" "))


def _time(line: _Line, number: int) -> str:
    """A time and its mark; a blank in place of no mark, so that decimal points align."""
    cell, figure = line.cells[number], line.figures[number]
    if figure is None and line.unknown:
        return "unknown "
    if figure is None:
        return f"{shared.untimed_text(cell)} " if line.barred else ""
    return f"{figure}{verdicts.INFERRED if shared.is_inferred(cell) else ' '}"


def _ratio(cell: Cell) -> str:
    if cell.ratio is None:
        return ""
    return f"{shared.number(cell.ratio)}{verdicts.mark(cell.verdict, ' ')}"


def _bar(share: float | None, longest: float) -> str:
    """A bar for the share of the run's own latency, relative to the largest share."""
    eighths = round((share or 0.0) / longest * _BAR * 8) if longest else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _grid(
    alignment: Alignment,
    lines: Sequence[_Line],
    chosen: Sequence[int],
    level: _Level,
    width: int,
) -> Table:
    parts = _parts(alignment, lines, chosen, level)
    room = width - sum(part.width for part in parts) - 2
    names, kinds = _widths(lines, room, level)
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False, header_style="")
    grid.add_column("layers", no_wrap=True, min_width=names, vertical="bottom")
    if level.operators:
        grid.add_column(" operators", no_wrap=True, min_width=kinds + 1)
    for part in parts:
        grid.add_column(
            Text(part.heading, style="bold"),
            justify=part.justify,
            no_wrap=True,
            min_width=part.width - 1,
        )
    names_cut = shared.layer_names([line.name for line in lines], names)
    for i, line in enumerate(lines):
        if line.section:
            grid.add_section()
        cells = [Text(names_cut[i], style=line.style)]
        if level.operators:
            cells.append(Text(f" {shared.operators_text(line.operators, kinds)}", style="dim"))
        grid.add_row(*cells, *(Text(part.texts[i], style=part.styles[i].strip()) for part in parts))
    return grid


def _widths(lines: Sequence[_Line], room: int, level: _Level) -> tuple[int, int]:
    """Widths of names and operators in the room that figures leave."""
    names, kinds = _wanted(lines)
    if not level.operators:
        return max(8, min(names, room)), 0
    room -= 2
    least = min(kinds, _OPERATORS[0])
    names = max(8, min(names, room - least))
    return names, max(8, min(kinds, room - names))
