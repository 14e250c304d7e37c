"""Scratch folders of measurements, and sweeping those that killed processes left behind."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from onnxprof.processes.launch import undisturbed

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "onnxprof-"
_OWNER = ".owner"
#: Seconds of age below which a folder may lack a lock.
_YOUNG_S = 60.0
#: A folder of ours may be empty, and without its lock, for a moment; much later its maker is gone.
_EMPTY_S = 3600.0
#: A socket's path has at most 107 bytes (unix(7)); those of our folder and a listener have 36.
_LONGEST_ROOT, _SHORT = 71, "/tmp"
_NAME = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
_SWEPT: list[Path] = []
_KEPT = ExitStack()
_FOLDERS: list[str] = []


@contextmanager
def scratch(root: str = "") -> Iterator[str]:
    """A folder for one measurement, removed on the way out; in the temporary folder by default.

    A lock in the folder is held while the process lives, so that a later process can remove
    folders of dead ones.
    """
    root = root or tempfile.gettempdir()
    _sweep_once(Path(root))
    held = ExitStack()
    try:
        with undisturbed():
            folder = held.enter_context(_made(root))
        yield folder
    finally:
        with undisturbed():  # half removed, without its lock, it would stay
            held.close()


@contextmanager
def _made(root: str) -> Iterator[str]:
    made = tempfile.TemporaryDirectory(prefix=PREFIX, dir=root, ignore_cleanup_errors=True)
    with made as folder, Path(folder, _OWNER).open("w") as owner:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder


def kept() -> str:
    """A folder for as long as this process lives, the same for every caller; for sockets.

    It is not below a temporary folder whose path leaves no room for theirs.
    """
    if not _FOLDERS:
        _FOLDERS.append(_KEPT.enter_context(scratch(_for_sockets())))
        atexit.register(clear)
    return _FOLDERS[0]


def clear() -> None:
    """Remove what `kept` has made; for a process that ends without Python's own clean-up."""
    _FOLDERS.clear()
    _KEPT.close()


def _for_sockets() -> str:
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) <= _LONGEST_ROOT or not os.access(_SHORT, os.W_OK)
    return usual if fits else _SHORT


def _sweep_once(root: Path) -> None:
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
            if not _is_ours(folder, young_s):
                continue
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
                gone.append(folder)
            elif _NAME.fullmatch(folder.name) and _is_ours(folder, _EMPTY_S):
                with suppress(OSError):  # it is not empty
                    folder.rmdir()
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
