"""The file of defaults that is in force: the nearest, from the current folder upwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof.errors import UsageError

#: Names the file instead; set and empty, there is none.
VARIABLE = "ONNXPROF_CONFIG"
OWN, SHARED = "onnxprof.toml", "pyproject.toml"
#: The table of `SHARED` that is ours.
_TABLE = ("tool", "onnxprof")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of defaults: what it says by command, and where that stands."""

    path: Path
    text: str
    values: Mapping[str, Any]
    above: tuple[str, ...] = ()
    """The table of the file that `values` are in."""

    def where(self, *keys: str) -> str:
        """The place of a key, for messages."""
        from onnxprof.sweeps.plans.lines import lines_of

        return f"{self.path}, line {lines_of(self.text).of(*self.above, *keys)}"


def in_force(start: Path | None = None) -> File | None:
    """The file that holds for commands in this folder; None where there is none.

    Raises UsageError for one that cannot be read.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return _read(Path(os.path.expanduser(named))) if named.strip() else None
    folder = (start or Path()).absolute()
    for above in (folder, *folder.parents):
        for name in (OWN, SHARED):
            place = above / name
            if place.is_file() and (file := _read(place)) is not None:
                return file
    return None


def _read(path: Path) -> File | None:
    """The file; None for a pyproject.toml that says nothing about us."""
    is_shared = path.name == SHARED
    try:
        text = _text(path)
    except UsageError:
        if is_shared and VARIABLE not in os.environ:
            return None
        raise
    if is_shared and _TABLE[1] not in text:
        return None
    data = _parsed(path, text)
    if not is_shared:
        return File(path, text, data)
    ours = data.get("tool", {}).get("onnxprof") if isinstance(data.get("tool"), dict) else None
    if ours is None:
        return None
    if not isinstance(ours, dict):
        raise UsageError("tool.onnxprof is no table", where=str(path), remedy=_REMEDY)
    return File(path, text, ours, _TABLE)


_REMEDY = "docs/configuration.md shows such a file"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot be read: {reason}", where=str(path), remedy=_REMEDY) from None
    if len(data) > _MOST_BYTES:
        raise UsageError("this is too long for a file of defaults", where=str(path))
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError("this is no UTF-8", where=f"{path}, line {line}") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"this is no TOML: {error}", where=str(path), remedy=_REMEDY) from None
    except RecursionError:
        raise UsageError("this is nested too deeply", where=str(path)) from None
