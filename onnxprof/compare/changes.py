"""Did anything get slower: two groups of runs in, verdicts for each model and layer out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxprof.analysis.processes import cut_alike
from onnxprof.compare.blocks import Block, finest_blocks
from onnxprof.compare.quantised.counterpart import Counterpart, counterparts
from onnxprof.compare.quantised.gains import BlockTime, Gains, gains
from onnxprof.compare.ratios import (
    Floats,
    Pairs,
    Ratios,
    benjamini_hochberg,
    joined,
    paired_ratios,
    ratios,
)
from onnxprof.compare.replicates import (
    latency_group,
    latency_replicates,
    printed_interruptions_ns,
    printed_latency_ns,
    printed_ns,
    profilers_cost_ns,
    row_group,
    side_by_side,
    true_replicates,
)
from onnxprof.compare.systems import Difference, differences, runtime_version, timer
from onnxprof.compare.verdict import (
    Caveat,
    Remark,
    Side,
    Verdict,
    decides_latency,
    decides_layers,
    has_latency_interval,
    has_layer_intervals,
    limits,
    ordered,
    verdict,
)
from onnxprof.records.run import Run

#: The row of steps that only quantise or dequantise.
CONVERSIONS = "(Q/DQ)"
#: What a row is called, and the layers in it.
Label = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """A model, or a block of layers that are whole steps on both sides, in A and in B."""

    name: str
    layers: tuple[str, ...]
    a_ns: float | None
    """As every table of the run has it, of several runs the mean; None where A has no time."""
    b_ns: float | None
    verdict: Verdict
    ratio: float | None = None
    """B over A: of these times, or of neighbouring blocks where both were measured in turn."""
    interval: tuple[float, float] | None = None
    """95 % interval of the ratio, for this row alone."""
    q: float | None = None
    """The smallest false-discovery rate at which this row would be called different."""
    share: float = 0.0
    """Of A's latency, or of B's where A has none."""
    only_a: tuple[str, ...] = ()
    """Layers of the block that are not among B's."""
    only_b: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One model at one batch size on both sides."""

    a: tuple[Run, ...]
    b: tuple[Run, ...]
    processes: tuple[int, int]
    latency: Row
    rows: tuple[Row, ...]
    """Blocks of layers, then time that belongs to no layer, where there is such."""
    differences: tuple[Difference, ...]
    remarks: tuple[Remark, ...]
    """Caveats; side 0 is A, 1 is B."""
    interruptions_ns: tuple[float | None, float | None] = (None, None)
    """Of A and of B; None where no run's timer can tell."""
    quantised: Gains | None = None
    """Layer by layer, where one side is a quantised form of the other."""

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What limits the verdicts."""
        return tuple(remark.kind for remark in self.remarks)

    @property
    def sides(self) -> tuple[Side, Side]:
        """What limits the verdicts on A and on B."""
        return Side.of(self.a, self.processes[0]), Side.of(self.b, self.processes[1])

    @property
    def overhead_ns(self) -> tuple[float, float]:
        """Latency less the rows and interruptions, of A and of B."""
        a = (self.latency.a_ns or 0.0) - sum(row.a_ns or 0.0 for row in self.rows)
        b = (self.latency.b_ns or 0.0) - sum(row.b_ns or 0.0 for row in self.rows)
        return a - (self.interruptions_ns[0] or 0.0), b - (self.interruptions_ns[1] or 0.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair, and what was on one side only."""

    pairs: tuple[Pair, ...]
    threshold: float
    """The smallest change that matters, as a fraction."""
    in_turn: bool = False
    """Whether ratios are those of blocks that were measured one after the other."""
    unmatched_a: tuple[Run, ...] = ()
    unmatched_b: tuple[Run, ...] = ()

    @property
    def regressed(self) -> bool:
        """Whether any model or layer is slower."""
        rows = (row for pair in self.pairs for row in (pair.latency, *pair.rows))
        return any(row.verdict is Verdict.SLOWER for row in rows)


def compare(
    pairs: Sequence[tuple[Sequence[Run], Sequence[Run]]], threshold: float, *, in_turn: bool = False
) -> Comparison:
    """Compare the runs of each pair; false discoveries are held over all pairs' layers.

    Runs of one side count as processes of one another; `in_turn` says that each side is one run
    of `alternate`, whose blocks have neighbours on the other side. Raises StoreError for runs
    without times, and ValueError for runs that were not measured in turn.
    """
    measured = [_pair(tuple(a), tuple(b), threshold, in_turn) for a, b in pairs]
    models = judged([pair.latency for pair in measured], threshold)
    layers = iter(judged([row for pair in measured for row in pair.rows], threshold))
    whole = [
        replace(pair, latency=model, rows=tuple(next(layers) for _ in pair.rows))
        for pair, model in zip(measured, models, strict=True)
    ]
    return Comparison(tuple(_restrained(p, in_turn) for p in whole), threshold, in_turn)


