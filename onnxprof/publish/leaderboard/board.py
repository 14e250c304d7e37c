"""Models against systems under one choice of settings: only like is set beside like.

A system is a device and a runtime. What ran with other settings than the chosen ones is no figure
of the table: its cell says which settings it has.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from onnxprof.compare.settings import (
    ANY_THREADS,
    Facet,
    Settings,
    Work,
    differing,
    facet_words,
    threads_text,
    usual,
    work_words,
)
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.publish.pages.catalogue import Entry, ModelPage, standing_entry

#: Device and runtime.
Column = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that all figures of the table share; sizes of axes are chosen by model."""

    batch: int
    threads: int
    """On CPUs; ANY_THREADS where no run is on one."""
    written: bool
    """Whether graphs as written are shown, which the runtime was not to optimise."""

    @property
    def words(self) -> str:
        """`batch 1, 2 threads`."""
        threads = () if self.threads == ANY_THREADS else (threads_text(self.threads),)
        graph = ("graphs as written",) if self.written else ()
        return ", ".join((f"batch {self.batch}", *threads, *graph))


@dataclass(frozen=True, slots=True)
class Record:
    """The run that stands for a model, a system, a batch size and settings."""

    column: int
    batch: int
    settings: Settings
    entry: Entry

    @property
    def time_ns(self) -> int | None:
        """The latency of right outputs, which alone is ranked."""
        return None if self.entry.wrong else self.entry.latency_ns


@dataclass(frozen=True, slots=True)
class Cell:
    """A model on a system."""

    record: Record | None = None
    """The run of the chosen settings."""
    other: Record | None = None
    """The run that has most of them, where none has all."""
    apart: str = ""
    """What there is instead, in words: `only batch 8, 16 threads`, `up to batch 4`."""
    share: float | None = None
    """The row's best latency over this one; None where the row has nothing to compare."""

    wins: bool = False
    """Whether it is surely faster than each other one, by the rule of `compare`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A model on all systems."""

    model: ModelPage
    work: Work
    cells: tuple[Cell, ...]

    @property
    def sizes(self) -> str:
        """The sizes of axes and the inputs that its figures share."""
        return ", ".join(work_words(self.work))


@dataclass(frozen=True)
class Board:
    """Everything that the table can show."""

    models: tuple[ModelPage, ...]
    columns: tuple[Column, ...]
    records: tuple[tuple[Record, ...], ...]
    """By model: by column, batch and settings."""

    @cached_property
    def batches(self) -> list[int]:
        """Every batch size that a run has."""
        return sorted({record.batch for record in self._all})

    @cached_property
    def threads(self) -> list[int]:
        """Every number of threads of a run on a CPU."""
        return sorted({r.settings.threads for r in self._all} - {ANY_THREADS})

    @cached_property
    def graphs(self) -> list[bool]:
        """Whether graphs ran as optimised, as written, or both."""
        return sorted({record.settings.written for record in self._all})

    @cached_property
    def works(self) -> list[Work]:
        """The choices of sizes of the models that ran with several."""
        several = [works for works in self._works_by_model if len(works) > 1]
        return sorted({work for works in several for work in works})

    @cached_property
    def has_energy(self) -> bool:
        """Whether the energy of any run was read."""
        return any(energy_mj(record.entry) is not None for record in self._all)

    @cached_property
    def default(self) -> Choice:
        """Optimised graphs; the batch size and threads of most runs, the smallest of equals."""
        graph = bool(self.graphs) and self.graphs[0]
        there = [record for record in self._all if record.settings.written == graph]
        told = [record for record in there if record.time_ns is not None] or there
        threads = [r.settings.threads for r in told if r.settings.threads != ANY_THREADS]
        some_threads, batch = usual(threads), usual(record.batch for record in told)
        return Choice(batch or 1, ANY_THREADS if some_threads is None else some_threads, graph)

    def rows(self, choice: Choice) -> list[Row]:
        """All models under a choice, each at its usual sizes."""
        return [
            _row(model, records, len(self.columns), choice)
            for model, records in zip(self.models, self.records, strict=True)
        ]

    @property
    def _all(self) -> Iterable[Record]:
        return (record for records in self.records for record in records)

    @property
    def _works_by_model(self) -> list[set[Work]]:
        return [{record.settings.work for record in records} for records in self.records]


def board(models: Sequence[ModelPage]) -> Board:
    """The table of these models, with a column for each system that any of them ran on."""
    columns = sorted({(s.device, s.runtime) for model in models for s in model.systems})
    places = {column: i for i, column in enumerate(columns)}
    return Board(tuple(models), tuple(columns), tuple(_records(model, places) for model in models))


