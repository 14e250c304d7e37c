"""One measurement a device at a time: a lock that other onnxprof processes wait for.

The lock is the kernel's (flock(2)) on a file that is never removed, so it ends with the process
that holds it, however that ends. What the file says is for people alone.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from onnxprof import folders
from onnxprof.errors import BackendError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_POLL_S = 0.2
_MOST_BYTES = 4096
_LONGEST_COMMAND = 200

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock."""

    pid: int = 0
    command: str = ""
    since: str = ""
    """Local time, as `2026-01-02 14:03:22`."""

    def __str__(self) -> str:
        if not self.pid:
            return "another onnxprof process"
        return f"process {self.pid} ({self.command}) since {self.since}"


def folder() -> Path:
    """`$ONNXPROF_LOCKS`, or the user's folder for running processes on this machine."""
    return folders.locks()


@contextmanager
def held(device_id: str, say: Say, wait_s: float | None = None) -> Iterator[None]:
    """Hold the device's lock during the body.

    `say` is told for whom this waits, and if there can be no lock here. Raises BackendError if
    the lock is not free after `wait_s` seconds; None waits for as long as it takes.
    """
    file = _opened(device_id, say)
    if file is None:
        yield
        return
    with file:
        _acquire(file, device_id, say, wait_s)
        _write(file, json.dumps(asdict(_myself())).encode()[:_MOST_BYTES])
        try:
            yield
        finally:
            _write(file, b"")


def _opened(device_id: str, say: Say) -> FileIO | None:
    """The lock's file, or None where there can be no lock, which is told."""
    if fcntl is None:
        return None
    try:
        path = folder()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", device_id).strip("-.") or "device"
        descriptor = os.open(path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        say(f"{device_id} is not locked ({error.strerror or error}): let nothing else run on it")
        return None
    return FileIO(descriptor, "r+")


def _acquire(file: FileIO, device_id: str, say: Say, wait_s: float | None) -> None:
    began = time.monotonic()
    told: Holder | None = None
    while not _locked(file):
        holder = _holder(file)
        if wait_s is not None and time.monotonic() - began >= wait_s:
            raise BackendError(
                f"{device_id} is in use by {holder}", remedy="Wait for it, or measure elsewhere"
            )
        if told is None or (holder.pid and holder != told):
            say(f"waiting for {device_id}, in use by {holder}")
            told = holder
        time.sleep(_POLL_S)


def _locked(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _holder(file: FileIO) -> Holder:
    """What the file says, which may be nothing, old or nonsense."""
    try:
        data = json.loads(os.pread(file.fileno(), _MOST_BYTES, 0))
        pid, command, since = (data[name] for name in ("pid", "command", "since"))
        return Holder(int(pid), str(command)[:_LONGEST_COMMAND], str(since)[:40])
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return Holder()


def _myself() -> Holder:
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(os.getpid(), shlex.join(words)[:_LONGEST_COMMAND], since)


def _write(file: FileIO, content: bytes) -> None:
    """What cannot be written is not missed: the lock holds without it."""
    with suppress(OSError):
        file.truncate(0)
        os.pwrite(file.fileno(), content, 0)
