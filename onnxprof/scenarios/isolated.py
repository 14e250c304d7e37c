"""The parent's end of a run's process: start it, hear what it says, end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.processes import fork_server, scratch
from onnxprof.processes.confined import Limits, cause, end
from onnxprof.processes.launch import launch
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
    """Make a run in a fresh process.

    Raises what the process sends as an error, and BackendError where it ends by itself or takes
    too long. An interrupt ends it and goes on to the caller.
    """
    context = fork_server.context()
    with scratch.scratch() as folder:
        receiver, sender = context.Pipe(duplex=False)
        process = fork_server.process(context, child, (work, limits, sender, folder))
        launch(process)
        sender.close()
        try:
            _message(process, receiver, limits.seconds, Watch(0.0, "loading", watch.progress))
            allowed = limits.seconds + _LONGER * watch.expected_s
            done = _message(process, receiver, allowed, watch)
        finally:
            end(process)
            receiver.close()
    if not isinstance(done, Done):
        raise TypeError(f"a process sent {type(done).__name__}")
    return done


def _message(process: Any, receiver: Connection, allowed_s: float, watch: Watch) -> Loaded | Done:
    """The next thing that the process says, while its progress is told."""
    began = time.monotonic()
    while not receiver.poll(_TICK_S):
        spent = time.monotonic() - began
        if spent > allowed_s:
            what = f"stopped after {allowed_s:.0f} s, while {watch.doing}"
            raise BackendError(what, remedy="Allow more with --timeout")
        watch.progress(watch.doing, min(1.0, spent / watch.expected_s) if watch.expected_s else 0.0)
    try:
        kind, value = receiver.recv()
    except (EOFError, OSError):
        process.join(_GRACE_SECONDS)
        what = f"the process {cause(process.exitcode)}, while {watch.doing}"
        raise BackendError(what) from None
    if kind == "error":
        raise value
    made: Loaded | Done = value
    return made
