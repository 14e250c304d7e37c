"""Where fenced work has to write besides its scratch folder: devices, and caches of drivers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

#: Files of devices, shared memory, and this process's own names in `/proc`.
_DEVICE = re.compile(
    r"null|zero|full|u?random|tty|ptmx|pts|shm|hugepages"
    r"|nvidia.*|dri|kfd|dxg|accel.*|nvhost.*|nvmap|mali.*"
)
#: What drivers compile is kept for later processes: the variable that says where, else the place
#: in the home folder, and a device that has such a driver.
_CACHES = (
    ("CUDA_CACHE_PATH", ".nv/ComputeCache", "/dev/nvidiactl"),
    ("NEO_CACHE_DIR", ".cache/neo_compiler_cache", "/dev/dri"),
)


def writable() -> Iterator[str]:
    """Paths that exist; folders stand for all that is in them."""
    for name in os.listdir("/dev"):
        if _DEVICE.fullmatch(name):
            yield f"/dev/{name}"
    yield f"/proc/{os.getpid()}"
    for variable, place, device in _CACHES:
        if os.path.exists(device):
            yield from existing(Path(os.environ.get(variable) or Path.home() / place))


def existing(folder: Path) -> Iterator[str]:
    """The folder, made if need be; nothing where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    yield str(folder)
