"""What a sweep prints as it goes: lines for people, or events as JSON."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import typer

from onnxprof.cli.output import say

if TYPE_CHECKING:
    from onnxprof.sweeps.events import Ended, Event, Finished, JobName, Listener, Planned


def as_json_lines(event: Event) -> None:
    """Print an event as one line of JSON."""
    from onnxprof.publish.text.safe import in_json
    from onnxprof.sweeps.events import as_json

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    typer.echo(in_json(json.dumps(as_json(event, now), ensure_ascii=False)))


def job_text(job: JobName) -> str:
    """`lenet on ort cpu, 1 thread, batch 8`."""
    from onnxprof.publish.text.sentences import threads

    dims = "".join(f" {name}={size}" for name, size in job.dims)
    kind = job.device.partition(":")[0]
    provider = f" {job.provider}" if job.provider not in ("", kind) else ""
    counted = f", {threads(job.threads)}" if job.threads else ""
    node = f" at {job.node}" if job.node else ""
    return f"{job.model}{dims} on {job.backend}{provider} {kind}{node}{counted}, batch {job.batch}"


class Lines:
    """A line for each job that ends; failures and remarks on stderr."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._jobs = 0
        self._ended = 0
        self._said: set[str] = set()

    def hear(self, event: Event) -> None:
        """Print what an event comes to."""
        from onnxprof.sweeps.events import (
            AlreadyStored,
            Ended,
            Failed,
            Finished,
            Noted,
            Planned,
            Skipped,
        )

        match event:
            case Planned():
                self._jobs, self._ended = event.jobs, event.done
                self._tell(planned_text(event))
            case Finished(job):
                self._count()
                self._tell(f"{self._place()} {job_text(job)}: {_result(event)}")
            case AlreadyStored(job):
                self._count()
                self._tell(f"{self._place()} {job_text(job)}: in the store")
            case Failed(job, reason, run):
                self._count()
                self._once(f"{job_text(job)} failed: {reason}" if run else reason)
            case Skipped(_, reason):
                self._count()
                self._once(reason)
            case Noted(text):
                self._once(text)
            case Ended():
                say(ended_text(event))
            case _:
                pass

    def _count(self) -> None:
        self._ended += 1

    def _place(self) -> str:
        width = len(str(self._jobs))
        return f"[{self._ended:{width}}/{self._jobs}]"

    def _tell(self, text: str) -> None:
        from onnxprof.publish.text.safe import printable

        if not self._quiet:
            typer.echo(printable(text))

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)


def listening(is_json: bool, quiet: bool) -> Listener:
    """What hears the events of a sweep and prints them."""
    return as_json_lines if is_json else Lines(quiet).hear


def planned_text(planned: Planned) -> str:
    """`48 jobs: 12 in the store, 2 of them failed, 36 left, some 21 min`."""
    from onnxprof.publish.tables.plan import time_text
    from onnxprof.publish.text.safe import counted

    parts = [f"{planned.done} in the store"]
    parts += [f"{planned.failed} of them failed"] if planned.failed else []
    parts.append(f"{planned.left} left")
    if planned.left and planned.seconds:
        parts.append(f"some {time_text(planned.seconds)}")
    return f"{counted(planned.jobs, 'job', 'jobs')}: {', '.join(parts)}"


def ended_text(ended: Ended) -> str:
    """`34 measured, 2 failed, 1 skipped, 11 left: the same command goes on with them`."""

    parts = [f"{ended.finished} measured"]
    parts += [f"{ended.failed} failed"] if ended.failed else []
    parts += [f"{ended.skipped} skipped"] if ended.skipped else []
    if ended.left:
        parts.append(f"{ended.left} left: the same command goes on with them")
    return ", ".join(parts)


def _result(event: Finished) -> str:
    from onnxprof.publish.text.numbers import duration

    told = duration(event.latency_ns) if event.latency_ns is not None else "no latency"
    return f"{told}, outputs differ" if "wrong_outputs" in event.caveats else told
