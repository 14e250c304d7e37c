"""Memory: what is resident of this process, now and at the peak, and what the machine has left."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

from onnxprof.processes.witness import kernel_bytes

#: The part of the available memory that a measurement may take.
_USABLE = 0.95


def resident_bytes() -> int:
    """Bytes that are resident now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def private_bytes(root: Path = Path("/")) -> int:
    """Resident bytes that no file backs, where the system tells these apart, else all.

    Linux: RssAnon of `/proc/self/status` (proc(5)). Code that was run once is not among them.
    """
    own = kernel_bytes(root / "proc/self/status", "RssAnon")
    return resident_bytes() if own is None else own


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
    peak = kernel_bytes(root / "proc/self/status", "VmHWM")
    if peak is not None:
        return peak
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import psutil

    return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))


def forget_peak() -> bool:
    """Have the peak begin anew, at what is resident now; whether the system can do that.

    Linux: `/proc/self/clear_refs` (proc(5)).
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def available_bytes(root: Path = Path("/")) -> int:
    """Bytes that programs may still take without swapping.

    Linux: MemAvailable of `/proc/meminfo` (proc(5)), which takes no import; elsewhere psutil's.
    """
    left = kernel_bytes(root / "proc/meminfo", "MemAvailable")
    if left is not None:
        return left
    import psutil

    return int(psutil.virtual_memory().available)


def usable_bytes() -> int:
    """What a measurement may take where no limit is given: 95 % of what is available."""
    return int(available_bytes() * _USABLE)


def limit_bytes(gib: float) -> int:
    """Bytes that one measurement may use; for 0 GiB, what there is."""
    return int(gib * 2**30) if gib else usable_bytes()
