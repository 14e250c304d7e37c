"""Which process wrote something, and whether it is still there."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: The third field of /proc/PID/stat is the state, the 22nd the start; the second has any text.
_STATE, _START = 0, 19


@dataclass(frozen=True, slots=True)
class Identity:
    """A process as no other one is called: numbers are given again, also after a restart."""

    host: str
    pid: int
    started: str
    """When it started, in the system's own terms; empty where those are not known."""


def myself() -> Identity:
    """This process."""
    return Identity(platform.node(), os.getpid(), _started(os.getpid()))


def is_alive(process: Identity) -> bool | None:
    """Whether a process still runs; None for one of another machine."""
    if process.host != platform.node():
        return None
    started = _started(process.pid)
    return bool(started) and (not process.started or started == process.started)


def _started(pid: int) -> str:
    """When a process started; empty where there is none, or it has ended and is not yet buried."""
    if pid <= 0:
        return ""
    if Path("/proc/self/stat").exists():
        return _by_proc(pid)
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return f"{process.create_time():.2f}"
    return ""


def _by_proc(pid: int) -> str:
    with suppress(OSError, IndexError):
        text = Path("/proc", str(pid), "stat").read_text("utf-8", "replace")
        fields = text.rpartition(")")[2].split()
        if fields[_STATE] not in "ZX":
            return f"{_boot()}:{fields[_START]}"
    return ""


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
