"""The parent's end of a run's process: start it, hear what it says, end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import BackendError, ProcessEnded
from onnxprof.jobs.trouble.ending import ended
from onnxprof.processes import apart, cores, fork_server, scratch
from onnxprof.processes.confined import Limits, cause
from onnxprof.processes.letters import received
from onnxprof.scenarios.child import child
from onnxprof.scenarios.orders import Done, Loaded, Work

Progress = Callable[[str, float], None]

_GRACE_SECONDS = 5.0
#: Seconds between two looks at the clock for whoever watches.
_TICK_S = 0.5
#: A run may take so many times what it was expected to, beside the limit for loading.
_LONGER = 4.0


@dataclass(frozen=True, slots=True)
class Watch:
    """How long a run is expected to take, and who hears how far it is."""

    expected_s: float
    doing: str
    progress: Progress


def run(work: Work, limits: Limits, watch: Watch) -> Done:
    """Make a run in a fresh process, within the fences of one that measures.

    LoadGen's own thread counts as one of those that are measured: it hands out the queries in the
    same process. Raises what the process sends as an error, and BackendError where it ends by
    itself or takes too long. An interrupt ends it and goes on to the caller.
    """
    context = fork_server.context()
    threads = work.serving.sessions * work.system.threads + 1
    with scratch.scratch() as folder, cores.measuring(threads) as split:
        receiver, sender = context.Pipe(duplex=False)
        place = apart.Place(folder, work.system.caches, split.measured, work.system.paths)
        given = (work, limits, sender, folder)
        with receiver, apart.started(context, place, child, given) as (process, seen):
            sender.close()
            try:
                done = _done(process, receiver, limits, watch)
            except BackendError as raised:
                raise ended(raised, seen) from raised
    if not isinstance(done, Done):
        raise TypeError(f"a process sent {type(done).__name__}")
    return done


def _done(process: Any, receiver: Connection, limits: Limits, watch: Watch) -> Loaded | Done:
    """What the process says last: first it loads, then it is measured."""
    _message(process, receiver, limits.seconds, Watch(0.0, "loading", watch.progress))
    return _message(process, receiver, limits.seconds + _LONGER * watch.expected_s, watch)


def _message(process: Any, receiver: Connection, allowed_s: float, watch: Watch) -> Loaded | Done:
    """The next thing that the process says, while its progress is told."""
    began = time.monotonic()
    while not receiver.poll(_TICK_S):
        spent = time.monotonic() - began
        if spent > allowed_s:
            what = f"stopped after {allowed_s:.0f} s, while {watch.doing}"
            raise ProcessEnded(what, remedy="Allow more with --timeout")
        watch.progress(watch.doing, min(1.0, spent / watch.expected_s) if watch.expected_s else 0.0)
    try:
        kind, value = received(receiver)
    except (EOFError, OSError):
        process.join(_GRACE_SECONDS)
        what = f"the process {cause(process.exitcode)}, while {watch.doing}"
        raise ProcessEnded(what) from None
    if kind == "error":
        raise value
    made: Loaded | Done = value
    return made
