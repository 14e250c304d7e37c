"""What runs a task, and what gets its results: the two sides of a sweep, wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from onnxprof.errors import OnnxprofError
from onnxprof.records.run import Request, Run
from onnxprof.sweeps.events import Event, JobName
from onnxprof.sweeps.tasks import Task


class PlaceLostError(OnnxprofError):
    """A place is gone, as a machine that is switched off; what it had begun runs elsewhere."""


class Desk(Protocol):
    """Gives out tasks, keeps what is measured, and passes on what happens. Safe for threads."""

    def is_wanted(self, request: Request) -> bool:
        """Whether a job is still to be run; asked with its device held, before it starts."""

    def unwanted(self, model_name: str) -> frozenset[str]:
        """Digests of the requests of a model that are not to be run.

        For a place that cannot ask for each job.
        """

    def take(
        self, job: JobName, run: Run, seconds: float, reason: str = "", data: bytes = b""
    ) -> None:
        """Store a run and report the job as finished, or as failed where the run has no times.

        `reason` is the failure in words for a user, without the place. `data` are the bytes of the
        run's file where another machine wrote it; they are stored as they are. Raises StoreError
        where the run cannot be stored, which ends the sweep.
        """

    def hear(self, event: Event) -> None:
        """Pass on any other event: a start, an advance, a skipped job, a failure without a run."""


class Place(Protocol):
    """Where tasks run: this machine, a node of a cluster, a board that is reached over ssh."""

    @property
    def name(self) -> str:
        """The node in names of jobs; empty for this machine."""

    @property
    def width(self) -> int:
        """Tasks that it takes at once."""

    def fits(self, task: Task) -> bool:
        """Whether the task can run here: its device is here, its backend is installed."""

    def run(self, task: Task, desk: Desk) -> None:
        """Run the jobs of a task and give each one's result to the desk before the next starts.

        Every batch of the task ends as exactly one of: `desk.take`, or an event Failed, Skipped or
        AlreadyStored. Raises PlaceLostError where the place is gone, StoreError from the desk, and
        KeyboardInterrupt; what cannot run is reported, not raised.
        """

    def comes_back(self, wanted: Callable[[], bool]) -> bool:
        """Wait until a lost place is there again; False where it will not be.

        Called from the thread of the place. `wanted` says whether there is still work for it.
        """

    def stop(self) -> None:
        """End what runs; called from another thread when the sweep is interrupted."""
