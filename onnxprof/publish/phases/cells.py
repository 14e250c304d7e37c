"""Cells of tables of phases, for a terminal and for pages alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from onnxprof.compare.blocks import Part
from onnxprof.compare.growth.orders import LEAST_ERROR, Order
from onnxprof.compare.growth.phases import Column, Phases
from onnxprof.compare.growth.rows import Growth, GrowthRow
from onnxprof.compare.table import RowKind
from onnxprof.publish.comparing.alignment import layer_names, operators_text
from onnxprof.publish.text import numbers
from onnxprof.records.sequences.phase import PhaseKind

#: Columns that stand side by side where there is no room for all.
FEW = 4
#: Sizes that are shown of a growth.
SIZES = 3
#: What the sizes of a phase count.
UNITS = {
    PhaseKind.PREFILL: "tokens of a prompt",
    PhaseKind.DECODE: "tokens in the cache",
    PhaseKind.STEPS: "steps",
}
#: From so many nanoseconds on the unit is the millisecond.
_LONG_NS = 10_000_000
#: Significant digits of the shortest latency.
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit and number of decimals for all times of a table."""

    name: str
    ns: int
    decimals: int

    @classmethod
    def of(cls, latencies_ns: Sequence[int]) -> Scale:
        """A scale in which the shortest of the latencies has four digits."""
        least = max(1, min(latencies_ns))
        name, ns = ("µs", 1_000) if least < _LONG_NS else ("ms", 1_000_000)
        return cls(name, ns, max(0, _DIGITS - 1 - math.floor(math.log10(least / ns))))

    def rounded(self, ns: int) -> Decimal:
        """A time in this unit, as it is printed."""
        return Decimal(f"{ns / self.ns:.{self.decimals}f}") + 0


@dataclass(frozen=True, slots=True)
class LayerCells:
    """A row of the table of layers."""

    name: str
    operators: str
    cells: tuple[str, ...]
    is_closing: bool = False


def shown(phases: Phases, most: int = FEW) -> tuple[int, ...]:
    """Numbers of the columns that are shown: the ends of each kind first."""
    columns = phases.columns
    if len(columns) <= most:
        return tuple(range(len(columns)))
    ends: list[int] = []
    for kind in PhaseKind:
        mine = [i for i, column in enumerate(columns) if column.phase.kind is kind]
        ends += [i for i in dict.fromkeys(mine[-1:] + mine[:1]) if i not in ends]
    others = [i for i in range(len(columns)) if i not in ends]
    return tuple(sorted((ends + others)[:most]))


def layer_cells(
    phases: Phases, places: Sequence[int], limit: int | None, longest: int, widest: int
) -> list[LayerCells]:
    """Layers by phases: what is printed adds up to the latency that is printed."""
    columns = [phases.columns[i] for i in places]
    scale = Scale.of([column.latency_ns for column in columns])
    blocks = [part for part in phases.rows if part.kind is RowKind.BLOCK]
    kept = _longest(blocks, columns, places, limit)
    names = layer_names([part.layers for part in kept], longest) if kept else []
    made = [
        LayerCells(name, operators_text(part.operators, widest), _times(part, places, scale))
        for name, part in zip(names, kept, strict=True)
    ]
    if rest := [part for part in blocks if part not in kept]:
        made.append(LayerCells(f"({len(rest)} more)", "", _sums(rest, places, scale)))
    others = [p for p in phases.rows if p.kind not in (RowKind.BLOCK, RowKind.OVERHEAD)]
    others = [part for part in others if any(part.times_ns[i] for i in places)]
    made += [
        LayerCells(f"({part.kind.value})", "", _times(part, places, scale), True) for part in others
    ]
    totals = [scale.rounded(column.latency_ns) for column in columns]
    sums = [sum((_number(row.cells[i]) for row in made), Decimal(0)) for i in range(len(columns))]
    over = tuple(f"{total - part:,}" for total, part in zip(totals, sums, strict=True))
    made.append(LayerCells("(overhead)", "", over, True))
    made.append(LayerCells("(total)", scale.name, tuple(f"{t:,}" for t in totals), True))
    return made


def _longest(
    blocks: Sequence[Part], columns: Sequence[Column], places: Sequence[int], limit: int | None
) -> list[Part]:
    """Those with the largest share of any latency that is shown, in graph order."""
    if limit is None or len(blocks) <= limit:
        return list(blocks)

    def share(number: int) -> float:
        times = (blocks[number].times_ns[i] for i in places)
        pairs = zip(times, columns, strict=True)
        return max(ns / max(1, column.latency_ns) for ns, column in pairs)

    ranked = sorted(range(len(blocks)), key=share, reverse=True)
    return [blocks[i] for i in sorted(ranked[:limit])]


def _times(part: Part, places: Sequence[int], scale: Scale) -> tuple[str, ...]:
    return tuple(f"{scale.rounded(part.times_ns[i]):,}" for i in places)


def _sums(rows: Sequence[Part], places: Sequence[int], scale: Scale) -> tuple[str, ...]:
    return tuple(f"{sum(scale.rounded(p.times_ns[i]) for p in rows):,}" for i in places)


