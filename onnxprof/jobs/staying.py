"""A process that measures a model at one size after another, as long as nothing goes wrong in it.

Starting a process, importing a runtime and unpacking a model take longer than measuring a small
one. What is timed is loaded anew for each size, by the same steps as in a fresh process. A process
takes one more job only where its backend says that nothing which it did before bears on times,
where it is as light as it was, and where no job of it has failed: what crashes, hangs or takes too
much memory costs the job at hand, and the next one has a new process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.child import child
from onnxprof.jobs.job import Job, on_cores
from onnxprof.jobs.parent import place, run_in, run_isolated
from onnxprof.machine import memory
from onnxprof.plugins import registry
from onnxprof.plugins.verbs import begin, lasts
from onnxprof.processes import apart, cores, fork_server
from onnxprof.processes.confined import Limits
from onnxprof.processes.letters import received
from onnxprof.processes.scratch import scratch
from onnxprof.processes.witness import Witness
from onnxprof.records.run import Run

#: What a process may hold more than before its first job: tables of the runtime, small caches.
_MORE_BYTES = 64 << 20
#: How long a process may take to put away what a job left, and to take another.
_ANSWER_S = 30.0

Hear = Callable[[str, float], None]
#: Measures a job in a process and returns its run, as `run_isolated`.
Measure = Callable[[Job, Limits, Hear], Run]


@contextmanager
def staying() -> Iterator[Measure]:
    """Measures jobs one after the other; those of one model, backend and device share a process.

    The process ends with the body.
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
            folder = made.enter_context(scratch())
            self.split = made.enter_context(cores.measuring(job.threads))
            context = fork_server.context()
            ours, theirs = context.Pipe()
            where = place(job, folder, self.split)
            begun = apart.started(context, where, _stay, (limits, theirs, folder))
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
    return not alone and lasts(registry.backend(job.options.backend), job.provider)


def _likeness(job: Job, limits: Limits) -> object:
    asked = job.options
    place = job.device.id, asked.backend, job.provider, asked.threads
    return job.facts.sha256, job.model.path, place, limits


def _stay(limits: Limits, channel: Connection, folder: str) -> None:
    """Entry point of the process."""
    most = 0
    while (job := _given(channel)) is not None:
        follows = bool(most)
        if not follows:
            begin(registry.backend(job.options.backend))
            most = memory.private_bytes() + _MORE_BYTES
        if not child(replace(job, follows=follows), limits, channel, folder):
            return
        del job
        gc.collect()
        memory.give_back()
        light = memory.private_bytes() <= most and memory.forget_peak()
        if not _told(channel, ("goes on", light)) or not light:
            return


def _given(channel: Connection) -> Job | None:
    """The next job; None where there is none."""
    try:
        job: Job = channel.recv()
    except (EOFError, OSError):
        return None
    return job if _told(channel, ("takes it", True)) else None


def _told(channel: Connection, word: tuple[str, bool]) -> bool:
    try:
        channel.send(word)
    except OSError:
        return False
    return True
