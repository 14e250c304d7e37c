"""Where fenced work has to write besides its scratch folder: devices, and caches of drivers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

#: Files of devices, shared memory, and this process's own names in `/proc`.
_DEVICES = (
    *("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "hugepages"),
    *("nvidia*", "nvidia-caps", "dri", "kfd", "dxg", "accel*", "nvhost*", "nvmap", "mali*"),
)
#: What drivers compile is kept for later processes: the variable that says where, else the place
#: in the home folder, and a device that has such a driver.
_CACHES = (
    ("CUDA_CACHE_PATH", ".nv/ComputeCache", "/dev/nvidiactl"),
    ("NEO_CACHE_DIR", ".cache/neo_compiler_cache", "/dev/dri"),
)


def writable() -> Iterator[str]:
    """Paths that exist; folders stand for all that is in them."""
    devices = Path("/dev")
    for pattern in _DEVICES:
        yield from map(str, devices.glob(pattern))
    yield f"/proc/{os.getpid()}"
    for variable, place, device in _CACHES:
        if Path(device).exists():
            yield from existing(Path(os.environ.get(variable) or Path.home() / place))


def existing(folder: Path) -> Iterator[str]:
    """The folder, made if need be; nothing where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    yield str(folder)
