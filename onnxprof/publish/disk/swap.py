"""Replacing one folder by another, atomically where the system can."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onnxprof.errors import UsageError
from onnxprof.writing import no_folder

#: File that marks a folder as a site that may be replaced.
MARKER = ".onnxprof-site"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: Age in seconds after which a scaffold is taken for that of a killed build.
_STALE_S = 6 * 3600


def check_replaceable(out: Path) -> None:
    """Raise UsageError unless `out` is free, an empty folder or a site built before."""
    if not out.exists() or (out.is_dir() and (out / MARKER).is_file()):
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    raise UsageError(
        "this is not a site that onnxprof built, so it is not replaced",
        where=str(out),
        remedy="Choose another folder with --out",
    )


@contextmanager
def scaffold(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` to build in. Raises UsageError where it cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        folder = out.with_name(f"{_prefix(out)}{secrets.token_hex(4)}")
        folder.mkdir()
    except OSError as error:
        raise no_folder(out, error) from error
    try:
        yield folder
    except OSError as error:
        raise no_folder(out, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def swap(folder: Path, out: Path) -> None:
    """Replace the old site by the new one; of two simultaneous builds the later one stays.

    Raises UsageError where `out` is no site, or other builds keep replacing it.
    """
    for attempt in range(9):
        check_replaceable(out)
        if _exchanged(folder, out):
            return
        if _replaced(folder, out, folder.with_name(f"{folder.name}-old{attempt}")):
            return
    raise UsageError("another build keeps replacing this site", where=str(out))


def _prefix(out: Path) -> str:
    return f".{out.name}-building-"


def _sweep(out: Path) -> None:
    """Remove scaffolds of killed builds."""
    oldest_ns = time.time_ns() - _STALE_S * 10**9
    for path in out.parent.iterdir():
        with suppress(OSError):
            if path.name.startswith(_prefix(out)) and path.stat().st_mtime_ns < oldest_ns:
                shutil.rmtree(path, ignore_errors=True)


def _exchanged(folder: Path, out: Path) -> bool:
    """Exchange the two folders atomically, by renameat2(2) of Linux.

    Returns False where the system cannot, or `out` does not exist. After an exchange the old site
    lies in the scaffold and is removed with it.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = os.fsencode(folder), os.fsencode(out)
    failed = call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return not failed


def _replaced(folder: Path, out: Path, old: Path) -> bool:
    """Replace by two renames; returns False if another build has created `out` meanwhile."""
    with suppress(FileNotFoundError):
        out.rename(old)
    try:
        folder.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if old.is_dir() and not out.exists():
            old.rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return True
