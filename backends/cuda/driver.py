"""CUDA's driver: whether it answers, the CUDA version it supports, and CUDA's errors.

Numbers are those of `cudaError` in NVIDIA's CUDA Runtime API reference; `CUresult` of the driver
API has the same ones for everything that is listed here.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from onnxprof.plugins.memory import SMALLER

#: CUDA Compatibility, "Minor Version Compatibility": the oldest driver of each major version.
_DRIVERS: Mapping[int, int] = {11: 450, 12: 525, 13: 580}
_SMALLER = f"Use {SMALLER}; nvidia-smi lists who else holds the device's memory"
_SMI = "See whether nvidia-smi still lists the device"
_XID = f"{_SMI}, and what the kernel's log says of it (dmesg, Xid)"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something does not work here, and the remedy."""

    detail: str
    remedy: str


_ERRORS: Mapping[int, Problem] = {
    2: Problem("the device is out of memory", _SMALLER),
    34: Problem(
        "the driver's library that was found is a stub",
        "Take the folder with CUDA's stubs out of LD_LIBRARY_PATH",
    ),
    35: Problem(
        "the NVIDIA driver is older than the CUDA of this runtime",
        "Update the driver, or install a runtime that is built for an older CUDA",
    ),
    46: Problem(
        "the device is busy or not available",
        "nvidia-smi shows who uses it, and in which compute mode it is",
    ),
    100: Problem(
        "the driver lists no device", f"{_SMI}; CUDA_VISIBLE_DEVICES and containers may hide it"
    ),
    101: Problem("there is no device of that number", "onnxprof doctor lists the devices"),
    209: Problem(
        "this runtime has no kernels for the device's architecture",
        "Install a build of it that has",
    ),
    214: Problem("the device's memory failed (ECC)", _XID),
    700: Problem("a kernel used memory that is not its own, and took the device with it", _XID),
    702: Problem(
        "a kernel took longer than the driver lets it",
        "Use a device that drives no display, or smaller sizes",
    ),
    719: Problem("a kernel failed, and took the device with it", _XID),
    802: Problem(
        "the device is not ready", "Systems with NVSwitch need the service nvidia-fabricmanager"
    ),
    803: Problem(
        "the driver's library and its kernel module are of different versions",
        "Restart the machine after an update of the driver",
    ),
    804: Problem(
        "the package cuda-compat does not support this device",
        "Take it out of LD_LIBRARY_PATH, and update the driver",
    ),
    999: Problem("the device failed, its driver does not say how", _XID),
}


def explained(number: int, text: str = "") -> Problem:
    """A user's explanation of an error number; `text` is CUDA's own message."""
    said = f"CUDA error {number}: {text.strip()}" if text.strip() else f"CUDA error {number}"
    known = _ERRORS.get(number)
    return Problem(f"{known.detail} ({said})", known.remedy) if known else Problem(said, _SMI)


def driver_problem(library: str = "", *, built_for: str = "") -> Problem | None:
    """Why CUDA's driver cannot be used (CUDA driver API, `cuInit`); None where it can.

    `built_for` is the version of CUDA that the runtime is built for, as `12.8`.
    """
    library = library or ("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return Problem(
            f"there is no NVIDIA driver: {library} cannot be loaded",
            "Install the driver, and see that nvidia-smi lists the device;"
            " a container needs --gpus all",
        )
    try:
        return _asked(driver, built_for)
    except AttributeError:
        return Problem(f"{library} is not NVIDIA's driver", "Install the driver")


def _asked(driver: ctypes.CDLL, built_for: str) -> Problem | None:
    """Raises AttributeError where the library lacks the driver's functions."""
    count = ctypes.c_int(0)
    if failed := driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return explained(failed)
    return _too_old(driver, built_for) if count.value else _ERRORS[100]


def _too_old(driver: ctypes.CDLL, built_for: str) -> Problem | None:
    """The problem of a driver whose major version of CUDA is older than the runtime's, if it is."""
    wanted = built_for.partition(".")[0]
    newest = ctypes.c_int(0)
    if not wanted.isdecimal() or driver.cuDriverGetVersion(ctypes.byref(newest)):
        return None
    major, minor = newest.value // 1000, newest.value % 1000 // 10
    if major >= int(wanted):
        return None
    least = _DRIVERS.get(int(wanted))
    return Problem(
        f"the NVIDIA driver is too old: it knows CUDA up to {major}.{minor}, and this runtime is"
        f" built for CUDA {built_for}",
        f"Update the driver{f' to {least} or newer' if least else ''},"
        f" or install a runtime that is built for CUDA {major}",
    )
