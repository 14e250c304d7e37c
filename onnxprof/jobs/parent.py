"""The parent's end of a measuring process: start it, listen to it, end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import BackendError, ProcessEnded
from onnxprof.jobs.child import child
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
    return apart.Place(folder, caches, split.measured)


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
