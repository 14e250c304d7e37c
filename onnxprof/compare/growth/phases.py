"""Runs of a model's phases side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.blocks import Part, parts
from onnxprof.compare.growth.rows import Growth, growth
from onnxprof.compare.growth.two_files import pairs
from onnxprof.compare.systems import system
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase, PhaseKind


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
    found: dict[Hashable, dict[Hashable, dict[str, Run]]] = {}
    for run in runs:
        if run.request.phase and run.has_latency:
            files = found.setdefault(_conditions(run), {})
            files.setdefault(run.request.model_sha256, {})[run.request.phase] = run
    joined = (group for files in found.values() for group in _joined(list(files.values())))
    return [list(group.values()) for group in joined]


def _conditions(run: Run) -> Hashable:
    """All that runs of one table have in common, but for the file."""
    asked = run.request
    return system(run), asked.batch, tuple(sorted(asked.dims)), asked.setup, asked.granularity


def _joined(groups: Sequence[dict[str, Run]]) -> Iterator[dict[str, Run]]:
    """A file for the prompt with the one for later tokens, where they belong together."""
    partner = {place: pair for pair in pairs(groups) for place in pair}
    for place, group in enumerate(groups):
        pair = partner.get(place, (place, place))
        if place == min(pair):
            yield group | groups[max(pair)]


def _growth(columns: Sequence[Column], kind: PhaseKind) -> Growth | None:
    mine = [column for column in columns if column.phase.kind is kind]
    sizes = [column.phase.size for column in mine]
    if len(set(sizes)) < 2 or len({c.run.request.model_sha256 for c in mine}) > 1:
        return None
    return growth([column.run for column in mine], sizes, kind)
