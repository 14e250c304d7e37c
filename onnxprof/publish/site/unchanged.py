"""Whether a folder still holds, file by file, what a build of the same things left there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from onnxprof.publish.disk.cache import Cache, digest


@dataclass(frozen=True, slots=True)
class Left:
    """What a build left in its folder."""

    models: int
    runs: int
    files: int
    listing: str
    """Digest of the names, sizes and times of the files."""
    failed: int = 0
    earlier: int = 0


def listed(folder: Path) -> tuple[int, str]:
    """How many files are below a folder, and the digest of names, sizes and times.

    Where the system has it, the time of the last change counts, which no program can set back.
    """
    lines = sorted(_lines(str(folder), ""))
    return len(lines), digest("\n".join(lines))


def _lines(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        for item in found:
            name = f"{prefix}{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield from _lines(item.path, f"{name}/")
            else:
                facts = item.stat(follow_symlinks=False)
                yield f"{name}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def key(out: Path, keys: Sequence[str], *facts: str) -> str:
    """What the cache knows a folder by; empty if what one of its models depends on is not known."""
    return digest("site", str(out), *facts, *keys) if all(keys) else ""


def still_there(out: Path, cache: Cache, key: str) -> Left | None:
    """What the build of that key left in the folder; None if any of it is not as it was."""
    stored = cache.get(key) if key else None
    if stored is None:
        return None
    left = Left(**json.loads(stored))
    try:
        return left if listed(out) == (left.files, left.listing) else None
    except OSError:
        return None


def remember(left: Left, cache: Cache, key: str) -> None:
    """Store what a build left, under its key."""
    if key:
        cache.put(key, json.dumps(asdict(left)).encode())