def judged(rows: Sequence[Row], threshold: float) -> list[Row]:
    """From p-values, which `q` holds until here, to verdicts over the whole family.

    The latency of a comparison of one pair has its p-value there, since it is the whole family.
    """
    p = np.array([np.nan if row.q is None else row.q for row in rows], np.float64)
    adjusted = benjamini_hochberg(p)
    return [_verdict(row, float(q), threshold) for row, q in zip(rows, adjusted, strict=True)]


def _verdict(row: Row, q: float, threshold: float) -> Row:
    if row.ratio is None or row.interval is None or np.isnan(q):
        return row
    return replace(row, q=q, verdict=verdict(row.ratio, row.interval, threshold, q))


def _restrained(pair: Pair, in_turn: bool) -> Pair:
    """Without verdicts where something forbids them, and with its caveats."""
    a, b = pair.sides
    if not decides_layers(a, b):
        known = has_layer_intervals(a, b)
        pair = replace(pair, rows=tuple(_undecided(row, known) for row in pair.rows))
    if not decides_latency(a, b):
        pair = replace(pair, latency=_undecided(pair.latency, has_latency_interval(a, b)))
    return replace(pair, remarks=ordered(tuple(_remarks(pair, in_turn))))


def _undecided(row: Row, known: bool) -> Row:
    """Without a verdict; `known` is whether there are samples enough for an interval."""
    if row.ratio is None:
        return row
    row = replace(row, verdict=Verdict.UNDECIDED)
    return row if known else replace(row, interval=None, q=None)


def _pair(a: tuple[Run, ...], b: tuple[Run, ...], threshold: float, in_turn: bool) -> Pair:
    sides = [joined([latency_group(run) for run in side]) for side in (a, b)]
    times = [printed_latency_ns(side) for side in (a, b)]
    apart = paired_ratios(_beside(a, b)) if in_turn else ratios(*sides).of_times(*times)
    latency = _rows([("(latency)", ())], apart, times, threshold)[0]
    processes = (sides[0].times_ns.shape[1], sides[1].times_ns.shape[1])
    named = counterparts(a + b)
    rows = tuple(_layer_rows(named, len(a), threshold, in_turn))
    total = latency.a_ns or 1.0
    return Pair(
        a,
        b,
        processes,
        replace(latency, share=1.0),
        tuple(replace(row, share=_share(row, total, latency.b_ns or 1.0)) for row in rows),
        differences(a[0], b[0]),
        (),
        (printed_interruptions_ns(a), printed_interruptions_ns(b)),
        _gains(rows, named[: len(a)], named[len(a) :]),
    )


def _gains(rows: Sequence[Row], a: Sequence[Counterpart], b: Sequence[Counterpart]) -> Gains | None:
    """What quantising gained, where one side is a quantised form of the other."""
    if (a[0].match is None) == (b[0].match is None):
        return None
    layers = [row for row in rows if row.layers and row.name != CONVERSIONS]
    if a[0].match is None:
        return gains([_block_time(row, row.a_ns, row.b_ns) for row in layers], b, 0)
    return gains([_block_time(row, row.b_ns, row.a_ns) for row in layers], a, 1)


def _block_time(row: Row, float_ns: float | None, quantised_ns: float | None) -> BlockTime:
    return row.layers, float_ns, quantised_ns


def _share(row: Row, total_a: float, total_b: float) -> float:
    return row.a_ns / total_a if row.a_ns is not None else (row.b_ns or 0.0) / total_b


def _layer_rows(
    named: Sequence[Counterpart], first_b: int, threshold: float, in_turn: bool
) -> list[Row]:
    runs = tuple(its.run for its in named)
    blocks = [*finest_blocks(runs), Block((), tuple(its.strays for its in named))]
    converting = Block(_converting(named), tuple(its.conversions for its in named))
    blocks = [block for block in (*blocks[:-1], converting, blocks[-1]) if any(block.steps)]
    steps = [[block.steps[i] for block in blocks] for i in range(len(runs))]
    apart, means = _judged_layers(runs, steps, first_b, in_turn)
    operators = {layer.name: layer.op_type for run in runs for layer in run.table.nodes}
    titles = [_title(b, runs, operators) if b is not converting else CONVERSIONS for b in blocks]
    labels = [(title, block.layers) for title, block in zip(titles, blocks, strict=True)]
    rows = _rows(labels, apart, means, threshold)
    names = _names(runs[:first_b]), _names(runs[first_b:])
    told = tuple(its.told for its in named)
    own = _names(told[:first_b]), _names(told[first_b:])
    placed = [
        _placed(row, block, first_b, own if block is converting else names)
        for row, block in zip(rows, blocks, strict=True)
    ]
    return [row for row in placed if row.a_ns or row.b_ns]


