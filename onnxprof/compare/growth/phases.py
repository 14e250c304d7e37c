"""Runs of a model's phases side by side, and how each layer grows with the length."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.blocks import Part, latency_error, parts
from onnxprof.compare.growth.orders import Fit, Order, exact, fitted, may_follow
from onnxprof.compare.systems import system
from onnxprof.compare.table import RowKind
from onnxprof.cost.count import costs
from onnxprof.records.cost import LayerCost
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase, PhaseKind

#: Standard error of a block's time in each run, beside what its own samples show. Blocks of up to
#: 0.8 µs whose cost is constant differ between sizes by 0.08 to 0.17 µs, where their samples say
#: 0.01: the place of buffers in memory and what ran before them count as much.
SHORT_ERROR_NS = 150.0

#: Costs of layers by name, at each size.
_Counted = Sequence[dict[str, LayerCost]]


@dataclass(frozen=True, slots=True)
class Column:
    """A run in a phase."""

    phase: Phase
    run: Run
    latency_ns: int
    interval_ns: tuple[int, int]

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens, or steps, a second of one sequence after another; None without a latency."""
        items = self.phase.new * self.run.request.batch
        return items * 1e9 / self.latency_ns if self.latency_ns else None


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
    """One kind of phase at two or more sizes."""

    kind: PhaseKind
    sizes: tuple[int, ...]
    """Smallest first."""
    fit: Fit
    """Of the un-profiled median."""
    latencies_ns: tuple[int, ...]
    sums: tuple[GrowthRow, ...]
    """Blocks of layers together whose costs have one order."""
    rows: tuple[GrowthRow, ...]
    """Every block, in graph order."""


@dataclass(frozen=True, slots=True)
class Phases:
    """The phases of a model on one system; of each column the rows add up to its latency."""

    model: str
    columns: tuple[Column, ...]
    """Prompts first, then tokens behind them, by size."""
    rows: tuple[Part, ...]
    """Blocks in graph order, then what is no layer's; empty where a run has no step times."""
    growths: tuple[Growth, ...] = field(default=())

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the columns."""
        return tuple(column.run for column in self.columns)


def phases(runs: Sequence[Run]) -> list[Phases]:
    """The phases of each model on each system, where runs have any; of equals the last counts."""
    return [_of_group(group) for group in _groups(runs)]


def _of_group(group: Sequence[Run]) -> Phases:
    columns = tuple(sorted(map(_column, group), key=lambda column: column.phase.order))
    ordered = [column.run for column in columns]
    names = dict.fromkeys(run.request.model_name for run in ordered)
    grown = (_growth(columns, kind) for kind in PhaseKind if kind is not PhaseKind.STEPS)
    return Phases(
        " + ".join(names), columns, tuple(parts(ordered)), tuple(g for g in grown if g is not None)
    )


def _column(run: Run) -> Column:
    sums = reconcile(run)
    return Column(Phase.of(run.request.phase), run, sums.total_ns, sums.interval_ns)


def _groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ in their phase alone; two files for two phases are one model."""
    found: dict[Hashable, dict[str, Run]] = {}
    for run in runs:
        if run.request.phase and run.has_latency:
            found.setdefault(_likeness(run), {})[run.request.phase] = run
    return [list(group.values()) for group in _joined(list(found.values()))]


def _likeness(run: Run) -> Hashable:
    asked = run.request
    others = asked.batch, tuple(sorted(asked.dims)), asked.setup, asked.granularity
    return asked.model_sha256, system(run), others


def _joined(groups: list[dict[str, Run]]) -> Iterator[dict[str, Run]]:
    """A file for the prompt with the one for later tokens, where there is one of each."""
    if len(groups) == 2 and not set(_kinds(groups[0])) & set(_kinds(groups[1])):
        first, second = (_likeness(next(iter(group.values()))) for group in groups)
        if first[1:] == second[1:]:  # type: ignore[index]
            yield groups[0] | groups[1]
            return
    yield from groups


def _kinds(group: dict[str, Run]) -> list[PhaseKind]:
    return [Phase.of(text).kind for text in group]


def _growth(columns: Sequence[Column], kind: PhaseKind) -> Growth | None:
    mine = [column for column in columns if column.phase.kind is kind]
    sizes = tuple(column.phase.size for column in mine)
    if len(set(sizes)) < 2 or len({c.run.request.model_sha256 for c in mine}) > 1:
        return None
    runs = [column.run for column in mine]
    latencies = tuple(column.latency_ns for column in mine)
    whole = fitted(sizes, latencies, [latency_error(run) for run in runs])
    blocks = [part for part in parts(runs) if part.kind is RowKind.BLOCK]
    counted = [{cost.layer: cost for cost in costs(run.table)} for run in runs]
    rows = tuple(_row([part], sizes, counted) for part in blocks)
    return Growth(kind, sizes, whole, latencies, tuple(_sums(blocks, rows, sizes, counted)), rows)


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
