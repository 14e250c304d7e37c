"""This machine as a place: one task at a time, each device under its lock."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.job import Job, request
from onnxprof.jobs.outlook import Notice
from onnxprof.jobs.proving import proven
from onnxprof.jobs.setting import setting
from onnxprof.jobs.sweep import (
    InspectedModel,
    Outcome,
    inspect_found,
    jobs_of,
    predicted,
    start_server,
    sweep,
)
from onnxprof.machine.memory import usable_bytes
from onnxprof.model.sources.policy import Progress
from onnxprof.model.sources.resolve import resolve
from onnxprof.plugins import registry
from onnxprof.processes.device_lock import held
from onnxprof.processes.limits import Limits
from onnxprof.publish.text.memory import refusal
from onnxprof.records.layer import ModelFacts
from onnxprof.records.memory import PredictedMemory
from onnxprof.records.run import Run
from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Failed,
    JobName,
    Noted,
    Skipped,
    Started,
    refusal_cause,
)
from onnxprof.sweeps.matching import matched
from onnxprof.sweeps.places import Desk
from onnxprof.sweeps.tasks import Task
from onnxprof.sweeps.unreadable import unreadable
from onnxprof.sweeps.versions import is_new


class Learner(Protocol):
    """Remembers what reading a model has shown."""

    def learn(self, task: Task, jobs: Mapping[int, Job], memory_bytes: Mapping[int, int]) -> None:
        """By the batch that was asked for the job that it came to, and the memory that it takes."""

    def learn_refused(self, task: Task, refused: Mapping[int, str], found: InspectedModel) -> None:
        """Batches that the model cannot have, and why."""

    def learn_unreadable(self, task: Task, facts: ModelFacts, path: Path) -> None:
        """A model that cannot be opened, with the digest of its file."""


class _Nobody:
    """Remembers nothing."""

    def learn(self, task: Task, jobs: Mapping[int, Job], memory_bytes: Mapping[int, int]) -> None:
        pass

    def learn_refused(self, task: Task, refused: Mapping[int, str], found: InspectedModel) -> None:
        pass

    def learn_unreadable(self, task: Task, facts: ModelFacts, path: Path) -> None:
        pass


@dataclass(slots=True)
class Here:
    """This machine: one task at a time, each device under its lock."""

    wait_s: float | None = None
    """How long to wait for a device that another onnxprof measures on; None for ever."""
    records_unreadable: bool = True
    """A model that cannot be opened becomes a failed record of each of its jobs."""
    learner: Learner = field(default_factory=_Nobody)
    name: str = ""
    width: int = 1
    refused: list[OnnxprofError] = field(default_factory=list)
    """Errors that kept tasks from being planned, in order."""
    _last: tuple[object, InspectedModel] | None = None
    """The model that was inspected last: its next task need not read it again."""

    def fits(self, task: Task) -> bool:
        """Always: what cannot run here is reported with its reason."""
        del task
        return True

    def comes_back(self, wanted: Callable[[], bool]) -> bool:
        """Never: this machine is not lost."""
        del wanted
        return False

    def stop(self) -> None:
        """The interrupt itself ends what runs."""

    def inspected(self, task: Task, progress: Progress) -> InspectedModel:
        """What the model's file says at the task's batches. Raises UsageError or ModelError."""
        asked = task.options
        sizes = (asked.dims, task.optional_dims, asked.phase, task.optional_phase, asked.batches)
        key = (asked.models, sizes, asked.inputs)
        if self._last is not None and self._last[0] == key and self._last[1].model.is_current:
            return self._last[1]
        file = resolve(task.model, progress)
        optional = task.optional_phase
        found = inspect_found(file, asked, task.optional_dims, optional_phase=optional)
        self._last = key, found
        return found

    def run(self, task: Task, desk: Desk) -> None:
        """Run the jobs of a task, each stored before the next starts."""
        memory_bytes = task.options.limits.memory_bytes or usable_bytes()
        limits = replace(task.options.limits, memory_bytes=memory_bytes)
        course = _Course(task.asking(limits=limits), desk, self)
        with ExitStack() as stack:
            if course.is_ready(stack):
                course.measure(limits)


@dataclass(slots=True)
class _Course:
    """A task on its way: which of its batches are still to be reported."""

    task: Task
    desk: Desk
    place: Here
    jobs: list[tuple[int, Job]] = field(default_factory=list)
    """By the batch that was asked for."""
    open: list[int] = field(default_factory=list)
    """Batches that were asked for and have not ended."""
    settled: dict[int, Job] = field(default_factory=dict)
    """What each batch that was asked for came to, those that are not measured among them."""
    refused: dict[int, str] = field(default_factory=dict)
    found: InspectedModel | None = None
    expected: dict[int, PredictedMemory] = field(default_factory=dict)
    holds: bool = False
    """The device is held."""
    began: float = 0.0

    def __post_init__(self) -> None:
        self.open = list(self.task.options.batches)

    def is_ready(self, stack: ExitStack) -> bool:
        """Plan the jobs, take the device, prove the batches; False where nothing is left."""
        try:
            self._settle(self._planned())
            self._predict()
            if not self.task.force:
                self._skip_too_large()
            if self.jobs:
                stack.enter_context(held(self.jobs[0][1].device.id, self._note, self.place.wait_s))
                self.holds = True
                self._pass_over_stored()
                self._prove()
            memory = {batch: each.peak_bytes for batch, each in self.expected.items()}
            self.place.learner.learn(self.task, self.settled, memory)
            if self.found is not None:
                self.place.learner.learn_refused(self.task, self.refused, self.found)
        except OnnxprofError as error:
            self._fail(error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            self._fail(OnnxprofError(f"{where}{error.strerror or error}"))
        except Exception as error:
            if os.environ.get("ONNXPROF_DEBUG"):
                traceback.print_exc()
            what = f"bug in onnxprof: {type(error).__name__}: {error} (see --debug)"
            self._fail(OnnxprofError(what))
        return bool(self.jobs)

    def measure(self, limits: Limits) -> None:
        """Run the jobs; each result is with the desk before the next one starts."""
        for outcome in sweep(self._wanted(), limits, _Nowhere(), self._advance):
            batch, job = self.jobs[0]
            self._end(batch)
            seconds = time.monotonic() - self.began
            self.desk.take(self._name(batch, job), outcome.run, seconds, _reason(outcome))

    def _wanted(self) -> Iterator[Job]:
        """The jobs that nobody has run meanwhile."""
        while self.jobs:
            batch, job = self.jobs[0]
            if self.desk.is_wanted(request(job)):
                self.began = time.monotonic()
                self.desk.hear(Started(self._name(batch, job)))
                yield job
            else:
                self.desk.hear(AlreadyStored(self._name(batch, job)))
                self._end(batch)

    def _planned(self) -> list[Job]:
        first = self.task.job(self.open[0], self.place.name)
        self.desk.hear(Advanced(first, "planning", 0.0))

        def fetching(what: str, done: int, total: int) -> None:
            share = done / total if total else 0.0
            self.desk.hear(Advanced(first, f"fetching {what}", share))

        options = self.task.options
        start_server(registry.backend(options.backend))
        where = setting(options, self.task.device_id, self._note if is_new(options) else None)
        found = self.place.inspected(self.task, fetching)
        self.refused = {b: f"{self.task.job(b).title}: {error}" for b, error in found.refused}
        self.found, cause = found, refusal_cause(found.lacks_phase)
        for batch, reason in self.refused.items():
            self.desk.hear(Skipped(self.task.job(batch, self.place.name), reason, cause))
            self._end(batch)
        jobs = jobs_of(found, where.options, where.devices[0], where.environment)
        return [where.placed(job) for job in jobs]

    def _prove(self) -> None:
        if not self.jobs:
            return
        before = [job for _, job in self.jobs]
        after = proven(before, self.task.options, self._advance)
        if any(job not in before for job in after) or len(after) < len(before):
            self._settle(after)

    def _settle(self, jobs: list[Job]) -> None:
        """Tell which batch each job stands for; those without one stay at the model's own."""
        self.jobs, left = matched(self.open, jobs)
        self.settled |= dict(self.jobs)
        stay = next((job for _, job in self.jobs if job.table.obstacle), None)
        if stay is None:
            return
        text = f"{stay.facts.name} stays at batch {stay.batch}: {stay.table.obstacle}"
        self._note(text)
        for batch in left:
            self.settled[batch] = stay
            self.desk.hear(Skipped(self._name(batch, stay, batch), text, "batch"))
            self._end(batch)

    def _predict(self) -> None:
        for batch, job in self.jobs:
            expected = predicted(job)
            if expected is not None:
                self.expected[batch] = expected

    def _skip_too_large(self) -> None:
        most = self.task.options.limits.memory_bytes
        for batch, job in list(self.jobs):
            expected = self.expected.get(batch)
            if expected is not None and expected.peak_bytes > most:
                text = refusal(job.title, expected, most, request(job))
                self.desk.hear(Skipped(self._name(batch, job), text, "memory"))
                self._end(batch)

    def _pass_over_stored(self) -> None:
        for batch, job in list(self.jobs):
            if not self.desk.is_wanted(request(job)):
                self.desk.hear(AlreadyStored(self._name(batch, job)))
                self._end(batch)

    def _fail(self, error: OnnxprofError) -> None:
        """Report all that is open as failed, with a record where the model's file is there."""
        self.place.refused.append(error)
        self.jobs = []
        path, records = Path(), dict[int, Run]()
        if self.place.records_unreadable:
            path, records = unreadable(self.task, error)
        if records:
            one = next(iter(records.values()))
            self.place.learner.learn_unreadable(self.task, one.model, path)
            self._record(records, one.device.id, error)
        for batch in self.open:
            self.desk.hear(Failed(self.task.job(batch, self.place.name), str(error)))
        self.open = []

    def _record(self, records: Mapping[int, Run], device_id: str, error: OnnxprofError) -> None:
        """Store failed records, with the device held so that another sweep stores none of them."""
        try:
            free = nullcontext() if self.holds else held(device_id, self._note, self.place.wait_s)
            with free:
                for batch in [batch for batch in records if batch in self.open]:
                    run = records[batch]
                    name = self.task.job(batch, self.place.name)
                    if self.desk.is_wanted(run.request):
                        self.desk.take(name, run, 0.0, _bare(error))
                    else:
                        self.desk.hear(AlreadyStored(name))
                    self.open.remove(batch)
        except BackendError:  # another one has the device, and nobody is to wait for it
            return

    def _end(self, batch: int) -> None:
        self.open.remove(batch)
        self.jobs = [pair for pair in self.jobs if pair[0] != batch]

    def _name(self, batch: int, job: Job, shown: int = 0) -> JobName:
        return replace(
            self.task.job(batch, self.place.name),
            model=job.facts.name,
            provider=job.provider,
            device=job.device.id,
            batch=shown or job.batch,
            threads=job.options.threads,
            dims=job.options.dims,
        )

    def _advance(self, job: Job, phase: str, share: float) -> None:
        if isinstance(phase, Notice):
            self._note(phase)
            return
        batch = next((batch for batch, other in self.jobs if other is job), job.batch)
        self.desk.hear(Advanced(self._name(batch, job), phase, share))

    def _note(self, text: str) -> None:
        self.desk.hear(Noted(str(text)))


class _Nowhere:
    """Where the jobs' own end keeps nothing: the desk stores each run as it comes."""

    def save(self, run: Run) -> Path:
        del run
        return Path()


def _reason(outcome: Outcome) -> str:
    return "" if outcome.error is None else _bare(outcome.error)


def _bare(error: OnnxprofError) -> str:
    """The error without its place."""
    return str(type(error)(error.what, remedy=error.remedy))
