"""A sweep as plain lines, for logs: one a job that ended, without escapes, 80 columns wide."""

from __future__ import annotations

from collections.abc import Callable

from onnxprof.cli.board import words
from onnxprof.publish.text.safe import shortened
from onnxprof.sweeps.events import (
    Ended,
    Event,
    Failed,
    Finished,
    JobName,
    Noted,
    Planned,
    Skipped,
)
from onnxprof.sweeps.status.tally import Tally

#: What a job's name leaves for what became of it.
_LEAST_REST = 32


class Lines:
    """Passes on a line for what somebody who reads a log wants to know.

    With `quiet` that is which jobs failed, and the end.
    """

    def __init__(self, say: Callable[[str], None], width: int = 80, *, quiet: bool = False) -> None:
        self._say = say
        self._width = width
        self._quiet = quiet
        self._tally = Tally()

    def hear(self, event: Event) -> None:
        """Say what is to be said of one more event."""
        self._tally = self._tally.after(event, 0.0)
        match event:
            case Failed(job, reason):
                self._job(job, f"failed: {words.one_line(reason)}")
            case Ended(left=left):
                rest = f", {left:,} not begun" if left else ""
                self._say(f"sweep over: {words.counts(self._tally) or 'nothing to do'}{rest}")
            case _ if self._quiet:
                pass
            case Planned():
                self._plan(event)
            case Finished(job):
                self._job(job, words.finished(event))
            case Skipped(job):
                self._job(job, words.skipped(event))
            case Noted(text):
                self._say(words.one_line(text))
            case _:
                pass

    def _plan(self, plan: Planned) -> None:
        parts = [f"{plan.jobs:,} job{'' if plan.jobs == 1 else 's'}"]
        parts += [f"{plan.done:,} in the store already, {plan.left:,} left"] if plan.done else []
        parts += [f"about {words.clock(plan.seconds)}"] if plan.seconds is not None else []
        self._say(", ".join(parts))

    def _job(self, job: JobName, what: str) -> None:
        """`[ 12/120] resnet50, ort on cpu, batch 8: 8.312 ms, took 6 s`, cut to the width."""
        jobs = f"{self._tally.jobs}"
        ended = f"{self._tally.jobs - self._tally.left}".rjust(len(jobs))
        count = f"[{ended}/{jobs}] "
        line = f"{count}{words.title(job)}: {what}"
        if len(line) > self._width:
            room = self._width - len(count) - min(len(what), _LEAST_REST) - 2
            line = f"{count}{shortened(words.title(job, is_short=True), max(16, room))}: {what}"
        self._say(line if len(line) <= self._width else f"{line[: self._width - 1]}…")
