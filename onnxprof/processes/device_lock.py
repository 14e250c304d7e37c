"""One measurement a device at a time: a lock that other onnxprof processes wait for.

The lock is the system's, so it is released when the process that holds it ends, in any way. The
note beside it names that process, only to be shown to users.
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
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.errors import BackendError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL_S = 0.2
_MOST_BYTES = 4096
_LONGEST_COMMAND = 200

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock."""

    pid: int = 0
    command: str = ""
    since: str = ""
    """Local time, as `2026-01-02 14:03:22`."""

    def __str__(self) -> str:
        if not self.pid:
            return "another onnxprof process"
        return f"process {self.pid} ({self.command}) since {self.since}"


def folder() -> Path:
    """The folder of locks: `$ONNXPROF_LOCKS`, or the user's folder for runtime files."""
    return folders.locks()


@contextmanager
def held(device_id: str, say: Say, wait_s: float | None = None) -> Iterator[None]:
    """Hold the device's lock during the body.

    `say` gets a line that names the holder while this waits, or that says that locking is
    impossible here. Raises BackendError if the lock is not free after `wait_s` seconds; None
    waits without limit.
    """
    try:
        lock = _lock(device_id)
        _acquire(lock, device_id, say, wait_s)
    except OSError as error:  # no folder, a link in place of the lock, no locks
        say(f"{device_id} is not locked ({error.strerror or error}): let nothing else run on it")
        yield
        return
    note = _note(lock)
    _write(note, json.dumps(asdict(_myself())).encode()[:_MOST_BYTES])
    try:
        yield
    finally:
        _write(note, b"")
        lock.release()


def _lock(device_id: str) -> BaseFileLock:
    from filelock import FileLock

    path = folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "-", device_id).strip("-.") or "device"
    # A lock that is a mere file would outlive a process that is killed.
    return FileLock(path / f"{name}.lock", mode=0o600, fallback_to_soft=False)


def _note(lock: BaseFileLock) -> Path:
    return Path(lock.lock_file).with_suffix(".holder")


def _acquire(lock: BaseFileLock, device_id: str, say: Say, wait_s: float | None) -> None:
    began = time.monotonic()
    announced: Holder | None = None
    while not _locked(lock):
        holder = _holder(_note(lock))
        if wait_s is not None and time.monotonic() - began >= wait_s:
            raise BackendError(
                f"{device_id} is in use by {holder}", remedy="Wait for it, or measure elsewhere"
            )
        if announced is None or (holder.pid and holder != announced):
            say(f"waiting for {device_id}, in use by {holder}")
            announced = holder
        time.sleep(_POLL_S)


def _locked(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _holder(note: Path) -> Holder:
    """The holder by the note, which may be missing, outdated or damaged."""
    try:
        with _opened(note, os.O_RDONLY) as file:
            data = json.loads(file.read(_MOST_BYTES))
        pid, command, since = (data[name] for name in ("pid", "command", "since"))
        return Holder(int(pid), str(command)[:_LONGEST_COMMAND], str(since)[:40])
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return Holder()


def _myself() -> Holder:
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(os.getpid(), shlex.join(words)[:_LONGEST_COMMAND], since)


def _write(note: Path, content: bytes) -> None:
    """Write the note; errors are ignored, since the lock holds without it."""
    with suppress(OSError), _opened(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        file.write(content)


def _opened(note: Path, flags: int) -> FileIO:
    """The opened note; symbolic links are not followed."""
    descriptor = os.open(note, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    return FileIO(descriptor, "w" if flags & os.O_WRONLY else "r")
