"""A sweep over a fleet, and what was heard of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Run
from onnxprof.store.folder import Store, load
from onnxprof.sweeps import events
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.devices import spread
from onnxprof.sweeps.events import Ended, Event, Planned
from onnxprof.sweeps.fleet.near.admission import Asked
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.opened import opened
from onnxprof.sweeps.ledger import Ledger
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task


def task(model: str = "zoo:lenet", backend: str = "farm", **given: object) -> Task:
    """A task that takes as little as a measurement can."""
    least = {
        "models": (model,),
        "backend": backend,
        "batches": (1, 2),
        "budget": Budget(0.1),
        "parity": False,
        "verify": False,
        "telemetry": False,
    }
    return Task(Options(**(least | given)))  # type: ignore[arg-type]


@dataclass(slots=True)
class Swept:
    """What came of a sweep."""

    store: Store
    heard: list[Event] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ended: Ended | None = None

    def of(self, kind: type) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def runs(self) -> list[Run]:
        """What is stored."""
        return [load(path) for path in self.store.paths()]

    @property
    def nodes(self) -> Counter[str]:
        """How many jobs finished on which machine."""
        return Counter(event.job.node for event in self.of(events.Finished))

    @property
    def notes(self) -> str:
        """What somebody should read."""
        noted = [event.text for event in self.of(events.Noted)]
        return "\n".join((*self.said, *noted))


def sweep(
    asked: Asked,
    tasks: Sequence[Task],
    folder: Path,
    also: Callable[[Event], None] = lambda _: None,
) -> Swept:
    """Sweep over a fleet into `folder`; `also` hears each event after it was noted down."""
    swept = Swept(Store(folder))

    def hear(event: Event) -> None:
        swept.heard.append(event)
        also(event)

    ledger = Ledger(swept.store, Policy(), hear)
    with opened(asked, Stock(), swept.said.append) as fleet:
        found = spread(tasks, fleet.machines.devices_of)
        jobs = sum(len(each.options.batches) for each in tasks)
        for refused, error in found.refused:
            for job in refused.jobs():
                ledger.hear(events.Failed(job, str(error)))
        swept.ended = conduct(found.tasks, fleet.places, ledger, Planned(jobs, 0, jobs))
    return swept
