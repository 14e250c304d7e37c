"""`onnxprof profile`: time every layer of models at batch sizes, and store what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import complain, say
from onnxprof.cli.parameters import Own, Phases, SaveOptimized, takes
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.reasons.stored import Shelf
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store
    from onnxprof.sweeps.events import Event, JobName
    from onnxprof.sweeps.tasks import Task


@takes(
    *("models", "backend", "device", "provider", "batch", "threads", "budget"),
    *("processes", "granularity", "timer", "dim", "inputs", "seed", "store", "timeout", "memory"),
    *("parity", "verify", "telemetry", "allocations", "runtime", "force", "wait", "as_json"),
    *("quiet", "iterations", "warmup", "duration", "streams"),
    *("optimization_level", "session_option", "provider_option", "save_optimized"),
    *("phase", "context"),
    backend=Own("The runtime, or several as in ort,torch; see onnxprof doctor."),
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
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables.")] = False,
    save_optimized: SaveOptimized = None,
    phase: Phases = None,
    context: typer.Context = None,  # type: ignore[assignment]
) -> int:
    """Time every layer of each model at each batch size, on a runtime, or several in turn."""
    from rich.console import Console

    from onnxprof import folders
    from onnxprof.cli.commands.optimised import refuse_target, save_of_task
    from onnxprof.cli.options import memory_limit
    from onnxprof.cli.progress import fetching
    from onnxprof.processes.limits import Limits
    from onnxprof.store.folder import Store
    from onnxprof.sweeps.command.one_line import axes_left_out, remarks, tasks_of
    from onnxprof.sweeps.command.phased import in_phases

    limits = Limits(timeout, memory_limit(memory))
    asked |= {"batches": (1,)} if phase and not _is_given(context, "batch") else {}
    options = Options(models=tuple(models), limits=limits, **asked)
    console = Console(stderr=True)
    with fetching(console) as progress:
        tasks = in_phases(tasks_of(options, force, progress, say), phase or (), progress, say)
    for text in remarks(tasks, options):
        say(text)
    if save_optimized:
        refuse_target(save_optimized, tasks)
    for name, axis in axes_left_out(tasks, options):
        say(f"{name} has no axis {axis!r}: --dim {axis} is for the other models")
    told = _Told(quiet or as_json, as_json)
    code = _measure(tasks, Store(folders.store(store)), console, told, None if wait else 0.0)
    if save_optimized and code in (0, 1):
        save_of_task(save_optimized, tasks[0])
    return code


def _is_given(context: typer.Context, parameter: str) -> bool:
    """Whether the user gave the option; a phase is of one sequence where no batch is given."""
    source = context.get_parameter_source(parameter) if context else None
    return source is not None and source.name != "DEFAULT"


def _measure(
    tasks: list[Task], store: Store, console: Console, told: _Told, wait_s: float | None
) -> int:
    from onnxprof.api.measuring import jobs_in, measure, new_ledger
    from onnxprof.cli.progress import Meter
    from onnxprof.reasons.stored import Shelf
    from onnxprof.sweeps.command.one_line import announcement

    jobs = jobs_in(tasks)
    shelf = Shelf([store.root])
    with Meter(console, jobs, tasks[0].options.budget.seconds) as meter:
        told.begin(meter, jobs, shelf, announcement(tasks))
        ledger = new_ledger(store, told.hear, told.on_run)
        try:
            measure(tasks, ledger, wait_s)
        except KeyboardInterrupt:
            meter.stop()
            done = ledger.finished + ledger.failed
            say(f"interrupted; {done} of {jobs} done and stored in {store.root}")
            return 130
    return told.close(store)


class _Told:
    """Prints what happens, as it happens, and what it comes to."""

    _meter: Meter
    _jobs: int
    _shelf: Shelf
    _ahead: str

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._runs: list[Run] = []
        self._files: list[Path] = []
        self._unmeasured: list[tuple[JobName, str]] = []
        self._failed = 0
        self._lines: set[str] = set()
        self._left_out = False

    def begin(self, meter: Meter, jobs: int, shelf: Shelf, ahead: str) -> None:
        """Print from now on above the meter, with what bounds layers by the ceilings of a shelf.

        `ahead` is said before the first measurement; empty where there is nothing to say.
        """
        self._meter, self._jobs, self._shelf, self._ahead = meter, jobs, shelf, ahead

    def hear(self, event: Event) -> None:
        """Print a line for what is left out or fails, and show progress."""
        from onnxprof.sweeps.events import (
            Advanced,
            AlreadyStored,
            Failed,
            Finished,
            Noted,
            Skipped,
            Started,
        )

        match event:
            case Advanced(job, doing, share):
                self._meter.show(job.model, job.sizes, doing, share)
            case Noted(text):
                self._say(text)
            case Started() if self._ahead:
                self._say(self._ahead)
            case Skipped(job, reason, cause):
                self._jobs -= 1
                if cause != "batch":
                    self._left_out = True
                    self._unmeasured.append((job, reason))
                self._say(reason)
                self._meter.done()
            case Failed(job, reason, ""):
                self._failed += self._say(reason, failed=True)
                self._unmeasured.append((job, reason))
                self._meter.done()
            case Finished() | Failed() | AlreadyStored():
                self._meter.done()
            case _:
                pass

    def on_run(self, job: JobName, run: Run, path: Path, reason: str) -> None:
        """Print the table of a run, or why it failed."""
        from onnxprof.cli.comments import comment

        if reason:
            complain(f"{job.title}: {reason}")
        elif not self._quiet:
            _show(run, self._jobs > 1, self._shelf)
        comment(run, has_table=not self._quiet)
        self._runs.append(run)
        self._files.append(path)

    def _say(self, text: str, *, failed: bool = False) -> bool:
        """Print a line once; returns whether it is new. What failed is said with -qq as well."""
        is_new = text not in self._lines
        self._lines.add(text)
        if is_new:
            self._meter.note(text, failed=failed)
        return is_new

    def close(self, store: Store) -> int:
        """Print what it comes to; returns the exit code."""
        good = [run for run in self._runs if run.timings is not None]
        if not self._quiet:
            _show_scaling(good)
            _show_side_by_side(good)
            _show_phases(good)
            for text in dict.fromkeys(text for run in good if (text := self._shelf.missing(run))):
                say(text)
        if self._as_json:
            self._deliver(store)
        code = _close(self._runs, self._failed, store) if self._runs else 0
        return 2 if self._failed or self._left_out else code

    def _deliver(self, store: Store) -> None:
        from onnxprof.cli.output import deliver_document
        from onnxprof.model.dims.grammar import numbers
        from onnxprof.publish.json.runs import profiled

        stored = list(zip(self._runs, map(str, self._files), strict=True))
        lost = [(job.model, job.batch, numbers(job.dims), why) for job, why in self._unmeasured]
        deliver_document(profiled(stored, str(store.root), lost))


def _show(run: Run, is_one_of_many: bool, shelf: Shelf) -> None:
    from onnxprof.cli.output import stdout_console
    from onnxprof.publish.tables.profiled import one

    console = stdout_console()
    console.print(one(run, is_one_of_many, shelf.of(run)))
    console.print()


def _show_scaling(runs: list[Run]) -> None:
    """Where a model was measured at several batches, which of them is worth it."""
    if len(runs) < 2:
        return
    from onnxprof.cli.output import display
    from onnxprof.publish.tables.profiled import by_size

    if parts := list(by_size(runs)):
        display(*parts)


def _show_side_by_side(runs: list[Run]) -> None:
    """Where a model was measured on several backends, how they stand to each other."""
    from onnxprof.cli.output import display, terminal_width
    from onnxprof.publish.latency.side_by_side import side_by_side

    if len({run.request.backend for run in runs}) > 1:
        display(*side_by_side(runs, terminal_width()))


def _show_phases(runs: list[Run]) -> None:
    """Where a model was measured in several phases, how they stand to each other."""
    if len({run.request.phase for run in runs} - {""}) > 1:
        from onnxprof.cli.output import display
        from onnxprof.publish.phases.tables import side_by_side

        display(*side_by_side(runs))


def _close(runs: list[Run], unplanned: int, store: Store) -> int:
    lost = sum(run.timings is None for run in runs)
    wrong = sum(run.parity is not None and run.parity.passed is False for run in runs)
    good, failed = len(runs) - lost, lost + unplanned
    say(
        (f"{good} {'run' if good == 1 else 'runs'} stored in {store.root}" if good else "")
        + (f"{'; ' if good else ''}{failed} failed" if failed else "")
        + (f"; {wrong} with wrong outputs" if wrong else "")
        + (". Next: onnxprof runs list, onnxprof site build" if good else "")
    )
    return 2 if lost else int(wrong > 0)
