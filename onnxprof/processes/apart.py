"""A process for untrusted work: on its cores, in its folder, within fences, with a witness."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.processes import cores, fork_server
from onnxprof.processes.confined import end
from onnxprof.processes.fence.settle import settle
from onnxprof.processes.launch import launch
from onnxprof.processes.witness import Witness, speak_into, witness


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process works."""

    folder: str
    """Its temporary files are here; the one who starts it removes them."""
    caches: tuple[str, ...] = ()
    """Folders that it may write to besides: caches that outlive it."""
    cpus: frozenset[int] = frozenset()
    """Empty for those that it is started on."""
    paths: tuple[str, ...] = ()
    """Folders that it imports from before all others."""


@contextmanager
def started(
    context: Any, place: Place, target: Callable[..., object], args: tuple[Any, ...]
) -> Iterator[tuple[Any, Witness]]:
    """`target(*args)` in a process of this context, which is ended on the way out."""
    with witness(context) as seen:
        given = (place, seen.writer, target, *args)
        process = fork_server.process(context, _enter, given)
        try:
            launch(process)
            seen.watch(process)
            yield process, seen
        finally:
            if process.pid is not None:
                end(process)


def _enter(place: Place, writer: Connection, target: Callable[..., object], *args: object) -> None:
    """Entry point of the process."""
    speak_into(writer)
    import_first(place.paths)
    settle(place.folder, place.caches)
    cores.on(place.cpus, target, *args)


def import_first(paths: Sequence[str]) -> None:
    """Have this process, and programs that it starts, import from these folders before others."""
    if not paths:
        return
    sys.path[:0] = paths
    importlib.invalidate_caches()
    behind = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (*paths, behind)))
