"""`onnxprof profile`: time every layer of models at batch sizes, and store what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.output import say
from onnxprof.cli.parameters import Own, takes
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.jobs.job import Job
    from onnxprof.jobs.sweep import Outcome
    from onnxprof.processes.confined import Limits
    from onnxprof.reasons.stored import Shelf
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store

_FEW_LAYERS, _MANY_LAYERS = 5, 10


@takes(
    *("models", "backend", "device", "provider", "batch", "threads", "budget", "processes"),
    *("granularity", "timer", "dim", "inputs", "seed", "store", "timeout", "memory"),
    *("parity", "verify", "telemetry", "allocations", "force", "wait", "quiet"),
    batch=Own(default="1,2,4,8,16,32"),
)
def profile(
    asked: dict[str, Any],
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="ONNX files, zoo:NAME, hub:NAME or hf:…")
    ],
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where runs are stored [default: runs].")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which one measurement is given up.")
    ] = 900.0,
    memory: Annotated[
        float,
        typer.Option(min=0, help="GiB that one measurement may use; 0 for what is free."),
    ] = 0.0,
    force: Annotated[
        bool, typer.Option("--force", help="Measure what will not fit into memory, too.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for a device that onnxprof is measuring on."),
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables.")] = False,
) -> int:
    """Time every layer of each model at each batch size, on one runtime and device."""
    from rich.console import Console

    from onnxprof import folders
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.confined import Limits
    from onnxprof.store.folder import Store

    limits = Limits(timeout, memory_limit(memory))
    options = Options(models=tuple(models), limits=limits, **asked)
    console = Console(stderr=True)
    planned = _plan(options, console)
    place = Store(folders.store(store))
    place.check_writable()
    kept = planned if force else _fitting(planned, limits)
    if not kept:
        return 2
    code = _measure(kept, options, place, console, quiet, None if wait else 0.0)
    return code if len(kept) == len(planned) else code or 2


def _fitting(planned: list[Job], limits: Limits) -> list[Job]:
    """The jobs without those that will exceed the memory; a line names each of these."""
    from onnxprof.jobs.sweep import too_large
    from onnxprof.publish.text.memory import refusal

    refused = too_large(planned, limits.memory_bytes)
    for job, expected in refused:
        say(refusal(job.title, expected, limits.memory_bytes))
    titles = [job for job, _ in refused]
    return [job for job in planned if not any(job is other for other in titles)]


def _plan(options: Options, console: Console) -> list[Job]:
    from onnxprof.cli.progress import fetching
    from onnxprof.jobs.sweep import plan

    with fetching(console) as progress:
        planned = plan(options, progress)
    _say_obstacles(planned)
    _say_dims(planned, options)
    return planned


def _say_obstacles(planned: list[Job]) -> None:
    for name, batch, obstacle in dict.fromkeys(
        (job.facts.name, job.batch, job.table.obstacle) for job in planned if job.table.obstacle
    ):
        say(f"{name} stays at batch {batch}: {obstacle}")


def _say_dims(planned: list[Job], options: Options) -> None:
    """Print which models do not have an axis that is given with --dim."""
    for name, axis in dict.fromkeys(
        (job.facts.name, axis)
        for job in planned
        for axis, _ in options.dims
        if axis not in dict(job.options.dims)
    ):
        say(f"{name} has no axis {axis!r}: --dim {axis} is for the other models")


def _measure(
    planned: list[Job],
    options: Options,
    store: Store,
    console: Console,
    quiet: bool,
    wait_s: float | None,
) -> int:
    from onnxprof.cli.progress import Meter
    from onnxprof.reasons.stored import Shelf

    outcomes: list[Outcome] = []
    shelf = Shelf([store.root])
    try:
        with Meter(console, len(planned), options.budget.seconds) as meter:
            for outcome in _swept(planned, options, store, meter, wait_s):
                outcomes.append(outcome)
                meter.done()
                _show(outcome, quiet, _MANY_LAYERS if len(planned) == 1 else _FEW_LAYERS, shelf)
    except KeyboardInterrupt:
        say(f"interrupted; {len(outcomes)} of {len(planned)} done and stored in {store.root}")
        return 130
    if not quiet:
        _show_scaling([outcome.run for outcome in outcomes if outcome.error is None])
    _say_missing(outcomes, shelf, quiet)
    return _close(outcomes, store)


def _say_missing(outcomes: list[Outcome], shelf: Shelf, quiet: bool) -> None:
    """Print which command measures the ceilings that were missing."""
    good = [] if quiet else [each.run for each in outcomes if each.error is None]
    for text in dict.fromkeys(text for run in good if (text := shelf.missing(run))):
        say(text)


def _swept(
    planned: list[Job], options: Options, store: Store, meter: Meter, wait_s: float | None
) -> Iterator[Outcome]:
    """Measure device by device, holding the device's lock meanwhile."""
    from itertools import groupby

    from onnxprof.jobs.proving import proven
    from onnxprof.jobs.sweep import sweep
    from onnxprof.processes.device_lock import held

    for device_id, jobs in groupby(planned, lambda job: job.device.id):
        with held(device_id, say, wait_s):
            asked = list(jobs)
            kept = proven(asked, options, meter.update)
            _say_obstacles([job for job in kept if job not in asked])
            for _ in asked[len(kept) :]:
                meter.done()
            yield from sweep(kept, options.limits, store, meter.update)


def _show(outcome: Outcome, quiet: bool, limit: int, shelf: Shelf) -> None:
    from onnxprof.cli.output import stdout_console
    from onnxprof.publish.tables.run_summary import summary

    if outcome.error is not None:
        say(str(outcome.error))
    elif not quiet:
        console = stdout_console()
        console.print(summary(outcome.run, limit=limit, ceilings=shelf.of(outcome.run)))
        console.print()


def _show_scaling(runs: list[Run]) -> None:
    """Where a model was measured at several batches, which of them is worth it."""
    from onnxprof.cli.output import display
    from onnxprof.compare.scaling import families, scaling
    from onnxprof.publish.comparing.scaling import in_short

    for group in families(runs) if len(runs) > 1 else ():
        display(*in_short(scaling(group)))


def _close(outcomes: list[Outcome], store: Store) -> int:
    lost = sum(outcome.error is not None for outcome in outcomes)
    wrong = sum(o.run.parity is not None and o.run.parity.passed is False for o in outcomes)
    good = len(outcomes) - lost
    say(
        (f"{good} {'run' if good == 1 else 'runs'} stored in {store.root}" if good else "")
        + (f"{'; ' if good else ''}{lost} failed" if lost else "")
        + (f"; {wrong} with wrong outputs" if wrong else "")
        + (". Next: onnxprof runs list, onnxprof site build" if good else "")
    )
    return 2 if lost else int(wrong > 0)
