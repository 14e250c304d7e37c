"""Files that travel by their digest: a model with its external data, or a file of inputs.

A worker keeps what it was sent in the user's cache, under the digest, so that each machine is
sent a model once. What arrives is checked before anything opens it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.model.sources.policy import megabytes, refuse_path
from onnxprof.sweeps.fleet.wire.frames import PART, Frame, unreadable
from onnxprof.zoo import cache

#: More data files than any export writes.
_MOST_FILES = 1000
_LONGEST_NAME = 1024
#: What was used since then is not removed to make room.
_RECENT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files of one folder, the one to open first."""

    sha256: str
    """Over the bytes of all files in this order: for a model, the digest of its record."""
    files: tuple[tuple[str, int], ...]
    """Name relative to the folder, and size in bytes."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files)

    @property
    def name(self) -> str:
        """The file to open."""
        return self.files[0][0]

    @property
    def place(self) -> str:
        """A folder's name for it: the same bytes under other names lie in another one."""
        names = "\n".join(name for name, _ in self.files).encode()
        return f"{self.sha256}-{hashlib.sha256(names).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle and the folder that it lies in here."""

    bundle: Bundle
    folder: Path

    def parts(self) -> Iterator[Frame]:
        """The messages that carry the files. Raises FleetError for one that has changed."""
        for name, size in self.bundle.files:
            with _opened(self.folder / name) as file:
                left = size
                while left:
                    part = file.read(min(PART, left))
                    if not part:
                        raise FleetError("has become shorter", where=str(self.folder / name))
                    left -= len(part)
                    yield Frame("part", {"sha256": self.bundle.sha256}, part)


def packed(path: Path) -> Packed:
    """The bundle of one file; it is read once, for its digest."""
    digest = hashlib.sha256()
    with _opened(path) as file:
        size = 0
        while part := file.read(PART):
            digest.update(part)
            size += len(part)
    return Packed(Bundle(digest.hexdigest(), ((path.name, size),)), path.parent)


def packed_model(path: Path, files: list[Path], sha256: str) -> Packed:
    """The bundle of a checked model and the files of its external data, in its own order."""
    folder = path.parent
    named = [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]
    return Packed(Bundle(sha256, tuple(named)), folder)


def as_json(bundle: Bundle) -> dict[str, Any]:
    """The bundle as JSON's types."""
    return {"sha256": bundle.sha256, "files": [list(file) for file in bundle.files]}


def from_json(data: Any) -> Bundle:
    """A bundle that another machine names. Raises FleetError for names that leave its folder."""
    try:
        sha256 = str(data["sha256"])
        files = tuple((str(name), int(size)) for name, size in data["files"])
    except (TypeError, ValueError, LookupError):
        raise unreadable("a bundle of files") from None
    sizes_fit = all(size >= 0 for _, size in files) and 0 < len(files) <= _MOST_FILES
    if not _is_digest(sha256) or not sizes_fit or len(dict(files)) != len(files):
        raise unreadable("a bundle of files")
    for name, _ in files:
        _refuse_name(name)
    return Bundle(sha256, files)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _refuse_name(name: str) -> None:
    try:
        refuse_path("a bundle", name)
    except OnnxprofError:
        raise unreadable(f"a file called {name[:80]!r}") from None
    if len(name) > _LONGEST_NAME:
        raise unreadable("a file's name is too long")


@dataclass(frozen=True, slots=True)
class Shelf:
    """The bundles that this machine was sent."""

    root: Path

    @classmethod
    def usual(cls) -> Shelf:
        """In the user's cache."""
        return cls(folders.cache() / "fleet")

    def find(self, bundle: Bundle) -> Path | None:
        """The file to open, checked again unless nothing touched it since; None without it."""
        folder = self.root / bundle.place
        files = [folder / name for name, _ in bundle.files]
        if not all(map(cache.is_stamped, files)):
            if _digest(files, bundle) != bundle.sha256:
                return None
            for file in files:
                cache.stamp(file)
        with suppress(OSError):
            os.utime(folder)
        return files[0]

    def receive(self, bundle: Bundle) -> Incoming:
        """Room for a bundle that is about to come. Raises FleetError where there is none."""
        with cache.storing(self.root, bundle.size):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(bundle.size)
        return Incoming(self, bundle)

    def _make_room(self, size: int) -> None:
        """Remove what was not used for longest, as far as that is needed."""
        for folder in sorted(self._old(), key=lambda folder: folder.stat().st_mtime):
            if self._free() > size:
                return
            shutil.rmtree(folder, ignore_errors=True)
        if self._free() <= size:
            raise FleetError(
                f"there is no room for a model of {megabytes(size)}",
                where=str(self.root),
                remedy=f"Free some space, or choose another folder with {folders.CACHE}",
            )

    def _old(self) -> list[Path]:
        since = time.clock_gettime(time.CLOCK_REALTIME) - _RECENT_S
        with suppress(OSError):
            return [folder for folder in self.root.iterdir() if folder.stat().st_mtime < since]
        return []

    def _free(self) -> int:
        return shutil.disk_usage(self.root).free


class Incoming:
    """A bundle that is arriving, part by part, beside its place until it is whole and checked."""

    def __init__(self, shelf: Shelf, bundle: Bundle) -> None:
        self._shelf, self._bundle = shelf, bundle
        self._target = shelf.root / bundle.place
        self._folder = shelf.root / f"{bundle.place}.{os.getpid()}.part"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._digest = hashlib.sha256()
        self._waiting = list(bundle.files)
        self._written = 0
        self._skip_empty()

    def add(self, part: bytes) -> None:
        """Take the next part. Raises FleetError for too much."""
        if not self._waiting or self._written + len(part) > self._waiting[0][1]:
            raise unreadable("a file is longer than it was said to be")
        name = self._waiting[0][0]
        with cache.storing(self._target, self._bundle.size), self._path(name).open("ab") as file:
            file.write(part)
        self._digest.update(part)
        self._written += len(part)
        self._skip_empty()

    def finish(self) -> Path:
        """The file to open, in its place. Raises FleetError where the digest is another."""
        if self._waiting or self._digest.hexdigest() != self._bundle.sha256:
            raise FleetError(
                f"{self._bundle.name} arrived with SHA-256 {self._digest.hexdigest()[:12]}…, not"
                f" {self._bundle.sha256[:12]}…",
                remedy="The file changed since the sweep was planned: start the sweep again",
            )
        with cache.storing(self._target), cache.locked(self._target):
            if self._shelf.find(self._bundle) is None:  # another worker may have been faster
                shutil.rmtree(self._target, ignore_errors=True)
                os.rename(self._folder, self._target)
        self.abandon()
        for name, _ in self._bundle.files:
            cache.stamp(self._target / name)
        return self._target / self._bundle.name

    def abandon(self) -> None:
        """Remove what came so far."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _skip_empty(self) -> None:
        """Go on to the next file that still lacks bytes; one without any is made."""
        while self._waiting and self._written == self._waiting[0][1]:
            self._path(self._waiting.pop(0)[0]).touch()
            self._written = 0

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _digest(files: list[Path], bundle: Bundle) -> str:
    """Over the files as they lie here; empty where one is missing or has another size."""
    digest = hashlib.sha256()
    for file, (_, size) in zip(files, bundle.files, strict=True):
        try:
            if file.stat().st_size != size:
                return ""
            with file.open("rb") as stream:
                while part := stream.read(PART):
                    digest.update(part)
        except OSError:
            return ""
    return digest.hexdigest()


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise FleetError(f"cannot be read: {error.strerror}", where=str(path)) from None
