"""Work on untrusted input in a process of its own, with limits on time and memory.

A crash, a hang or too much memory ends only that piece of work, and an interrupt stops it at
once, even in the middle of a library's long call.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from onnxprof.errors import ModelError, OnnxprofError
from onnxprof.processes import fork_server
from onnxprof.processes.fence.settle import settle
from onnxprof.processes.launch import launch
from onnxprof.processes.letters import is_plain, received
from onnxprof.processes.limits import Limits
from onnxprof.processes.scratch import scratch
from onnxprof.processes.witness import kernel_bytes

T = TypeVar("T")

__all__ = ["Limits", "cause", "confine", "confined", "end"]

_GRACE_SECONDS = 5.0
#: What a process needs at the least to begin its work, and to say that it had too little.
_ROOM_BYTES = 8 << 20
#: prctl(2): the signal that this process gets when the parent dies.
_PR_SET_PDEATHSIG = 1


def confined(
    work: Callable[[], T],
    limits: Limits,
    doing: str,
    where: str = "",
    writes: Sequence[Path] = (),
) -> T:
    """The result of `work`, called in a process of its own; both must be picklable.

    Where the system allows it, the process writes below `writes` and in a temporary folder of its
    own alone, and reaches no network.

    Raises what `work` raises, and ModelError with `doing` and `where` if the work exceeded the
    limits or crashed. An interrupt ends the process and reaches the caller.
    """
    if multiprocessing.current_process().daemon:  # confined already
        return work()
    context, parent = _context()
    receiver, sender = context.Pipe(duplex=False)
    with ExitStack() as held:
        folder = ""
        with suppress(OSError):  # there is no room for one, and the work may need none
            folder = held.enter_context(scratch())
        places = (folder, *map(str, writes))
        given = (work, limits, sender, parent, places)
        process = fork_server.process(context, _answer, given)
        kind, value = _outcome(process, sender, receiver, limits, doing, where)
    if kind == "error":
        raise value
    made: T = value
    return made


def _outcome(
    process: Any, sender: Connection, receiver: Connection, limits: Limits, doing: str, where: str
) -> tuple[str, Any]:
    """What the process, which is started here, sends; it is ended on the way out."""
    try:
        with warnings.catch_warnings():  # of threads, of which none runs Python: see _context
            warnings.simplefilter("ignore", DeprecationWarning)
            launch(process)
        sender.close()
        return _received(process, receiver, limits, doing, where)
    finally:
        if process.pid is not None:
            end(process)
        receiver.close()


def _context() -> tuple[Any, int]:
    """How to start a process, and its parent's number; 0 where that is not this process.

    A copy of this process starts at once; one that has threads is not safe to copy.
    """
    if fork_server.is_started():
        return fork_server.context(), 0
    copied = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if copied else "spawn"), os.getpid()


def _received(
    process: Any, receiver: Connection, limits: Limits, doing: str, where: str
) -> tuple[str, Any]:
    if not receiver.poll(limits.seconds):
        raise ModelError(
            f"stopped after {limits.seconds:g} s, while {doing}",
            where=where,
            remedy="Allow more with --timeout",
        )
    try:
        answer: tuple[str, Any] = received(receiver)
    except (EOFError, OSError):
        process.join(_GRACE_SECONDS)
        raise ModelError(
            f"the process that was {doing} {cause(process.exitcode)}",
            where=where,
            remedy="Allow more with --memory, if that is what it lacked",
        ) from None
    if answer[0] == "memory":
        most = f" than {_size(limits.memory_bytes)}" if limits.memory_bytes else ""
        raise ModelError(
            f"{doing} takes more memory{most}", where=where, remedy="Allow more with --memory"
        )
    return answer


def _size(count: int) -> str:
    """A limit as `--memory` has it; a small one in MiB."""
    return f"{count / 2**30:.3g} GiB" if count >= 1 << 30 else f"{count / 2**20:.3g} MiB"


def _answer(
    work: Callable[[], object],
    limits: Limits,
    sender: Connection,
    parent: int,
    places: Sequence[str],
) -> None:
    """Entry point of the process, which writes to `places` alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        confine(limits, parent or os.getppid())
        settle(places[0], places[1:])
        answer = ("done", work())
    except OnnxprofError as error:
        answer = ("error", error)
    except MemoryError:
        answer = ("memory", None)
    except RecursionError:
        answer = ("error", ModelError("is nested too deeply", remedy="The file is damaged"))
    except Exception as error:
        error.add_note(traceback.format_exc())
        answer = ("error", error if is_plain(error) else _in_words(error))
    _send(sender, answer)


def _in_words(error: Exception) -> Exception:
    """An error whose class the reader may not have, in place of it."""
    told = RuntimeError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        told.add_note(note)
    return told


def _send(sender: Connection, answer: tuple[str, object]) -> None:
    with suppress(OSError):
        try:
            sender.send(answer)
        except MemoryError:
            sender.send(("memory", None))
        except OSError:
            raise
        except Exception as error:  # an exception or result that cannot be pickled
            sender.send(("error", RuntimeError(f"{type(error).__name__}: {error}; {answer[1]}")))


def cause(exitcode: int | None) -> str:
    """Why a process ended without an answer."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", which is what the system sends when memory runs out" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended without a result (exit code {exitcode})"


def end(process: Any) -> None:
    """Terminate a process that is still there; kill it if that does not help."""
    if process.is_alive():
        process.terminate()
        process.join(_GRACE_SECONDS)
    if process.is_alive():
        process.kill()
    process.join(_GRACE_SECONDS)


def confine(limits: Limits, parent: int = 0) -> None:
    """Limit this process's memory, let the system kill it first, and end it with the `parent`.

    The limit is what it takes besides what it has: a copy of a large process has all of that
    one's memory. Raises MemoryError where the limit is too little to begin with, and sets none
    then: without any room the process could not even say so, and might wait for good.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the signal was set
            os._exit(1)
    if not limits.memory_bytes:
        return
    try:
        import resource
    except ImportError:  # not on Windows
        return
    if limits.memory_bytes < _ROOM_BYTES:
        raise MemoryError
    held = kernel_bytes(Path("/proc/self/status"), "VmData") or 0  # what the system counts
    most = held + limits.memory_bytes
    with suppress(ValueError, OSError):  # a lower one is there already
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
