"""Files of lines that several processes add to at once: each line is there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
#: A link may lead out of the store, and opening a pipe may never end.
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read(place: Path, most_bytes: int) -> list[bytes]:
    """The lines that are not blank; none where there is no file.

    What stands behind the last line's end is of a writer that was cut off, and is left out. Raises
    OSError, and ValueError for what is no file or larger than `most_bytes`.
    """
    try:
        handle = os.open(place, os.O_RDONLY | _SAFE)
    except (FileNotFoundError, NotADirectoryError):  # an archive is a file and has none
        return []
    with open(handle, "rb") as file:
        _check(handle)
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes} bytes")
    return [line for line in data[: data.rfind(b"\n") + 1].split(b"\n") if line.strip()]


def append(place: Path, lines: Sequence[bytes]) -> None:
    """Add lines, all or none of them, and make its folder where there is none. Raises OSError."""
    if not lines:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with _opened(place) as handle:
        end = os.fstat(handle).st_size
        cut_off = end and os.pread(handle, 1, end - 1) != b"\n"
        data = b"\n" * bool(cut_off) + b"".join(line + b"\n" for line in lines)
        try:
            written = os.write(handle, data)
            if written < len(data):
                os.write(handle, data[written:])  # says why, where the disk is full
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end)
            raise


@contextmanager
def _opened(place: Path) -> Iterator[int]:
    """The file for this process alone."""
    handle = os.open(place, _FLAGS | _SAFE, 0o666)
    try:
        _check(handle)
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _check(handle: int) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise OSError("it is no regular file")
