"""`onnxprof optimized`: the graph that a runtime executes beside that of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json, Stores, roots_of
from onnxprof.cli.output import (
    TABLES,
    deliver,
    deliver_document,
    display,
    file_format,
    plain_text,
    say,
)
from onnxprof.cli.parameters import ONE_PHASE, ONE_SIZE, Own, SaveOptimized, takes
from onnxprof.jobs.options import TABLE, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.analysis.optimised import Optimised
    from onnxprof.jobs.job import Job
    from onnxprof.records.run import Run
    from onnxprof.sweeps.tasks import Task

_FORMATS = {**{name: TABLES[name] for name in ("table", "csv", "json")}, "dot": (".dot", ".gv")}
#: Seconds of measuring: the steps' shares are no more than an outline here.
_BUDGET = 0.5


@takes(
    *("what", "backend", "provider", "device", "batch", "threads", "budget", "dim", "phase"),
    *(
        "inputs",
        "seed",
        "optimization_level",
        "session_option",
        "provider_option",
        "save_optimized",
    ),
    *("format", "as_json", "output", "store"),
    dim=ONE_SIZE,
    device=Own("A device's id or kind [default: the provider's]."),
    batch=Own("Batch size.", default=1, least=1),
    budget=Own("Seconds of measuring, for the steps' shares.", default=_BUDGET),
    phase=Own(ONE_PHASE),
)
def optimized(
    asked: dict[str, Any],
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN",
            help="An ONNX file, zoo:NAME, hub:NAME or hf:…; or a stored run, by id or file.",
        ),
    ],
    save_optimized: SaveOptimized = None,
    format: Annotated[
        str, typer.Option(help="table, csv, json or dot; by default that of the output file.")
    ] = "",
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
    store: Stores = None,
) -> int:
    """Show what a runtime made of a model: each executed step beside the layers it came from.

    And what it inserted, computed while loading, and left out. A stored run is shown as it ran; a
    model is loaded and run for that, and nothing is stored.
    """
    from onnxprof.analysis.optimised import optimised

    chosen = file_format(format, output, _FORMATS, "table", as_json)
    if _is_model(what):
        run = _measured(what, asked, save_optimized)
    else:
        _refuse_settings(asked, save_optimized)
        run = _stored(what, store)
    _write(optimised(run), chosen, output)
    return 0


def _is_model(text: str) -> bool:
    from onnxprof.model.sources.resolve import is_remote

    return is_remote(text) or text.lower().endswith(".onnx")


def _refuse_settings(asked: dict[str, Any], target: Path | None) -> None:
    """Raise UsageError for what a stored run has settled."""
    from onnxprof.errors import UsageError
    from onnxprof.measure.budget import Budget

    usual = {name: option.default for name, option in TABLE.items()}
    usual |= {"batches": (1,), "budget": Budget(_BUDGET)}
    given = [TABLE[name].flag for name, value in asked.items() if value != usual[name]]
    given += ["--save-optimized"] if target else []
    if given:
        raise UsageError(
            f"a stored run is shown as it ran, and {given[0]} is for models",
            remedy=f"Leave out {', '.join(given)}, or name the model",
        )


def _stored(text: str, store: list[str] | None) -> Run:
    from onnxprof.store.folder import load
    from onnxprof.store.select import Need, select

    runs = select(text, roots_of(store), None, Need.TIMES, say=say)
    return load(runs[-1].path)


def _measured(model: str, asked: dict[str, Any], target: Path | None) -> Run:
    from rich.console import Console

    from onnxprof.cli.progress import Meter, fetching
    from onnxprof.jobs.optimised.save import check_target
    from onnxprof.jobs.sweep import measured, plan
    from onnxprof.plugins import registry

    options = Options((model,), parity=False, telemetry=False, **asked)
    console = Console(stderr=True)
    with fetching(console) as progress:
        job = plan(options, progress)[0]
    if target:
        check_target(target, registry.backend(options.backend), job.provider)
    with Meter(console, 1, options.budget.seconds) as meter:
        run = measured(job, options.limits, meter.update)
    if target:
        _save(job, target)
    return run


def _save(job: Job, target: Path) -> None:
    from onnxprof.jobs.optimised.save import save_optimised

    files = save_optimised(job, target)
    sizes = [f"{path} ({path.stat().st_size:,} bytes)" for path in files]
    say(f"the executed graph of {job.title} is in {' and '.join(sizes)}")


def refuse_target(target: Path, tasks: Sequence[Task]) -> None:
    """Raise UsageError unless one job is measured whose graph can be written there."""
    from onnxprof.errors import UsageError
    from onnxprof.jobs.optimised.save import check_target
    from onnxprof.plugins import registry

    jobs = sum(len(task.options.batches) for task in tasks)
    if jobs > 1:
        raise UsageError(
            f"--save-optimized writes one graph, and {jobs} are measured",
            remedy="Give one model, backend, device and batch, as in --batch 1",
        )
    [task] = tasks
    provider = task.options.provider or task.device_kind
    check_target(target, registry.backend(task.options.backend), provider)


def save_of_task(target: Path, task: Task) -> None:
    """Write the graph of a task of one job."""
    from dataclasses import replace

    from onnxprof.jobs.sweep import plan

    options = replace(task.options, device=task.device_id or task.options.device)
    [job] = plan(options, optional=task.optional_dims)
    _save(job, target)


def _write(found: Optimised, chosen: str, output: Path | None) -> None:
    from onnxprof.publish.json.inspected import optimized
    from onnxprof.publish.optimised import dot, records, table

    if chosen == "json":
        return deliver_document(optimized(records.body(found)), output)
    if chosen == "table" and output is None:
        return display(*table.parts(found))
    if chosen == "table":
        return deliver(plain_text(*table.parts(found)), output)
    return deliver(records.to_csv(found) if chosen == "csv" else dot.to_dot(found), output)
