"""Processes that start with imports done: forked from a server that has made them, on Linux.

The server is multiprocessing's own. It imports modules that start no threads, never a runtime,
and takes no part in any work, so a crash costs what crashed alone. All its processes have one
layout of memory; those whose differences are to be measured are started with `fresh`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, reduction
from typing import Any

from onnxprof.processes import scratch

#: The streams that a forked process shares with the one that asked for it: stdout and stderr.
_STREAMS = (1, 2)
_STARTED: list[str] = []


def start(modules: Sequence[str]) -> None:
    """Start the server, if there is to be one and none runs; returns before it has imported.

    Where there is none, processes start as fresh interpreters. A module that cannot be imported
    is left out.
    """
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return
    if not _STARTED:
        _stand_in_scratch()
        multiprocessing.set_forkserver_preload(list(modules))
        _STARTED.extend(modules)
    # Held back until a process ignores it: an interrupt is for those who asked for the work.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stand_in_scratch() -> None:
    """Have the server's socket in a folder that a later process removes where this one is killed.

    multiprocessing would make one that stays: it has no public way to name another.
    """
    config: Any = getattr(multiprocessing.current_process(), "_config", None)
    if isinstance(config, dict):
        config.setdefault("tempdir", scratch.kept())


def is_started() -> bool:
    """Whether processes come from the server."""
    return bool(_STARTED)


def number() -> int:
    """The server's process number; 0 where there is none."""
    server: Any = getattr(forkserver, "_forkserver", None)  # it has no public name
    return int(getattr(server, "_forkserver_pid", None) or 0) if is_started() else 0


def context(*, fresh: bool = False) -> Any:
    """The multiprocessing context to make pipes and a `process` in."""
    method = "forkserver" if is_started() and not fresh else "spawn"
    return multiprocessing.get_context(method)


def process(context: Any, target: Callable[..., None], args: tuple[Any, ...]) -> Any:
    """A daemonic process of that context, not started yet, with the environment of this one."""
    if context.get_start_method() == "forkserver":
        args = (dict(os.environ), tuple(map(_Stream, _STREAMS)), target, args)
        target = _forked
    return context.Process(target=target, args=args, daemon=True)


class _Stream:
    """A file descriptor of the parent's that goes with the process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.number, reduction.DupFd(self.number))


def _received(number: int, handle: Any) -> tuple[int, int]:
    return number, handle.detach()


def _forked(
    environment: Mapping[str, str],
    streams: Sequence[tuple[int, int]],
    target: Callable[..., None],
    args: tuple[Any, ...],
) -> None:
    """What a spawned process has by itself: today's environment and streams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for number, descriptor in streams:
        os.dup2(descriptor, number)
        os.close(descriptor)
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)
    target(*args)
