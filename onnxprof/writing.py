"""Files that a user names: why one cannot be written, and what to do, told the same everywhere."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from onnxprof.errors import OnnxprofError, UsageError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_ELSEWHERE = "Name a file elsewhere"


def unwritable(
    path: str | Path, error: OSError, kind: type[OnnxprofError] = UsageError
) -> OnnxprofError:
    """The error for a file that could not be written."""
    place = Path(path)
    what, remedy = _known(place) or _of_system(place, error)
    return kind(f"cannot be written: {what}", where=str(path), remedy=remedy)


def no_folder(path: str | Path, error: OSError) -> UsageError:
    """The error for a folder that could not be made, or written to."""
    place = Path(path)
    try:
        blocked = next((each for each in (place, *place.parents) if each.is_file()), None)
    except (OSError, ValueError):
        blocked = None
    what, remedy = _of_system(place, error)
    if blocked is not None:
        what, remedy = f"{blocked} is a file", _ELSEWHERE
    remedy = remedy.replace("a file", "a folder")
    return UsageError(f"no folder can be made or filled: {what}", where=str(path), remedy=remedy)


def refuse_unwritable(*paths: str | Path | None) -> None:
    """Raise UsageError for a file that cannot be written, before work is done for it.

    None, an empty path and `-` stand for stdout.
    """
    for path in paths:
        if path is None or str(path) in ("", "-"):
            continue
        place = Path(path)
        found = _known(place) or _not_allowed(place)
        if found:
            what, remedy = found
            raise UsageError(f"cannot be written: {what}", where=str(path), remedy=remedy)


def _known(path: Path) -> tuple[str, str] | None:
    """(what is wrong, what to do) where the place itself tells."""
    folder = path.parent
    try:
        if path.is_dir():
            return "this is a folder", f"Name a file in it, such as {path / 'NAME'}"
        if folder.is_dir():
            return None
        if not folder.exists():
            in_the_way = next((each for each in folder.parents if each.exists()), Path())
            if in_the_way.is_dir():
                return f"there is no folder {folder}", f"Make it, or {_lowered(_ELSEWHERE)}"
            folder = in_the_way
        return f"{folder} is a file and no folder", _ELSEWHERE
    except (OSError, ValueError):  # a name that the system takes for none
        return None


def _not_allowed(path: Path) -> tuple[str, str] | None:
    """The same where permissions tell; a folder that is closed may hold a file that is open."""
    try:
        place = path if path.exists() else path.parent
    except (OSError, ValueError):
        return None
    return None if os.access(place, os.W_OK) else _refused(path)


def _refused(path: Path) -> tuple[str, str]:
    place = path if os.path.lexists(path) else path.parent
    return f"you may not write to {place}", f"{_ELSEWHERE}, or change its permissions"


def _of_system(path: Path, error: OSError) -> tuple[str, str]:
    if is_full(error):
        return "no space is left there", f"Free some, or {_lowered(_ELSEWHERE)}"
    if error.errno in _FORBIDDEN:
        return _refused(path)
    return error.strerror or str(error), _ELSEWHERE


def is_full(error: OSError) -> bool:
    """Whether a disk is full, or a quota used up."""
    return error.errno in _FULL


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]
