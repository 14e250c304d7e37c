"""Load scenarios: one in 80 columns, a list, systems against models; as CSV and JSON, too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.publish.text import scenarios as words
from onnxprof.publish.text.csv import csv_of_records
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import in_json, printable, shortened
from onnxprof.publish.text.sentences import threads
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.run import RUNTIME
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Asked, Scenario
from onnxprof.records.scenarios.run import LABEL, ScenarioRun
from onnxprof.store.beside.scenarios import asked_id
from onnxprof.store.encoding import to_json

#: The columns of the CSV and the keys of a run in JSON, in order.
COLUMNS = (
    *("id", "created", "scenario", "model", "device", "device_name", "backend", "provider"),
    *("threads", "sessions", "max_batch", "max_wait_ms", "target_latency_ms", "asked_rate"),
    *("quick", "valid", "reasons", "queries", "samples", "percentile", "percentile_ms"),
    *("estimate_ms", "scheduled_rate", "completed_rate", "mean_ms", "p50_ms", "p90_ms", "p99_ms"),
    *("p99_9_ms", "floor_ms", "floor_rate", "loadgen", "runtime", "failure", "label"),
    "options",
)
_LONGEST = 30


def summary(run: ScenarioRun) -> Iterator[RenderableType]:
    """One run: what was asked, the result and what is behind it, LoadGen's floor, how to repeat."""
    yield Text(printable(_title(run)), style="bold")
    quick = words.quick_text(run.asked)
    yield Text(f"{LABEL}. {quick}" if quick else f"{LABEL}.")
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _lines(run):
        if text:
            grid.add_row(name, Text(printable(text)))
    yield grid
    if run.answer is not None and run.asked.scenario is not Scenario.OFFLINE:
        yield _latencies(run)
    yield from (Text(f"! {warning_text(warning)}") for warning in run.warnings)


def _title(run: ScenarioRun) -> str:
    runtime = dict(run.environment).get(RUNTIME, run.asked.backend)
    name = f"{run.asked.model_name}, {run.asked.scenario}"
    return f"{name}: {runtime} ({_backend(run.asked)}) on {run.device.name or run.asked.device_id}"


def _lines(run: ScenarioRun) -> Iterator[tuple[str, str]]:
    yield "asked", words.asked_text(run.asked)
    if run.answer is None:
        yield "failed", run.failure
    else:
        yield "result", words.result_text(run)
        yield "valid", words.validity_text(run.answer)
        yield "floor", words.floor_text(run)
        yield "search", words.search_text(run.probes)
        yield "inferences", words.batches_text(run.batches)
        yield "LoadGen", "; ".join([run.loadgen, *run.answer.errors])
    yield "repeat", run.command


def _latencies(run: ScenarioRun) -> Table:
    """LoadGen's percentiles, beside those of a system that does nothing."""
    assert run.answer is not None
    what = "of a query" if run.asked.scenario is Scenario.MULTI_STREAM else "latency"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(what, no_wrap=True)
    for name in ("result", "floor"):
        table.add_column(name, justify="right", no_wrap=True)
    floors = dict(run.floor.latency_ns) if run.floor else {}
    for name, ns in run.answer.latency_ns:
        head = f"{name} %" if name[0].isdigit() else name
        table.add_row(head, duration(ns), duration(floors[name]) if name in floors else "-")
    return table


def _backend(asked: Asked) -> str:
    plain = ("", asked.device_id.partition(":")[0])
    return asked.backend if asked.provider in plain else f"{asked.backend}, {asked.provider}"


def list_table(runs: Sequence[ScenarioRun]) -> Table:
    """Stored runs, oldest first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("scenario", "model", "system", "result", "created", "id"):
        table.add_column(name, justify="right" if name == "result" else "left", overflow="fold")
    for run in runs:
        asked = run.asked
        result = f"{words.figure(run)} {words.marks(run)}" if run.answer else "failed"
        cells = (
            *(asked.scenario.value, shortened(asked.model_name, _LONGEST), system(run).name),
            *(result.strip(), run.created[:10], asked_id(asked)),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


@dataclass(frozen=True, slots=True, order=True)
class System:
    """What the same load is put on: one column of a matrix."""

    device: str
    name: str
    """Backend, threads, sessions, batches, settings; of the server scenario the target latency."""


def system(run: ScenarioRun) -> System:
    """The system of a run."""
    asked = run.asked
    parts = [_backend(asked), threads(asked.threads)]
    parts += [f"{asked.sessions} sessions"] if asked.sessions > 1 else []
    parts += [f"batch {asked.max_batch}"] if asked.max_batch > 1 else []
    parts += [f"wait {duration(asked.max_wait_ns)}"] if asked.max_wait_ns else []
    parts += [asked.runtime] if asked.runtime else []
    parts += asked.setup.words
    if asked.scenario is Scenario.SERVER:
        parts.append(f"within {duration(asked.target_latency_ns)}")
    return System(run.device.name or asked.device_id, ", ".join(parts))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Systems against models, for one scenario: the run that stands for each."""

    scenario: Scenario
    systems: tuple[System, ...]
    rows: tuple[tuple[str, tuple[ScenarioRun | None, ...]], ...]
    """A model's name, and its run on each system."""


