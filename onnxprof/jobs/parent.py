"""The parent's end of a measuring process: start it, listen to it, end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.jobs.child import child
from onnxprof.jobs.job import Job
from onnxprof.processes import fork_server, scratch
from onnxprof.processes.confined import Limits, cause, end
from onnxprof.processes.launch import launch
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
    with scratch.scratch() as folder:
        receiver, sender = context.Pipe(duplex=False)
        process = fork_server.process(context, child, (job, limits, sender, folder))
        launch(process)
        sender.close()
        kept: list[Run] = []
        try:
            return as_run(listen(process, receiver, limits, progress, kept))
        except BackendError as error:
            if not kept:
                raise
            return replace(kept[0], parity=Parity(reason=f"the reference failed: {error.what}"))
        finally:
            end(process)
            receiver.close()


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
            raise BackendError(
                f"stopped after {limits.seconds:.0f} s{doing}", remedy="Allow more with --timeout"
            )
        try:
            kind, value = receiver.recv()
        except (EOFError, OSError):
            process.join(_GRACE_SECONDS)
            raise BackendError(f"the measuring process {cause(process.exitcode)}") from None
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
