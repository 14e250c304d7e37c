"""Progress bars on a terminal: of downloads, and of measurements."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from onnxprof.cli import loudness
from onnxprof.cli.output import is_plain, is_terminal, stderr_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from onnxprof.jobs.job import Job
    from onnxprof.model.sources.policy import Progress


def _is_bare(console: Console) -> bool:
    """Whether nothing can be drawn on the console, or nothing may be."""
    return not console.is_terminal or is_plain()


@contextmanager
def fetching(console: Console | None = None) -> Iterator[Progress | None]:
    """A callback that draws a bar for each download; None where there is no terminal.

    The console is that of stderr unless one is given.
    """
    if console is None and is_terminal(sys.stderr):
        console = stderr_console()
    if console is None or _is_bare(console):
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from onnxprof.publish.text.safe import printable

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, object] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(printable(what), total=None)
            bars.update(tasks[what], completed=done, total=total or None)  # type: ignore[arg-type]

        yield advance


@contextmanager
def steps(console: Console, what: str) -> Iterator[Callable[[str, float], None]]:
    """A callback that shows which part of a work is done, and what it is at; only on a terminal."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    from onnxprof.publish.text.safe import printable

    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    hidden, phases = _is_bare(console), _Phases()
    with Bars(*columns, console=console, transient=True, disable=hidden) as bars:
        task = bars.add_task(what, total=1.0)

        def advance(phase: str, share: float) -> None:
            if line := phases.line(what, phase):
                _print(bars.console, line)
            bars.update(task, description=printable(f"{what}: {phase}")[:60], completed=share)

        yield advance


class _Phases:
    """With `-v` a line where a phase begins, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._doing = ("", "")

    def line(self, what: str, phase: str) -> str:
        """The line; empty where the phase goes on, and without `-v`."""
        if loudness.level() < loudness.DETAILED or (what, phase) == self._doing:
            return ""
        self._doing = what, phase
        return f"{time.monotonic() - self._began:7.2f} s  {what}: {phase}"


def _print(console: Console, text: str) -> None:
    from onnxprof.publish.text.safe import printable

    console.print(f"onnxprof: {printable(text)}", markup=False, highlight=False, soft_wrap=True)


class Meter:
    """Shows the progress of jobs on a terminal; elsewhere prints only notices.

    The time left is estimated from the jobs that are done, before that from the budget.
    """

    def __init__(self, console: Console, jobs: int, budget_seconds: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._jobs = jobs
        self._budget = budget_seconds
        self._done = 0
        self._began = time.monotonic()
        self._phases = _Phases()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            transient=True,
            disable=_is_bare(console),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Meter:
        self._bar.start()
        self._task = self._bar.add_task("starting", total=float(self._jobs), left="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the progress off the screen."""
        self._bar.stop()

    def update(self, job: Job, phase: str, share: float) -> None:
        """Show the job's phase, or print a notice; `share` is the spent part of its budget."""
        from onnxprof.jobs.outlook import Notice

        if isinstance(phase, Notice):
            self.note(phase)
        else:
            self.show(job.facts.name, job.sizes, phase, share)

    def note(self, text: str, *, failed: bool = False) -> None:
        """Print a line above the progress; with `-qq` only what failed."""
        if failed or loudness.level() > loudness.SILENT:
            _print(self._bar.console, text)

    def show(self, model: str, sizes: str, phase: str, share: float) -> None:
        """Show what a job is at; `share` is the spent part of its budget."""
        from onnxprof.publish.text.safe import printable

        if line := self._phases.line(f"{model} {sizes}", phase):
            self.note(line)
        if self._task is None or self._bar.disable:
            return
        name, phase = f"{printable(model)[:24]} {printable(sizes)[:40]}", printable(phase)
        self._bar.update(
            self._task,
            description=f"{name} ({self._done + 1}/{self._jobs}): {phase}",
            completed=self._done + share,
            left=f"{_clock(self._left(share))} left",
        )

    def done(self) -> None:
        """Count the current job as done."""
        self._done += 1

    def _left(self, share: float) -> float:
        finished = self._done + share
        elapsed = time.monotonic() - self._began
        seconds_each = elapsed / finished if finished > 0.5 else self._budget + 1
        return seconds_each * (self._jobs - finished)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
