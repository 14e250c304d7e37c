"""How each block of layers grows with the size of an axis, beside how its cost does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from onnxprof.analysis.once import once
from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.blocks import Part, latency_error, parts
from onnxprof.compare.growth.orders import Fit, Order, exact, fitted, may_follow
from onnxprof.compare.scaling import Scaling
from onnxprof.compare.table import RowKind
from onnxprof.cost.count import costs
from onnxprof.records.cost import LayerCost
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import PhaseKind

#: Standard error of a block's time in each run, beside what its own samples show. Blocks of up to
#: 0.8 µs whose cost is constant differ between sizes by 0.08 to 0.17 µs, where their samples say
#: 0.01: the place of buffers in memory and what ran before them count as much.
SHORT_ERROR_NS = 150.0

#: Costs of layers by name, at each size.
_Counted = Sequence[dict[str, LayerCost]]


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """A block of layers, or several, over the sizes of a phase."""

    layers: tuple[str, ...]
    operators: tuple[str, ...]
    times_ns: tuple[int, ...]
    fit: Fit
    cost: Order | None
    """The order of what it computes, or moves where it computes nothing; None where unknown."""
    blocks: int = 1
    """Blocks that it is the sum of."""
    is_noisy: bool = False
    """Whether the times may grow as the cost does, as far as their errors tell."""

    @property
    def agrees(self) -> bool | None:
        """Whether times grow as costs do, in order and sign; None where nothing tells."""
        if self.cost is None:
            return None
        same = self.fit.order is self.cost and (not self.cost or self.fit.sign > 0)
        return same or (None if self.is_noisy else False)

    @property
    def grown_ns(self) -> int:
        """How much longer it takes at the largest size than at the smallest."""
        return self.times_ns[-1] - self.times_ns[0]


@dataclass(frozen=True, slots=True)
class Growth:
    """How long blocks of layers take at two or more sizes of one axis."""

    over: PhaseKind | str
    """The phase whose length grows, or the axis by name."""
    sizes: tuple[int, ...]
    """Smallest first."""
    fit: Fit
    """Of the un-profiled median."""
    latencies_ns: tuple[int, ...]
    sums: tuple[GrowthRow, ...]
    """Blocks of layers together whose costs have one order."""
    rows: tuple[GrowthRow, ...]
    """Every block, in graph order."""


def growth(runs: Sequence[Run], sizes: Sequence[int], over: PhaseKind | str) -> Growth:
    """The growth of runs that differ in one size, smallest first.

    Without rows where a run has no times of steps. Raises ValueError for fewer than two sizes.
    """
    latencies = tuple(reconcile(run).total_ns for run in runs)
    whole = fitted(sizes, latencies, [latency_error(run) for run in runs])
    blocks = [part for part in parts(runs) if part.kind is RowKind.BLOCK]
    counted = [once(_costs, run.table) for run in runs] if blocks else []
    rows = tuple(_row([part], sizes, counted) for part in blocks)
    sums = tuple(_sums(blocks, rows, sizes, counted))
    return Growth(over, tuple(sizes), whole, latencies, sums, rows)


def over_axis(scaling: Scaling) -> Growth | None:
    """How layers grow with the axis of a scaling.

    None over the batch, with which each cost grows in proportion or stays: there its rows say more.
    """
    if scaling.axis == BATCH or not scaling.rows:
        return None
    return growth([point.run for point in scaling.points], scaling.sizes, scaling.axis)


def _costs(table: LayerTable) -> dict[str, LayerCost]:
    return {cost.layer: cost for cost in costs(table)}


def _sums(
    blocks: Sequence[Part], rows: Sequence[GrowthRow], sizes: Sequence[int], counted: _Counted
) -> Iterator[GrowthRow]:
    for order in (*reversed(Order), None):
        mine = [part for part, row in zip(blocks, rows, strict=True) if row.cost is order]
        if any(sum(part.times_ns) for part in mine):
            yield replace(_row(mine, sizes, counted), cost=order)


def _row(mine: Sequence[Part], sizes: Sequence[int], counted: _Counted) -> GrowthRow:
    times = tuple(map(sum, zip(*(part.times_ns for part in mine), strict=True)))
    squares = [
        sum((part.errors[i] * part.times_ns[i]) ** 2 + SHORT_ERROR_NS**2 for part in mine)
        for i in range(len(sizes))
    ]
    errors = [s**0.5 / max(1, t) for s, t in zip(squares, times, strict=True)]
    layers = tuple(name for part in mine for name in part.layers)
    operators = tuple(name for part in mine for name in part.operators)
    amounts = _amounts(counted, layers)
    order = None if amounts is None else exact(sizes, amounts)
    noisy = amounts is not None and may_follow(amounts, times, errors)
    fit = fitted(sizes, times, errors)
    return GrowthRow(layers, operators, times, fit, order, len(mine), noisy)


def _amounts(counted: _Counted, layers: Sequence[str]) -> list[int] | None:
    """The layers' operations at each size, or their bytes where they compute nothing."""
    flops = [_flops(each, layers) for each in counted]
    known = [count for count in flops if count is not None]
    if len(known) < len(flops):
        return None
    return known if any(known) else [_bytes(each, layers) for each in counted]


def _flops(counted: dict[str, LayerCost], layers: Sequence[str]) -> int | None:
    found = [counted[name].operations for name in layers if name in counted]
    known = [operations.flops for operations in found if operations is not None]
    return sum(known) if len(known) == len(found) else None


def _bytes(counted: dict[str, LayerCost], layers: Sequence[str]) -> int:
    return sum(counted[name].bytes for name in layers if name in counted)
