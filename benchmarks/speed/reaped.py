"""What a command cost, with all the processes that it left to themselves. Linux only."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command and everything that it started."""

    cpu_s: float
    wall_s: float
    largest_mb: float
    """Resident memory of its largest process."""
    together_mb: float
    """Of all its processes at one time, shared pages counted once, looked at 50 times a second."""
    written_mb: float
    """By write calls, pipes included."""


def cost(command: Sequence[str]) -> Cost:
    """Run it; raises CalledProcessError where it fails."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before, wrote = resource.getrusage(resource.RUSAGE_CHILDREN), _written()
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    watch = _Watch(process.pid)
    _, told = process.communicate()
    wall_s = time.monotonic() - began
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    watch.stop()
    if process.returncode:
        sys.stderr.write(told.decode())
        raise subprocess.CalledProcessError(process.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sizes = watch.largest, watch.together, _written() - wrote
    return Cost(cpu_s, wall_s, *(size / 1e6 for size in sizes))


def _written() -> int:
    """Bytes that this process wrote, and those that it has waited for, with theirs: proc(5)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("wchar"))


class _Watch:
    """Looks at a process and its descendants, and those that were left to this process."""

    def __init__(self, pid: int) -> None:
        self.largest = self.together = 0
        self._known = {pid}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.02):
            self._known |= _descendants(self._known)
            together = 0
            for pid in self._known:
                with suppress(OSError, ValueError, IndexError):
                    together += self._see(pid)
            self.together = max(self.together, together)

    def _see(self, pid: int) -> int:
        place = Path("/proc", str(pid))
        resident = int((place / "statm").read_text().split()[1]) * _PAGE
        self.largest = max(self.largest, resident)
        shares = (place / "smaps_rollup").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in shares if x.startswith("Pss:"))


def _descendants(known: set[int]) -> set[int]:
    found: set[int] = set()
    for pid in known:
        with suppress(OSError):
            for task in Path("/proc", str(pid), "task").iterdir():
                found.update(map(int, (task / "children").read_text().split()))
    return found
