"""The files below a folder that look like runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".parquet"


class RunFile(NamedTuple):
    """A file that looks like a run; nothing of it has been read."""

    path: str
    name: str
    """The path from the folder that was walked."""
    real: str
    """The path without links: the same for one file however it is reached."""


def run_files(root: Path) -> Iterator[RunFile]:
    """In the order of folders and names; folders that cannot be listed are passed over.

    Links to files are followed, links to folders are not. A file, such as an archive, is itself.
    """
    if os.path.isfile(root):
        yield RunFile(os.fspath(root), os.path.basename(root), os.path.realpath(root))
    start = len(os.path.join(root, ""))
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        folders = []
        # realpath, as resolve() raises where links run in a loop
        real = os.path.realpath(folder)
        for entry in _entries(folder):
            if _is_folder(entry):
                folders += [] if entry.is_symlink() else [entry.path]
            elif _looks_like_run(entry.name):
                yield RunFile(entry.path, entry.path[start:], _real(entry, real))
        waiting += reversed(folders)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError:
        return []


def _real(entry: os.DirEntry[str], folder: str) -> str:
    """To resolve a path takes longer than everything else here: a folder's is done once."""
    return os.path.realpath(entry.path) if entry.is_symlink() else f"{folder}{os.sep}{entry.name}"


def _looks_like_run(name: str) -> bool:
    return name.endswith(SUFFIX) and not name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
