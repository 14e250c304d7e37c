"""Resident memory of this process, now and at its peak."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil


def resident_bytes() -> int:
    """What is resident now."""
    return int(psutil.Process().memory_info().rss)


def peak_resident_bytes(root: Path = Path("/")) -> int:
    """The most that was resident since the process began; 0 if the system does not say.

    Linux: VmHWM of `/proc/self/status` (proc(5)), which, unlike `ru_maxrss`, is not that of the
    program that started this one. macOS: `ru_maxrss`, in bytes. Windows: the peak working set.
    """
    try:
        text = (root / "proc/self/status").read_text("utf-8", "replace")
    except OSError:
        text = ""
    told = re.search(r"^VmHWM:\s*(\d+) kB$", text, re.MULTILINE)
    if told:
        return int(told[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