def matrices(runs: Iterable[ScenarioRun]) -> list[Matrix]:
    """One for each scenario that has runs; runs come oldest first.

    A good run stands before a failed one, a whole one before a quick one, a valid one before an
    invalid one, then the newest.
    """
    ordered = sorted(runs, key=lambda run: (not run.failure, not run.asked.is_quick, run.valid))
    made = []
    for scenario in Scenario:
        best: dict[tuple[str, System], ScenarioRun] = {}
        for run in ordered:
            if run.asked.scenario is scenario and not run.asked.rate:
                best[run.asked.model_name, system(run)] = run
        if best:
            systems = tuple(sorted({where for _, where in best}))
            models = sorted({model for model, _ in best})
            rows = tuple((m, tuple(best.get((m, where)) for where in systems)) for m in models)
            made.append(Matrix(scenario, systems, rows))
    return made


def matrix_tables(runs: Iterable[ScenarioRun]) -> Iterator[RenderableType]:
    """Systems against models, a table a scenario."""
    found = matrices(runs)
    for matrix in found:
        yield Text(f"{matrix.scenario}: {words.JUDGED[matrix.scenario]}", style="bold")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("system", overflow="fold")
        for model, _ in matrix.rows:
            head = Text(printable(shortened(model, _LONGEST)))
            table.add_column(head, justify="right", overflow="fold")
        for i, where in enumerate(matrix.systems):
            cells = (_cell(row[i]) for _, row in matrix.rows)
            table.add_row(Text(printable(f"{where.device}, {where.name}")), *cells)
        yield table
    if found:
        yield Text(f"{LABEL}. {words.LEGEND}")


def _cell(run: ScenarioRun | None) -> str:
    if run is None:
        return ""
    return f"{words.figure(run)} {words.marks(run)}".strip() if run.answer else "failed"


def records(runs: Iterable[ScenarioRun]) -> list[dict[str, Any]]:
    """A dict a run with the keys of COLUMNS; None for what is not there."""
    return [dict(zip(COLUMNS, _values(run), strict=True)) for run in runs]


def _values(run: ScenarioRun) -> tuple[object, ...]:
    asked = run.asked
    facts = (
        *(asked_id(asked), run.created, asked.scenario.value, asked.model_name, asked.device_id),
        *(run.device.name, asked.backend, asked.provider, asked.threads, asked.sessions),
        *(asked.max_batch, asked.max_wait_ns / 1e6, asked.target_latency_ns / 1e6 or None),
        *(asked.rate or None, asked.is_quick),
    )
    settings = "; ".join(asked.setup.words)
    ends = (run.loadgen, dict(run.environment).get(RUNTIME, ""), run.failure, LABEL, settings)
    if run.answer is None:
        return (*facts, *(None,) * (len(COLUMNS) - len(facts) - len(ends)), *ends)
    return (*facts, *_answered(run.answer), *_floored(run.floor), *ends)


def _answered(answer: Answer) -> tuple[object, ...]:
    return (
        *(answer.valid, "; ".join(answer.reasons), answer.queries, answer.samples),
        *(answer.percentile, answer.percentile_ns / 1e6, answer.estimate_ns / 1e6 or None),
        *(answer.scheduled_rate or None, answer.completed_rate or None),
        *(answer.at(name) / 1e6 or None for name in ("mean", "50", "90", "99", "99.9")),
    )


def _floored(floor: Answer | None) -> tuple[object, ...]:
    return (None, None) if floor is None else (floor.percentile_ns / 1e6, floor.completed_rate)


def to_csv(runs: Iterable[ScenarioRun]) -> str:
    """A row a run."""
    return csv_of_records(COLUMNS, records(runs))


def json_text(runs: Sequence[ScenarioRun]) -> str:
    """A list of objects: the values of the CSV, and under `record` everything that is stored."""
    made = [row | {"record": to_json(run)} for row, run in zip(records(runs), runs, strict=True)]
    return in_json(json.dumps(made, indent=2, ensure_ascii=False)) + "\n"
