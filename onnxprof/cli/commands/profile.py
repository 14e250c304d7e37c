"""`onnxprof profile`: time every layer of models at batch sizes, and store what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.output import say
from onnxprof.cli.parameters import Own, takes
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.reasons.stored import Shelf
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store
    from onnxprof.sweeps.events import Event, JobName
    from onnxprof.sweeps.tasks import Task

_FEW_LAYERS, _MANY_LAYERS = 5, 10


@takes(
    *("models", "backend", "device", "provider", "batch", "threads", "budget", "processes"),
    *("granularity", "timer", "dim", "inputs", "seed", "store", "timeout", "memory"),
    *("parity", "verify", "telemetry", "allocations", "runtime", "force", "wait", "quiet"),
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
    from onnxprof.cli.progress import fetching
    from onnxprof.processes.limits import Limits
    from onnxprof.store.folder import Store
    from onnxprof.sweeps.one_line import tasks_of

    limits = Limits(timeout, memory_limit(memory))
    options = Options(models=tuple(models), limits=limits, **asked)
    console = Console(stderr=True)
    with fetching(console) as progress:
        tasks = tasks_of(options, force, progress, say)
    _say_dims(tasks, options)
    return _measure(tasks, Store(folders.store(store)), console, quiet, None if wait else 0.0)


def _say_dims(tasks: list[Task], options: Options) -> None:
    """Print which models do not have an axis that is given with --dim."""
    for name, axis in dict.fromkeys(
        (task.model_name, axis)
        for task in tasks
        for axis, _ in options.dims
        if axis not in dict(task.options.dims)
    ):
        say(f"{name} has no axis {axis!r}: --dim {axis} is for the other models")


def _measure(
    tasks: list[Task], store: Store, console: Console, quiet: bool, wait_s: float | None
) -> int:
    from onnxprof.cli.progress import Meter
    from onnxprof.reasons.stored import Shelf
    from onnxprof.sweeps.conduct import conduct
    from onnxprof.sweeps.events import Planned
    from onnxprof.sweeps.here import Here
    from onnxprof.sweeps.ledger import Ledger
    from onnxprof.sweeps.resume import Policy

    jobs = sum(len(task.options.batches) for task in tasks)
    shelf = Shelf([store.root])
    with Meter(console, jobs, tasks[0].options.budget.seconds) as meter:
        told = _Told(meter, jobs, quiet, shelf)
        policy = Policy(again=True, repeats=True)
        ledger = Ledger(store, policy, told.hear, told.on_run)
        try:
            here = Here(wait_s, records_unreadable=False)
            conduct(tasks, [here], ledger, Planned(jobs, 0, jobs))
        except KeyboardInterrupt:
            meter.stop()
            done = ledger.finished + ledger.failed
            say(f"interrupted; {done} of {jobs} done and stored in {store.root}")
            return 130
    return told.close(store)


class _Told:
    """Prints what happens, as it happens, and what it comes to."""

    def __init__(self, meter: Meter, jobs: int, quiet: bool, shelf: Shelf) -> None:
        self._meter = meter
        self._jobs = jobs
        self._quiet = quiet
        self._shelf = shelf
        self._runs: list[Run] = []
        self._failed = 0
        self._lines: set[str] = set()
        self._left_out = False

    def hear(self, event: Event) -> None:
        """Print a line for what is left out or fails, and show progress."""
        from onnxprof.sweeps.events import Advanced, AlreadyStored, Failed, Finished, Noted, Skipped

        match event:
            case Advanced(job, doing, share):
                self._meter.show(job.model, job.batch, doing, share)
            case Noted(text):
                self._say(text)
            case Skipped(_, reason, cause):
                self._jobs -= 1
                self._left_out |= cause != "batch"
                self._say(reason)
                self._meter.done()
            case Failed(_, reason, ""):
                self._failed += self._say(reason)
                self._meter.done()
            case Finished() | Failed() | AlreadyStored():
                self._meter.done()
            case _:
                pass

    def on_run(self, job: JobName, run: Run, _: Path, reason: str) -> None:
        """Print the table of a run, or why it failed."""
        if reason:
            say(f"{job.model} at batch {job.batch}: {reason}")
        elif not self._quiet:
            _show(run, self._jobs > 1, self._shelf)
        self._runs.append(run)

    def _say(self, text: str) -> bool:
        """Print a line once; returns whether it is new."""
        is_new = text not in self._lines
        self._lines.add(text)
        if is_new:
            self._meter.note(text)
        return is_new

    def close(self, store: Store) -> int:
        """Print what it comes to; returns the exit code."""
        good = [run for run in self._runs if run.timings is not None]
        if not self._quiet:
            _show_scaling(good)
            for text in dict.fromkeys(text for run in good if (text := self._shelf.missing(run))):
                say(text)
        code = _close(self._runs, self._failed, store) if self._runs else 0
        return 2 if self._failed or self._left_out else code


def _show(run: Run, is_one_of_many: bool, shelf: Shelf) -> None:
    from onnxprof.cli.output import stdout_console
    from onnxprof.publish.tables.run_summary import summary

    console = stdout_console()
    limit = _FEW_LAYERS if is_one_of_many else _MANY_LAYERS
    ceilings = shelf.of(run)
    console.print(summary(run, limit=limit, ceilings=ceilings, folded=is_one_of_many))
    console.print()


def _show_scaling(runs: list[Run]) -> None:
    """Where a model was measured at several batches, which of them is worth it."""
    from onnxprof.cli.output import display
    from onnxprof.compare.scaling import families, scaling
    from onnxprof.publish.comparing.scaling import in_short

    for group in families(runs) if len(runs) > 1 else ():
        display(*in_short(scaling(group)))


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
