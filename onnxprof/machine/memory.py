"""Resident memory of this process, now and at the peak."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

import psutil


def resident_bytes() -> int:
    """Bytes that are resident now."""
    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Return memory that was freed, but is kept for later, to the system: with glibc alone."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def peak_resident_bytes(root: Path = Path("/")) -> int:
    """The peak of resident bytes since the process began; 0 if the system does not report it.

    Linux: VmHWM of `/proc/self/status` (proc(5)), which, unlike `ru_maxrss`, leaves out the
    program that started this one. macOS: `ru_maxrss`, in bytes. Windows: the peak working set.
    """
    try:
        text = (root / "proc/self/status").read_text("utf-8", "replace")
    except OSError:
        text = ""
    match = re.search(r"^VmHWM:\s*(\d+) kB$", text, re.MULTILINE)
    if match:
        return int(match[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
