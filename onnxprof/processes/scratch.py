"""Scratch folders of measurements, and sweeping those that killed processes left behind."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "onnxprof-"
_OWNER = ".owner"
#: Seconds of age below which a folder may lack a lock.
_YOUNG_S = 60.0
_SWEPT: list[Path] = []


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for one measurement, removed on the way out.

    A lock in the folder is held while the process lives, so that a later process can remove
    folders of dead ones.
    """
    _sweep_once()
    made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    with made as folder, Path(folder, _OWNER).open("w") as owner:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder


def _sweep_once() -> None:
    root = Path(tempfile.gettempdir())
    if root not in _SWEPT:
        _SWEPT.append(root)
        sweep_leftovers(root)


def sweep_leftovers(root: Path, young_s: float = _YOUNG_S) -> list[Path]:
    """Remove the scratch folders of this user in `root` whose processes are gone."""
    gone: list[Path] = []
    if fcntl is None:
        return gone
    with suppress(OSError):
        for folder in sorted(root.glob(f"{PREFIX}*")):
            if _is_ours(folder, young_s) and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
                gone.append(folder)
    return gone


def _is_ours(folder: Path, young_s: float) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    age = time.clock_gettime(time.CLOCK_REALTIME) - status.st_mtime
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and age > young_s


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody holds the lock; False for a folder without a lock."""
    try:
        handle = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
