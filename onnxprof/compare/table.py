"""The nouns of an alignment: columns, rows, cells and what a reader must know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onnxprof.compare.verdict import Remark, Verdict
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence


class Fate(StrEnum):
    """Why a run has no time for a layer."""

    FOLDED = "folded"
    CONSTANT = "constant"
    INPUT = "input"
    NOT_EXECUTED = "not executed"
    UNTIMED = "never timed"
    ABSENT = "not in its model"
    UNTOLD = "no time of its own"


class RowKind(StrEnum):
    """What a row stands for."""

    BLOCK = "block"
    LAYERS = "layers"
    CONVERSIONS = "conversions"
    NO_LAYER = "no layer"
    INTERRUPTIONS = "interruptions"
    OVERHEAD = "overhead"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Column:
    """One run, and what it adds up to."""

    run: Run
    label: str
    """The shortest name that tells it from the other columns."""
    version: str
    """Its runtime and version; empty where unknown."""
    total_ns: int | None
    """Un-profiled median; None for an imported run that has none."""
    interval_ns: tuple[int, int] | None
    """95 % interval of the median; below six samples their range."""
    processes: int
    whole: bool
    """Its only step covers all layers: it is in the sums, but bounds no block."""
    quantised: bool = False
    """A quantised network's run under the names of the float network's layers."""

    @property
    def samples(self) -> int:
        """Un-profiled inferences; 0 for an imported run that has none."""
        return 0 if self.run.timings is None else int(self.run.timings.latency_ns.size)

    @property
    def wrong(self) -> bool:
        """Whether its outputs differ from the reference's."""
        return self.run.parity is not None and self.run.parity.passed is False


@dataclass(frozen=True, slots=True)
class Cell:
    """A row's figures in one run."""

    ns: int | None = None
    """None where the run has no time for it."""
    share: float | None = None
    """Of the run's un-profiled median, or of its steps' sum where it has none."""
    ratio: float | None = None
    """Over the baseline's time; None in the baseline itself and where either has no time."""
    interval: tuple[float, float] | None = None
    """95 % interval of the ratio, for this cell alone."""
    verdict: Verdict | None = None
    """`slower` or `faster` where the interval excludes 1 by more than the threshold."""
    steps: tuple[int, ...] = ()
    """Numbers of the run's steps that it adds up."""
    confidence: Confidence = Confidence.NONE
    """The weakest tie of these steps to their layers."""
    missing: tuple[tuple[str, Fate], ...] = ()
    """Layers of the block that no step of this run covers, and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A block of layers or a sum, a cell a column."""

    kind: RowKind
    cells: tuple[Cell, ...]
    layers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    """One a layer; empty text for a layer that is in no table."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A layer that no run has a time for, and each run's reason."""

    name: str
    operator: str
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Runs side by side. Each column adds up exactly:
    `rows + conversions + no_layer + interruptions + overhead = total`.

    Overhead and total of a run without un-profiled latencies are not known, and neither are
    interruptions where the timer cannot tell them.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Blocks in graph order."""
    layer_sum: Row
    """All blocks, or the only step of a run that has but one."""
    no_layer: Row
    interruptions: Row
    overhead: Row
    total: Row
    """The un-profiled medians."""
    unplaced: tuple[Unplaced, ...]
    baseline: int
    """Number of the column that ratios are taken over."""
    threshold: float
    remarks: tuple[Remark, ...]
    conversions: Row | None = None
    """Steps of quantised networks that only quantise or dequantise; None without a float network
    among the columns to match them with."""

    @property
    def sums(self) -> tuple[Row, ...]:
        """The rows below the blocks, in order."""
        conversions = (self.conversions,) if self.conversions else ()
        return (
            *(self.layer_sum, *conversions, self.no_layer),
            *(self.interruptions, self.overhead, self.total),
        )