def _number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def ends(count: int) -> tuple[int, ...]:
    """The first, the middle and the last of the sizes."""
    return tuple(range(count)) if count <= SIZES else (0, count // 2, count - 1)


def growing(growth: Growth, limit: int | None) -> list[GrowthRow]:
    """The blocks that grow most from the first to the last size, in graph order."""
    ranked = sorted(range(len(growth.rows)), key=lambda i: -growth.rows[i].grown_ns)
    return [growth.rows[i] for i in sorted(ranked[:limit])]


def growth_title(growth: Growth) -> str:
    """What the table of one axis's growth is about."""
    over, unit = growth.over, Scale.of(growth.latencies_ns).name
    if isinstance(over, PhaseKind):
        return f"Growth of {over.value} with n, the {UNITS[over]}, in {unit}"
    return f"Growth with n, the size of {over}, in {unit}"


def growth_heads(growth: Growth, places: Sequence[int]) -> tuple[str, ...]:
    """Heads of the table of one axis's growth."""
    sizes = (f"{growth.sizes[i]:,}" for i in places)
    return "layers", "operators", *sizes, "time", "cost", ""


def growth_cells(
    growth: Growth, row: GrowthRow, name: str, places: Sequence[int], widest: int
) -> tuple[str, ...]:
    """A row of that table."""
    scale = Scale.of(growth.latencies_ns)
    times = tuple(f"{scale.rounded(row.times_ns[i]):,}" for i in places)
    operators = "" if row.blocks > 1 else operators_text(row.operators, widest)
    return name, operators, *times, order_text(row), cost_text(row.cost), mark(row)


def order_text(row: GrowthRow) -> str:
    """The order of measured times; one that falls says so."""
    return row.fit.order.word if row.fit.sign >= 0 else "falls"


def cost_text(order: Order | None) -> str:
    """The order of a cost."""
    return "?" if order is None else order.word


def mark(row: GrowthRow) -> str:
    """Whether times grow as costs do."""
    if row.agrees is None:
        return "" if row.cost is None else "~"
    return "✓" if row.agrees else "≠"


def sum_name(row: GrowthRow) -> str:
    """What the sum of all layers of one order is called."""
    count = f"{row.blocks} block{'s' if row.blocks > 1 else ''}"
    return f"({count} of {cost_text(row.cost)})"


def sentences(phases: Phases) -> list[str]:
    """What the phases come to, a sentence each."""
    said = []
    for kind, begin, behind in (
        (PhaseKind.PREFILL, "Time to the first token", "for {} tokens"),
        (PhaseKind.DECODE, "Time per token", "behind {}"),
        (PhaseKind.STEPS, "Time per step", "of {}"),
    ):
        mine = [column for column in phases.columns if column.phase.kind is kind]
        if mine:
            parts = (
                f"{numbers.duration(c.latency_ns)} {behind.format(f'{c.phase.size:,}')}"
                for c in mine
            )
            said.append(f"{begin}: {', '.join(parts)}.")
    said += [growth_text(growth) for growth in phases.growths]
    return said


def _fixed_text(ns: float) -> str:
    """What is there at size 0 of a fit; less than nothing is a line that bends."""
    found = numbers.duration(ns)
    return found if ns >= 0 else f"no fixed part (the fit gives {found})"


def growth_text(growth: Growth) -> str:
    """`Decode grows linearly from 64 to 512 tokens in the cache: 1.2 ms, and 3.1 ns for each.`"""
    over, fit = growth.over, growth.fit
    what, unit = "Latency", f"of {over}"
    if isinstance(over, PhaseKind):
        what, unit = over.value.capitalize(), UNITS[over]
    between = f"from {growth.sizes[0]:,} to {growth.sizes[-1]:,} {unit}"
    if fit.sign <= 0:
        return f"{what} {_no_growth(growth, between, unit)}"
    fixed, each = _fixed_text(fit.coefficients[0]), numbers.duration(fit.coefficients[1])
    if fit.order is Order.LINEAR:
        return f"{what} grows linearly {between}: {fixed}, and {each} for each."
    square = numbers.duration(fit.coefficients[2] * 1e6)
    return (
        f"{what} grows quadratically {between}: {fixed}, {each} for each, and {square} for each"
        " thousand squared."
    )


def _no_growth(growth: Growth, between: str, unit: str) -> str:
    """Where no order shows: the same time, some more or less of it, or ever less."""
    first, last = growth.latencies_ns[0], growth.latencies_ns[-1]
    change = (last - first) / max(first, 1)
    ends = f"{numbers.duration(first)} and {numbers.duration(last)}"
    if growth.fit.order is not Order.CONSTANT:
        return f"takes less time the more there are, {between} ({ends}): was the machine busy?"
    if abs(change) <= LEAST_ERROR:
        return f"takes the same time {between}, within {LEAST_ERROR * 100:.0f} % ({ends})."
    more = "longer" if change > 0 else "less"
    return (
        f"takes {abs(change) * 100:.0f} % {more} at {growth.sizes[-1]:,} than at"
        f" {growth.sizes[0]:,} {unit} ({ends}): too little for these samples to tell how it grows."
    )
