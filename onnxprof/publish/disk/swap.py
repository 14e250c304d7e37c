"""One folder put in the place of another, whole or not at all."""

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

#: A folder with this file in it is ours to replace.
MARKER = ".onnxprof-site"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: Age after which a scaffold is that of a build that was killed.
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
    """A folder beside `out` to build in; gone afterwards, whatever happens."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        folder = out.with_name(f"{_prefix(out)}{secrets.token_hex(4)}")
        folder.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot write there: {error.strerror}", where=str(out.parent), remedy="Choose --out"
        ) from error
    try:
        yield folder
    except OSError as error:
        raise UsageError(
            f"the site cannot be written: {error.strerror or error}",
            where=str(out),
            remedy="Free some space, or choose another folder with --out",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def swap(folder: Path, out: Path) -> None:
    """Put the new site in the old one's place; of two builds at once the later one stays."""
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
    """Remove what builds left that were killed."""
    oldest_ns = time.time_ns() - _STALE_S * 10**9
    for path in out.parent.iterdir():
        with suppress(OSError):
            if path.name.startswith(_prefix(out)) and path.stat().st_mtime_ns < oldest_ns:
                shutil.rmtree(path, ignore_errors=True)


def _exchanged(folder: Path, out: Path) -> bool:
    """Let the two folders change places in one go, as renameat2(2) of Linux can.

    False where the system cannot, or there is nothing to change places with. The old site is
    then where the new one was built, and goes with the scaffold.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = os.fsencode(folder), os.fsencode(out)
    failed = call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return not failed


def _replaced(folder: Path, out: Path, old: Path) -> bool:
    """Whether the folder is in place; False if another build put its own there meanwhile."""
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