def _converting(named: Sequence[Counterpart]) -> tuple[str, ...]:
    """The quantised network's layers in steps that only quantise or dequantise."""
    steps = (its.told.steps[number] for its in named for number in its.conversions)
    return tuple(dict.fromkeys(name for step in steps for name in step.layers))


def _judged_layers(
    runs: Sequence[Run], steps: Sequence[Sequence[tuple[int, ...]]], first_b: int, in_turn: bool
) -> tuple[Ratios, list[Floats]]:
    """Ratios of the rows that these steps of each run make up, and the times of both sides.

    Times are those of each run's own table; how they scatter is judged at cuts that all share.
    """
    sides = slice(0, first_b), slice(first_b, None)
    times = [printed_ns(runs[side], steps[side]) for side in sides]
    alike = cut_alike(runs)
    if in_turn:
        costs = _profilers_costs_ns(alike)
        of_steps = [true_replicates(run, ns) for run, ns in zip(alike, costs, strict=True)]
        of_rows = [side.summed(rows) for side, rows in zip(of_steps, steps, strict=True)]
        return paired_ratios(side_by_side(*of_rows)), times
    groups = [row_group(run, rows) for run, rows in zip(alike, steps, strict=True)]
    joint = [joined(groups[side]) for side in sides]
    return ratios(*joint).of_times(*times), times


def _profilers_costs_ns(runs: Sequence[Run]) -> list[float]:
    """What the profiler adds to a node: one figure, unless versions of a runtime differ."""
    if len({runtime_version(run) for run in runs}) > 1:
        return [profilers_cost_ns([run]) for run in runs]
    return [profilers_cost_ns(runs)] * len(runs)


def _beside(a: tuple[Run, ...], b: tuple[Run, ...]) -> Pairs:
    """The latency of both, block by neighbouring block."""
    if len(a) != 1 or len(b) != 1:
        raise ValueError(f"no pairs: {len(a)} and {len(b)} runs")
    return side_by_side(latency_replicates(a[0]), latency_replicates(b[0]))


def _names(runs: tuple[Run, ...]) -> frozenset[str]:
    return frozenset(layer.name for run in runs for layer in run.table.nodes)


def _placed(
    row: Row, block: Block, first_b: int, names: tuple[frozenset[str], frozenset[str]]
) -> Row:
    """A block that only one side executed is listed as such, with that side's time."""
    row = replace(
        row,
        only_a=tuple(name for name in row.layers if name not in names[1]),
        only_b=tuple(name for name in row.layers if name not in names[0]),
    )
    if not any(block.steps[first_b:]):
        return replace(row, b_ns=None, verdict=Verdict.ONLY_A)
    if not any(block.steps[:first_b]):
        return replace(row, a_ns=None, verdict=Verdict.ONLY_B)
    return row


def _title(block: Block, runs: Sequence[Run], operators: Mapping[str, str]) -> str:
    """The layer that a reader will look for: of a FusedConv, the Conv."""
    if not block.layers:
        return "(no layer)"
    steps = [run.steps[i] for run, own in zip(runs, block.steps, strict=True) for i in own]
    executed = max(steps, key=lambda step: len(step.layers)).op_type
    known = ((name, operators.get(name)) for name in block.layers)
    alike = (name for name, operator in known if operator and operator in executed)
    return next(alike, block.layers[0])


def _rows(
    labels: Sequence[Label], apart: Ratios, means: Sequence[Floats], threshold: float
) -> list[Row]:
    """Undecided rows, with their p-value as `q`."""
    p = apart.p_values(float(np.log1p(threshold)))
    low, high = apart.interval()
    return [
        _row(label, (means[0][i], means[1][i]), (apart.effect[i], low[i], high[i], p[i]))
        for i, label in enumerate(labels)
    ]


def _row(
    label: Label, times: tuple[float, float], figures: tuple[float, float, float, float]
) -> Row:
    a_ns, b_ns = (0.0 if np.isnan(t) else float(t) for t in times)
    effect, low, high, p = map(float, figures)
    if np.isnan(effect):
        return Row(*label, a_ns, b_ns, Verdict.UNDECIDED)
    ratio = float(np.exp(effect))
    return Row(*label, a_ns, b_ns, Verdict.UNDECIDED, ratio, (low, high), p)


def _remarks(pair: Pair, in_turn: bool) -> Iterator[Remark]:
    yield from limits(pair.sides, in_turn=in_turn)
    if len({timer(run) for run in pair.a + pair.b}) > 1:
        yield Remark(Caveat.TIMERS_DIFFER)
    if pair.rows and not any(row.ratio is not None for row in pair.rows if row.layers):
        yield Remark(Caveat.NO_COMMON_LAYER)