def usual_work(records: Sequence[Record]) -> Work:
    """The sizes of axes and inputs of most of a model's runs, the smallest of equals."""
    told = [r for r in records if r.time_ns is not None] or records
    return usual(record.settings.work for record in told) or ((), "", "")


def energy_mj(entry: Entry) -> float | None:
    """Energy of the device for one inference, the idle share included; None if not read."""
    read = entry.run.telemetry
    spent = read.device_mj() if read else None
    return None if spent is None or not read else spent / read.inferences


def _records(model: ModelPage, places: dict[Column, int]) -> tuple[Record, ...]:
    alike: dict[tuple[int, int, Settings], list[Entry]] = defaultdict(list)
    for entry in model.entries:
        system = model.systems[entry.system]
        column = places[system.device, system.runtime]
        alike[column, entry.batch, entry.settings].append(entry)
    chosen = {key: standing_entry(entries) for key, entries in alike.items()}
    return tuple(Record(*key, entry) for key, entry in sorted(chosen.items()) if entry)


def _row(model: ModelPage, records: Sequence[Record], columns: int, choice: Choice) -> Row:
    work = usual_work(records)
    wanted = Settings(*work, choice.written, choice.threads)
    cells = [
        _cell([r for r in records if r.column == i], choice.batch, wanted) for i in range(columns)
    ]
    return Row(model, work, tuple(_ranked(cells)))


def _cell(records: Sequence[Record], batch: int, wanted: Settings) -> Cell:
    """The run with the wanted settings, else the first good one of those with the fewest others."""
    told = [(_unlike(record, batch, wanted), record) for record in records]
    if alike := next((record for unlike, record in told if not unlike), None):
        return Cell(alike)
    others = [pair for pair in told if pair[1].entry.latency_ns is not None]
    if not others:
        return Cell()
    unlike, nearest = min(others, key=lambda pair: len(pair[0]))
    if nearest.batch == batch:
        return Cell(other=nearest, apart=f"only {', '.join(unlike)}")
    same = [record for _, record in others if record.settings == nearest.settings]
    sizes, other = _batches(same, batch)
    return Cell(other=other, apart=", ".join((sizes, *unlike[1:])))


def _batches(alike: Sequence[Record], batch: int) -> tuple[str, Record]:
    """The batch sizes of runs of the same settings in words, and the run nearest to `batch`."""
    least, *_ = found = sorted(alike, key=lambda record: record.batch)
    most = found[-1]
    if len(found) == 1:
        return f"only batch {least.batch}", least
    if most.batch < batch:
        return f"up to batch {most.batch}", most
    if least.batch > batch:
        return f"from batch {least.batch}", least
    return f"only batches {', '.join(str(record.batch) for record in found)}", least


def _unlike(record: Record, batch: int, wanted: Settings) -> list[str]:
    """What a run has instead of what is wanted, in words, one for each facet."""
    words = [] if record.batch == batch else [f"batch {record.batch}"]
    unlike = differing(record.settings, wanted)
    return words + [facet_text(record.settings, facet) for facet in unlike]


def facet_text(settings: Settings, facet: Facet) -> str:
    """A facet in words, the plain one too."""
    return ", ".join(facet_words(settings, facet)) or PLAIN[facet]


#: What a run has instead where its own setting has no words.
PLAIN = {
    Facet.WORK: "default sizes",
    Facet.GRAPH: "optimised",
    Facet.THREADS: "any threads",
    Facet.SETUP: "usual options",
}


def _ranked(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with their shares of the best, where there are two latencies or more."""
    times = [cell.record.time_ns if cell.record else None for cell in cells]
    known = [ns for ns in times if ns]
    if len(known) < 2:
        return list(cells)
    best = min(known)
    told = [cell.record for cell, ns in zip(cells, times, strict=True) if ns and cell.record]
    sure = _sure_winner(told)
    return [
        replace(
            cell,
            share=best / ns if ns else None,
            wins=sure is not None and cell.record is sure,
        )
        for cell, ns in zip(cells, times, strict=True)
    ]


def _sure_winner(records: Sequence[Record]) -> Record | None:
    """The fastest where it is faster than each other one beyond doubt; None where it is not."""
    first, *others = sorted(records, key=lambda record: record.time_ns or 0)
    return first if all(_is_faster(first, other) for other in others) else None


def _is_faster(one: Record, other: Record) -> bool:
    """Whether the interval of the ratio of both latencies excludes the threshold."""
    ours, theirs = one.entry.reach, other.entry.reach
    if ours is None or theirs is None or not one.time_ns or not other.time_ns:
        return False
    apart = math.log(other.time_ns / one.time_ns)
    return apart - math.hypot(ours, theirs) > math.log(1 + THRESHOLD)
