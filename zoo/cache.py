"""The folder of materialised networks: location, locks, stamps of verified files, clearing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onnxprof import folders
from onnxprof.errors import StoreError
from onnxprof.writing import is_full

_OURS = re.compile(r"(?P<model>(?P<name>.+)-[0-9a-f]{12}\.onnx)(\.\w+)*")


def folder(root: Path | None = None) -> Path:
    """The folder `zoo` in `root`, in `$ONNXPROF_CACHE`, or in the user's cache."""
    return (root or folders.cache()) / "zoo"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to `path`, waiting for it; it leaves no file behind."""
    from filelock import FileLock

    lock = _beside(path, "lock")
    # A lock that is a mere file would outlive a process that is killed.
    with FileLock(lock, fallback_to_soft=False):
        try:
            yield
        finally:
            with suppress(OSError):  # who waits for it takes no lock on a file that is gone
                lock.unlink()


@contextmanager
def storing(target: Path, size: int = 0) -> Iterator[None]:
    """Turn a full or read-only disk into one clear error; `size` is in bytes, 0 if not known."""
    try:
        yield
    except OSError as error:
        room = f"Make room for {size / 1e6:,.1f} MB there" if size else "Make room there"
        first = f"{room}, or choose" if is_full(error) else "Choose"
        raise StoreError(
            f"cannot be written ({error.strerror or error})",
            where=str(target),
            remedy=f"{first} another folder ({folders.CACHE} sets the cache's)",
        ) from error


def stamp(path: Path) -> None:
    """Record beside the file that its digest was verified; does nothing on a read-only disk."""
    with suppress(OSError):
        _beside(path, "verified").write_text(json.dumps(_identity(path)), "utf-8")


def is_stamped(path: Path) -> bool:
    """Whether the file is the one that was verified, by size, time of change and inode."""
    try:
        return bool(json.loads(_beside(path, "verified").read_text("utf-8")) == _identity(path))
    except (OSError, ValueError):
        return False


def _identity(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def partial(path: Path) -> Path:
    """The temporary name under which `path` is being written by this process."""
    return _beside(path, f"{os.getpid()}.part")


def drop_partials(path: Path) -> None:
    """Remove what processes that died while writing `path` left. Call it under the lock."""
    for stale in path.parent.glob(f"{path.name}.*.part"):
        stale.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def clean(name: str | None = None, root: Path | None = None) -> int:
    """Remove the files of one network, or of all; returns the bytes freed.

    Waits for a process that is writing one of them. Raises OSError where a file stays.
    """
    place = folder(root)
    ours = [path for path in place.glob("*") if _belongs(path, name)]
    models = {place / match["model"] for path in ours if (match := _OURS.fullmatch(path.name))}
    return sum(_remove(model) for model in sorted(models))


def _belongs(path: Path, name: str | None) -> bool:
    match = _OURS.fullmatch(path.name)
    return match is not None and name in (None, match["name"])


def _remove(model: Path) -> int:
    freed = 0
    data = _beside(model, "data")
    parts = model.parent.glob(f"{model.name}.*.part")
    with locked(model):
        for path in (model, _beside(model, "verified"), data, _beside(data, "verified"), *parts):
            if path.exists():
                freed += path.stat().st_size
                path.unlink()
    return freed
