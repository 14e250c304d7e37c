"""What the events of a sweep add up to: how jobs ended, what runs where, how long it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Ended,
    Event,
    Failed,
    Finished,
    JobName,
    Noted,
    Planned,
    Skipped,
    Started,
)

#: Failures that are kept with their reasons, the newest last.
MOST_FAILURES = 5
#: A job counts for the pace once it is done by half.
_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """A job that has its device."""

    job: JobName
    doing: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """A device, and the job on it."""

    node: str
    device: str
    running: Running | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that gave no times, and why."""

    job: JobName
    reason: str


@dataclass(frozen=True, slots=True)
class Latest:
    """The job that was measured last."""

    job: JobName
    latency_ns: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How a sweep stands after some of its events."""

    jobs: int = 0
    done: int = 0
    """Jobs that the plan knew to be stored."""
    found: int = 0
    """Jobs that were found to be stored only when their turn came."""
    finished: int = 0
    failed: int = 0
    skipped: int = 0
    expected_s: float | None = None
    """Seconds that the plan expected for what was left when it was made; None if it had no idea."""
    expected_at_s: float = 0.0
    """When that was, in seconds since the sweep began."""
    elapsed_s: float = 0.0
    places: tuple[Place, ...] = ()
    failures: tuple[Failure, ...] = ()
    latest: Latest | None = None
    note: str = ""
    is_over: bool = False

    @property
    def stored(self) -> int:
        """Jobs that the store had already."""
        return self.done + self.found

    @property
    def measured(self) -> int:
        """Jobs that took time: finished and failed."""
        return self.finished + self.failed

    @property
    def left(self) -> int:
        """Jobs that have not ended."""
        return max(0, self.jobs - self.stored - self.measured - self.skipped)

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take; None where nothing tells.

        At first the plan's own estimate holds, less what has passed. The more jobs are done, the
        more counts the pace at which they were.
        """
        running = sum(place.running.share for place in self.places if place.running)
        done = self.measured + running
        whole = self.measured + self.left
        if not self.left:
            return 0.0
        pace = self.elapsed_s / done * (whole - done) if done >= _ENOUGH else None
        if self.expected_s is None:
            return pace
        plan = max(0.0, self.expected_s - (self.elapsed_s - self.expected_at_s))
        weight = done / whole
        return plan if pace is None else (1 - weight) * plan + weight * pace

    def after(self, event: Event, elapsed_s: float) -> Tally:
        """How it stands after one more event, so many seconds after the sweep began."""
        now = replace(self, elapsed_s=max(self.elapsed_s, elapsed_s))
        match event:
            case Planned(jobs, done, _, seconds):
                begin = now.elapsed_s
                return replace(now, jobs=jobs, done=done, expected_s=seconds, expected_at_s=begin)
            case Started(job):
                return now._at(Running(job))
            case Advanced(job, doing, share):
                return now._at(Running(job, doing, min(1.0, max(0.0, share))))
            case Finished():
                return now._finished(event)
            case Failed(job, reason):
                failures = (*now.failures, Failure(job, reason))[-MOST_FAILURES:]
                return replace(now._without(job), failed=now.failed + 1, failures=failures)
            case Skipped(job):
                return replace(now._without(job), skipped=now.skipped + 1)
            case AlreadyStored(job):
                return replace(now._without(job), found=now.found + 1)
            case Noted(text):
                return replace(now, note=text)
            case Ended():
                idle = tuple(replace(place, running=None) for place in now.places)
                return replace(now, places=idle, is_over=True)
            case _:
                return now

    def _finished(self, event: Finished) -> Tally:
        latest = Latest(event.job, event.latency_ns, event.seconds)
        return replace(self._without(event.job), finished=self.finished + 1, latest=latest)

    def _at(self, running: Running) -> Tally:
        """The same with a job on its device, and on no other one."""
        job = running.job
        places = self._without(job).places
        new = Place(job.node, job.device, running)
        if not any(_same(place, new) for place in places):
            return replace(self, places=(*places, new))
        return replace(self, places=tuple(new if _same(p, new) else p for p in places))

    def _without(self, job: JobName) -> Tally:
        """The same without a job on any device."""
        places = tuple(
            replace(place, running=None)
            if place.running is not None and place.running.job.key == job.key
            else place
            for place in self.places
        )
        return replace(self, places=places)


def _same(left: Place, right: Place) -> bool:
    return (left.node, left.device) == (right.node, right.device)
