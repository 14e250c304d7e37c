"""A loaded model in a process of its own that measures when it is told to.

Two such processes can live side by side and take turns of a few dozen milliseconds, so that
what the machine does in the meantime hits both. One that has no turn waits for its pipe: it
answers only when its threads are asleep, since those of a runtime spin for a while.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.child import child
from onnxprof.jobs.job import Job, on_cores
from onnxprof.jobs.parent import as_run, listen, place
from onnxprof.jobs.trouble.ending import ended
from onnxprof.machine.other_programs import Others
from onnxprof.measure.protocol import Blocks
from onnxprof.processes import apart
from onnxprof.processes.confined import Limits
from onnxprof.processes.cores import measuring
from onnxprof.processes.scratch import scratch
from onnxprof.processes.witness import Witness
from onnxprof.records.parity import Parity
from onnxprof.records.run import Run

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

#: How long threads are watched that should fall asleep, in seconds, and how long at most.
_LOOK, _LONGEST_LOOK = 0.002, 0.3
#: The part of a core that a process takes at most that is asleep.
_ASLEEP = 0.05

Progress = Callable[[str, float], None]


class Kind(StrEnum):
    """What a block holds."""

    PLAIN = "plain"
    TRACED = "traced"


@dataclass(slots=True)
class Served:
    """The parent's end: orders blocks, one at a time, and then the run."""

    process: SpawnProcess
    channel: Connection
    limits: Limits
    progress: Progress
    where: str = ""
    """What it measures, for errors."""
    seen: Witness | None = None
    spent: float = 0.0
    """Seconds of the limit that were spent waiting for this process."""
    kept: list[Run] = field(default_factory=list)
    usual_ns: int = 0
    """What an inference takes, known when it is ready."""

    def ready(self) -> None:
        """Wait until the model is loaded and warm. Raises as `block`."""
        self.usual_ns = self._count(self._wait("ready"))

    def block(self, kind: Kind, ns: int) -> int:
        """Measure one block of about so many nanoseconds; returns how many it took.

        Raises what the measurement raised, and BackendError where the process ended or has
        used up its time.
        """
        self._order((kind, ns))
        return self._count(self._wait("done"))

    def finish(self) -> Run:
        """The run of all blocks. Raises as `block`."""
        self._order(None)
        try:
            return as_run(self._wait("run"))
        except BackendError as error:  # of the reference, where there is a run already
            if not self.kept:
                raise
            return replace(
                self.kept[0], parity=Parity(reason=f"the reference failed: {error.what}")
            )

    def _count(self, value: object) -> int:
        if not isinstance(value, int):
            raise TypeError(f"a worker sent {type(value).__name__}")
        return value

    def _order(self, order: tuple[Kind, int] | None) -> None:
        try:
            self.channel.send(order)
        except OSError:  # it has ended, and said why before that
            self._wait("nothing")

    def _wait(self, wanted: str) -> object:
        began = time.monotonic()
        try:
            return listen(
                process=self.process,
                receiver=self.channel,
                limits=self.limits,
                progress=self.progress,
                kept=self.kept,
                wanted=wanted,
                spent=self.spent,
            )
        except OnnxprofError as error:
            told = ended(error, self.seen)
            where = told.where or self.where
            raise type(told)(told.what, where=where, remedy=told.remedy) from error
        finally:
            self.spent += time.monotonic() - began


@contextmanager
def served(
    job: Job, limits: Limits, progress: Progress, cores: frozenset[int] = frozenset()
) -> Iterator[Served]:
    """A fresh process that loads the job; it is ended on the way out, whatever happened.

    It runs on these cores; on any where there are none.
    """
    context = multiprocessing.get_context("spawn")
    with scratch() as folder, measuring(job.threads, cores) as split:
        ours, theirs = context.Pipe()
        given = (on_cores(job, split), limits, theirs, folder)
        with ours, apart.started(context, place(job, folder, split), _serve, given) as begun:
            process, seen = begun
            theirs.close()
            yield Served(process, ours, limits, progress, job.title, seen)


def _serve(job: Job, limits: Limits, channel: Connection, folder: str) -> None:
    """Entry point of the process."""
    child(job, limits, channel, folder, Obedience(channel))


@dataclass(frozen=True, slots=True)
class Obedience:
    """The child's end: measures block by block as it is told, until it is told to stop."""

    channel: Any
    """What `send` and `recv` go through."""

    def __call__(self, others: Others, blocks: Blocks) -> None:
        """Obey; `others` watch the blocks, not the time between them."""
        fall_asleep()
        self.channel.send(("ready", blocks.sampler.usual_ns))
        while (order := self.channel.recv()) is not None:
            kind, ns = order
            measure = blocks.measure_plain if kind is Kind.PLAIN else blocks.measure_traced
            with others.watched(), _threads() as awake:
                taken = measure(ns)
            if awake():
                fall_asleep()
            self.channel.send(("done", taken))


@contextmanager
def _threads() -> Iterator[Callable[[], bool]]:
    """Whether other threads than this one worked meanwhile."""
    own, whole = time.thread_time(), time.process_time()

    def awake() -> bool:
        worked = time.thread_time() - own
        return time.process_time() - whole - worked > _ASLEEP * worked

    yield awake


def fall_asleep() -> float:
    """Wait until this process's other threads no longer spin; returns the seconds it took.

    Gives up after 0.3 s: a runtime whose threads never sleep disturbs both sides alike.
    """
    began = time.monotonic()
    while time.monotonic() - began < _LONGEST_LOOK:
        clock, taken = time.monotonic(), time.process_time()
        time.sleep(_LOOK)
        if time.process_time() - taken < _ASLEEP * (time.monotonic() - clock) + 1e-4:
            break
    return time.monotonic() - began
