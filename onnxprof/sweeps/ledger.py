"""The desk of a sweep: what is in the store, what is still wanted, and how many jobs ended how."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.records.run import Request, Run
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store
from onnxprof.sweeps.events import (
    AlreadyStored,
    Ended,
    Event,
    Failed,
    Finished,
    JobName,
    Listener,
    Planned,
    Skipped,
)
from onnxprof.sweeps.resume import Answers, Policy

#: Hears of each run that is stored: its name in the plan, the run, its file.
OnRun = Callable[[JobName, Run, Path, str], None]


def _ignore(_: JobName, __: Run, ___: Path, ____: str) -> None:
    pass


@dataclass(slots=True)
class Ledger:
    """Stores what is measured, counts how jobs end, and passes events on; safe for threads."""

    store: Store
    policy: Policy
    listener: Listener
    on_run: OnRun = _ignore
    """Called with the job, the run, its file, and the reason of a failure in words for a user."""
    finished: int = 0
    failed: int = 0
    skipped: int = 0
    already: int = 0
    wrong: int = 0
    """Finished runs whose outputs differ from the reference's."""
    planned: Planned | None = None
    _taken: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def is_wanted(self, request: Request) -> bool:
        """Whether a job is still to be run, by what the store has now."""
        if request_digest(request) in self._taken:
            return self.policy.repeats
        return self.policy.wants(request, Answers(self.store))

    def unwanted(self, model_name: str) -> frozenset[str]:
        """Digests of the requests of a model that are not to be run."""
        known = self.policy.unwanted(self.store, model_name)
        return known if self.policy.repeats else known | frozenset(self._taken)

    def take(
        self, job: JobName, run: Run, seconds: float, reason: str = "", data: bytes = b""
    ) -> None:
        """Store a run and report its job. Raises StoreError."""
        path = self.store.save(run, data)
        name = path.relative_to(self.store.root).as_posix()
        with self._lock:
            self._taken.add(request_digest(run.request))
            self.wrong += run.parity is not None and run.parity.passed is False
            self._report(_ended(job, run, name, seconds, reason))
            self.on_run(job, run, path, reason)

    def hear(self, event: Event) -> None:
        """Count the event and pass it on."""
        with self._lock:
            self._report(event)

    def end(self) -> Ended:
        """Report that the sweep is over, with how many jobs were not begun."""
        with self._lock:
            jobs, done = (self.planned.jobs, self.planned.done) if self.planned else (0, 0)
            ended = self.finished + self.failed + self.skipped + self.already + done
            event = Ended(self.finished, self.failed, self.skipped, jobs - ended)
            self.listener(event)
            return event

    def _report(self, event: Event) -> None:
        match event:
            case Finished():
                self.finished += 1
            case Failed():
                self.failed += 1
            case Skipped():
                self.skipped += 1
            case AlreadyStored():
                self.already += 1
            case Planned():
                self.planned = event
            case _:
                pass
        self.listener(event)


def _ended(job: JobName, run: Run, name: str, seconds: float, reason: str) -> Event:
    from onnxprof.analysis.intervals import median_ns

    timings = run.timings
    if timings is None:
        return Failed(job, reason or run.failure, name, seconds)
    latency = float(median_ns(timings.latency_ns)) if timings.latency_ns.size else None
    caveats = tuple(dict.fromkeys(warning.kind.value for warning in run.warnings))
    if run.parity is not None and run.parity.passed is False:
        caveats = ("wrong_outputs", *caveats)
    return Finished(job, name, latency, seconds, caveats)
