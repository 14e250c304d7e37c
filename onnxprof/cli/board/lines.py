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
Say = Callable[[str], None]


class Lines:
    """Passes on a line for what somebody who reads a log wants to know.

    `tell` gets the plan and what was measured, `warn` what failed or is skipped, notes and the end;
    with `quiet` there are failures and the end alone.
    """

    def __init__(self, tell: Say, warn: Say, width: int = 80, *, quiet: bool = False) -> None:
        self._tell = tell
        self._warn = warn
        self._width = width
        self._quiet = quiet
        self._tally = Tally()
        self._reasons: set[str] = set()

    def hear(self, event: Event) -> None:
        """Say what is to be said of one more event."""
        self._tally = self._tally.after(event, 0.0)
        match event:
            case Failed(job, reason, run):
                self._lost(job, "failed", reason, is_recorded=bool(run))
            case Ended():
                self._warn(words.over(event, self._tally.found))
            case _ if self._quiet:
                pass
            case Planned():
                self._tell(words.planned(event))
            case Finished(job):
                self._tell(self._line(job, words.finished(event)))
            case Skipped(job, reason):
                self._lost(job, "skipped", reason, is_recorded=False)
            case Noted(text):
                self._warn(words.one_line(text))
            case _:
                pass

    def _lost(self, job: JobName, what: str, why: str, *, is_recorded: bool) -> None:
        """Say a job's reason; one that is in no record whole, once."""
        reason = words.one_line(why)
        line = self._line(job, f"{what}: {reason}")
        self._warn(line)
        if not is_recorded and not line.endswith(reason) and reason not in self._reasons:
            self._reasons.add(reason)
            self._warn(f"  {reason}")

    def _line(self, job: JobName, what: str) -> str:
        """`[ 12/120] resnet50, ort on cpu, batch 8: 8.312 ms, took 6 s`, cut to the width."""
        jobs = f"{self._tally.jobs}"
        ended = f"{self._tally.jobs - self._tally.left}".rjust(len(jobs))
        count = f"[{ended}/{jobs}] "
        line = f"{count}{words.title(job)}: {what}"
        if len(line) > self._width:
            room = self._width - len(count) - min(len(what), _LEAST_REST) - 2
            line = f"{count}{shortened(words.title(job, is_short=True), max(16, room))}: {what}"
        return line if len(line) <= self._width else f"{line[: self._width - 1]}…"
