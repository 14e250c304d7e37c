"""Sweeps without a runtime: tasks, runs made up for their requests, places that follow a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onnxprof.jobs.options import Options
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.sweeps.events import Event, Failed, Finished, Planned, Started
from onnxprof.sweeps.ledger import Ledger
from onnxprof.sweeps.places import Desk
from onnxprof.sweeps.planning.remembered import Known, request_of
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task
from onnxprof.testing import sample_run

DEVICE = "cpu:fake"


def task(model: str = "zoo:lenet", batches: tuple[int, ...] = (1,), **changes: Any) -> Task:
    """A task on the fake device, one thread."""
    given = {"backend": "fake", "threads": 1} | changes
    device = str(given.pop("device_id", DEVICE))
    options = Options((model,), batches=batches, **given)
    return Task(options, device_id=device, device_kind=device.partition(":")[0])


def known(made: Task, **changes: Any) -> Known:
    """What is known of a task's model, its digest made of its name."""
    digest = f"{sum(map(ord, made.model)):064x}"
    return replace(Known(made.model_name, digest, made.options.dims), **changes)


def run_of(made: Task, batch: int, failure: str = "") -> Run:
    """A run that answers a job of a task."""
    run = replace(sample_run(batch=batch), request=request_of(made, known(made), batch))
    return replace(run, timings=None, failure=failure, steps=()) if failure else run


@dataclass(slots=True)
class FakePlace:
    """Runs each job by a script and gives the desk what it yields."""

    script: Callable[[Task, int], Any] = lambda made, batch: run_of(made, batch)
    name: str = ""
    width: int = 1
    fitting: Callable[[Task], bool] = lambda _: True
    ran: list[tuple[str, int]] = field(default_factory=list)
    stopped: int = 0

    def fits(self, made: Task) -> bool:
        return self.fitting(made)

    def run(self, made: Task, desk: Desk) -> None:
        for batch in made.options.batches:
            if not desk.is_wanted(request_of(made, known(made), batch)):
                continue
            name = made.job(batch, self.name)
            desk.hear(Started(name))
            self.ran.append((made.model, batch))
            made_up = self.script(made, batch)
            if isinstance(made_up, str):
                desk.hear(Failed(name, made_up))
            else:
                desk.take(name, made_up, 1.0)

    def stop(self) -> None:
        self.stopped += 1


@dataclass(slots=True)
class Heard:
    """The events of a sweep, in order."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def finished(self) -> list[tuple[str, int]]:
        return [(event.job.model, event.job.batch) for event in self.of(Finished)]


def ledger(root: Path, policy: Policy | None = None) -> tuple[Ledger, Heard]:
    """A desk over a store, and what it tells."""
    heard = Heard()
    return Ledger(Store(root), policy or Policy(), heard), heard


def planned(tasks: list[Task]) -> Planned:
    """All jobs of the tasks, none of them done."""
    jobs = sum(len(made.options.batches) for made in tasks)
    return Planned(jobs, 0, jobs)
