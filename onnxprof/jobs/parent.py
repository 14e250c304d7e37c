"""The parent's end of a measuring process: start it, listen to it, end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import BackendError, OnnxprofError, ProcessEnded
from onnxprof.jobs.child import child, stay
from onnxprof.jobs.job import Job, on_cores
from onnxprof.jobs.trouble.ending import ended
from onnxprof.plugins import registry, verbs
from onnxprof.processes import apart, cores, fork_server, scratch
from onnxprof.processes.confined import Limits, cause
from onnxprof.processes.letters import received
from onnxprof.processes.witness import Witness
from onnxprof.records.parity import Parity
from onnxprof.records.run import Run

_GRACE_SECONDS = 5.0
#: How long a process may take to put away what a job left, and to take another.
_ANSWER_S = 30.0

Hear = Callable[[str, float], None]
#: Measures a job in a process and returns its run, as `run_isolated`.
Measure = Callable[[Job, Limits, Hear], Run]


def run_isolated(job: Job, limits: Limits, progress: Callable[[str, float], None]) -> Run:
    """Measure in a process of its own.

    One of several processes of a job has a layout of memory of its own, which is among what
    differs from process to process. Raises what the measurement raised, and BackendError where the
    process crashed, ran out of time or out of memory. An interrupt ends the process and goes on to
    the caller.
    """
    context = fork_server.context(fresh=job.options.processes > 1)
    with scratch.scratch() as folder, cores.measuring(job.threads) as split:
        job = on_cores(job, split)
        receiver, sender = context.Pipe(duplex=False)
        given = (job, limits, sender, folder)
        with receiver, apart.started(context, place(job, folder, split), child, given) as begun:
            process, seen = begun
            sender.close()
            return run_in(process, receiver, seen, limits, progress)


def run_in(
    process: Any,
    receiver: Connection,
    seen: Witness,
    limits: Limits,
    progress: Callable[[str, float], None],
) -> Run:
    """The run of a job that the process was given. Raises as `run_isolated`."""
    kept: list[Run] = []
    try:
        return as_run(listen(process, receiver, limits, progress, kept))
    except BackendError as raised:
        error = ended(raised, seen)
        if not kept:
            raise error from raised
        return replace(kept[0], parity=Parity(reason=f"the reference failed: {error.what}"))


def place(job: Job, folder: str, split: cores.Split) -> apart.Place:
    """Where a process measures the job."""
    caches = verbs.caches(registry.backend(job.options.backend))
    return apart.Place(folder, caches, split.measured, job.paths)


def listen(
    process: Any,
    receiver: Connection,
    limits: Limits,
    progress: Callable[[str, float], None],
    kept: list[Run],
    wanted: str = "run",
    spent: float = 0.0,
) -> object:
    """What comes with the `wanted` message; `spent` seconds of the limit are used already.

    Passes progress on and collects measured runs. Raises what the process sends as an error,
    and BackendError where it ends or takes too long.
    """
    deadline = time.monotonic() + limits.seconds - spent
    doing = ""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not receiver.poll(left):
            raise ProcessEnded(
                f"stopped after {limits.seconds:.0f} s{doing}", remedy="Allow more with --timeout"
            )
        try:
            kind, value = received(receiver)
        except (EOFError, OSError):
            process.join(_GRACE_SECONDS)
            raise ProcessEnded(f"the measuring process {cause(process.exitcode)}") from None
        if kind == "progress":
            progress(*value)
            doing = f", while {value[0]}"
        elif kind == "measured":
            kept.append(as_run(value))
        elif kind == wanted:
            return value
        else:
            raise value


def as_run(value: object) -> Run:
    """What a process sent, if it is a run. Raises TypeError."""
    if not isinstance(value, Run):
        raise TypeError(f"a worker sent {type(value).__name__}")
    return value


@contextmanager
def staying() -> Iterator[Measure]:
    """Measures jobs one after the other; those of one model, backend and device share a process.

    Starting a process, importing a runtime and unpacking a model take longer than measuring a small
    one. What is timed is loaded anew for each job, by the same steps as in a fresh process. It
    takes another job only where its backend says that nothing which it did before bears on times.
    What goes wrong costs the job at hand. The process ends with the body.
    """
    held = _Held()
    try:
        yield held.measure
    finally:
        held.end()


@dataclass(slots=True)
class _Held:
    """The process that waits for another job, if there is one."""

    likeness: object = None
    """What its jobs have in common."""
    process: Any = None
    channel: Connection | None = None
    seen: Witness | None = None
    split: cores.Split = field(default_factory=cores.Split)
    opened: ExitStack = field(default_factory=ExitStack)

    def measure(self, job: Job, limits: Limits, hear: Hear) -> Run:
        """As `run_isolated`. A process that failed, or that this job cannot share, is ended."""
        if not may_share(job):
            self.end()
            return run_isolated(job, limits, hear)
        if not (self.likeness == _likeness(job, limits) and self._is_ready() and self._takes(job)):
            self.end()
            self._start(job, limits)
            self._takes(job, limits.seconds)
        try:
            assert self.channel is not None
            assert self.seen is not None
            return run_in(self.process, self.channel, self.seen, limits, hear)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process, which may be waiting or at work."""
        self.likeness = None
        self.opened.close()

    def _start(self, job: Job, limits: Limits) -> None:
        with ExitStack() as made:
            folder = made.enter_context(scratch.scratch())
            self.split = made.enter_context(cores.measuring(job.threads))
            context = fork_server.context()
            ours, theirs = context.Pipe()
            where = place(job, folder, self.split)
            begun = apart.started(context, where, stay, (limits, theirs, folder))
            self.process, self.seen = made.enter_context(begun)
            self.channel = made.enter_context(ours)
            theirs.close()
            self.opened = made.pop_all()
        self.likeness = _likeness(job, limits)

    def _is_ready(self) -> bool:
        """Whether the process goes on, which it says when it has put away what its job left."""
        return self._hears(("goes on", True))

    def _takes(self, job: Job, seconds: float = _ANSWER_S) -> bool:
        """Whether the process has the job now: one that ended while it waited costs none."""
        try:
            assert self.channel is not None
            assert self.seen is not None
            self.seen.begin()
            self.channel.send(on_cores(job, self.split))
        except OSError:
            return False
        return self._hears(("takes it", True), seconds)

    def _hears(self, wanted: tuple[str, bool], seconds: float = _ANSWER_S) -> bool:
        try:
            assert self.channel is not None
            return self.channel.poll(seconds) and received(self.channel) == wanted
        except (EOFError, OSError, OnnxprofError):
            return False


def may_share(job: Job) -> bool:
    """Whether a process that has measured the job may measure it at another size.

    Never where differences between processes are to be measured.
    """
    alone = job.options.processes > 1
    return not alone and verbs.lasts(registry.backend(job.options.backend), job.provider)


def _likeness(job: Job, limits: Limits) -> object:
    asked = job.options
    place = job.device.id, asked.backend, job.provider, asked.threads, asked.setup, job.paths
    return job.facts.sha256, job.model.path, place, limits
