"""`onnxprof.profile`: measure models at batch sizes, as the command does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from onnxprof import folders
from onnxprof.api.base.door import in_python, public
from onnxprof.api.base.models import Models, referred
from onnxprof.api.base.progress import Line
from onnxprof.api.base.telling import warn
from onnxprof.api.options import Measuring, fields_of, limits, sizes
from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.model.dims.grammar import numbers
from onnxprof.model.sources.resolve import resolve
from onnxprof.processes.scratch import scratch
from onnxprof.publish.text.numbers import duration
from onnxprof.sweeps.command.one_line import announcement, axes_left_out, remarks, tasks_of
from onnxprof.sweeps.command.phased import in_phases
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Event,
    Failed,
    Finished,
    JobName,
    Noted,
    Planned,
    Skipped,
    Started,
)
from onnxprof.sweeps.here import Here
from onnxprof.sweeps.ledger import Ledger, OnRun
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task

if TYPE_CHECKING:
    from onnxprof.api.results.runs import Failure, Runs
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store
    from onnxprof.sweeps.events import Listener


@public
def profile(
    models: Models,
    batches: int | Iterable[int] = (1,),
    backend: str = "ort",
    *,
    store: str | PathLike[str] | None = None,
    progress: bool = True,
    force: bool = False,
    wait: bool = True,
    timeout: float = 900.0,
    memory: float = 0.0,
    phases: str | Iterable[str] = (),
    **options: Unpack[Measuring],
) -> Runs:
    """Time every layer of each model at each batch size, on one runtime and device.

    Each is measured in a process of its own; the runs are kept in the folder `store`, or in memory
    alone. `options` are those of the command (`Measuring`): `threads`, `budget` in seconds, ….
    `phases` of models with states are as in `--phase`: `decode:512..2048`. `timeout` in seconds
    and `memory` in GiB (0 for what is free) end one measurement; `force` measures what will not fit
    into memory, too; `wait` is for a device that is in use.

    A measurement that fails is among the `failures` of the result, and a RuntimeWarning. Where none
    succeeds its error is raised; UsageError, ModelError and BackendError for what cannot begin.

    >>> import onnxprof as op
    >>> runs = op.profile("zoo:lenet", batches=(1, 2), threads=1, budget=0.05, progress=False)
    >>> [run.request.batch for run in runs]
    [1, 2]
    >>> rows = runs.to_arrow().column("layer_name").to_pylist()
    >>> rows.count("(total)")
    2
    """
    given = fields_of(options)
    with ExitStack() as opened:
        names = opened.enter_context(referred(models))
        line = Line(progress)
        opened.callback(line.clear)
        fetching = _Fetching(line)
        for name in names:
            resolve(name, fetching)
        asked = Options(
            models=names,
            backend=backend,
            batches=sizes(batches),
            limits=limits(timeout, memory),
            **given,
        )
        root = opened.enter_context(scratch()) if store is None else folders.store(Path(store))
        texts = [phases] if isinstance(phases, str) else list(phases)
        planned = tasks_of(asked, force, fetching, line.note)
        tasks = in_phases(planned, texts, fetching, line.note)
        for text in remarks(tasks, asked):
            line.note(text)
        for model, axis in axes_left_out(tasks, asked):
            line.note(f"{model} has no axis {axis!r}, which is for the other models")
        return _profiled(tasks, Path(root), line, None if wait else 0.0, store is None)


@dataclass(frozen=True, slots=True)
class _Fetching:
    """Shows a download or a network that is made."""

    line: Line

    def __call__(self, what: str, done: int, total: int) -> None:
        share = f": {100 * done / total:.0f} %" if total else ""
        self.line.show(f"fetching {what}{share}")


def jobs_in(tasks: Sequence[Task]) -> int:
    """How many measurements the tasks are."""
    return sum(len(task.options.batches) for task in tasks)


def new_ledger(store: Store, hear: Listener, on_run: OnRun) -> Ledger:
    """A ledger for measurements that are made whatever the store has."""
    return Ledger(store, Policy(again=True, repeats=True), hear, on_run)


def measure(
    tasks: Sequence[Task], ledger: Ledger, wait_s: float | None = None
) -> list[OnnxprofError]:
    """Measure all tasks on this machine; each run is stored before the next begins.

    `wait_s` bounds the wait for a device in use. Returns what kept tasks from being planned, which
    the ledger's listener has heard, too. Raises StoreError, before anything is measured, where the
    store cannot be written, and KeyboardInterrupt.
    """
    jobs = jobs_in(tasks)
    here = Here(wait_s, records_unreadable=False)
    conduct(tasks, [here], ledger, Planned(jobs, 0, jobs))
    return here.refused


def _profiled(
    tasks: Sequence[Task], root: Path, line: Line, wait_s: float | None, is_temporary: bool
) -> Runs:
    from onnxprof.api.results.runs import Runs
    from onnxprof.reasons.stored import Shelf
    from onnxprof.store.folder import Store

    heard = _Heard(line, jobs_in(tasks), announcement(tasks))
    refused = measure(tasks, new_ledger(Store(root), heard.hear, heard.on_run), wait_s)
    line.clear()
    if not heard.runs and (refused or heard.failures):
        raise refused[0] if refused else _error(heard.failures[0])
    for failure in heard.failures:
        warn(f"{failure.title}: {failure.reason}", RuntimeWarning)
    for run in heard.runs:
        if run.parity is not None and run.parity.passed is False:
            warn(
                f"{run.request.title}: outputs differ from the reference's, trust no time",
                RuntimeWarning,
            )
    shelf = Shelf([folders.store() if is_temporary else root])
    return Runs(heard.runs, failures=heard.failures, ceilings_of=shelf.of)


def _error(failure: Failure) -> BackendError:
    where = failure.title if failure.model else ""
    return BackendError(failure.reason, where=where)


@dataclass(slots=True)
class _Heard:
    """Keeps what comes, and shows it."""

    line: Line
    jobs: int
    ahead: str = ""
    """How long it will take, which is said once; empty where there is nothing to say."""
    runs: list[Run] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _done: int = 0

    def hear(self, event: Event) -> None:
        """Show what a job is at; keep why one gives no times."""
        match event:
            case Advanced(job, doing, _):
                self.line.show(f"{_of(job)} ({self._done + 1} of {self.jobs}): {doing}")
            case Noted(text):
                self.line.note(text)
            case Started() if self.ahead:
                self.line.note(self.ahead)
                self.ahead = ""
            case Skipped(_, reason, "batch"):
                self.jobs -= 1
                self.line.note(reason)
            case Skipped(job, reason, _) | Failed(job, reason, ""):
                self._fail(job, reason)
            case Finished(job, _, latency_ns):
                self._done += 1
                latency = "" if latency_ns is None else f": {duration(latency_ns)}"
                self.line.note(f"{_of(job)}{latency} ({self._done} of {self.jobs})")
            case AlreadyStored():
                self._done += 1
            case _:
                pass

    def on_run(self, job: JobName, run: Run, _: Path, reason: str) -> None:
        """Keep a run with times, and the reason of one without."""
        if run.timings is None:
            self._fail(job, reason or run.failure)
        else:
            self.runs.append(run)

    def _fail(self, job: JobName, reason: str) -> None:
        from onnxprof.api.results.runs import Failure

        reason = in_python(reason)
        self._done += 1
        self.failures.append(
            Failure(job.model, job.batch, reason, tuple(numbers(job.dims).items()))
        )
        self.line.note(f"{_of(job)}: {reason}")


def _of(job: JobName) -> str:
    return f"{job.model}, {job.sizes}"
