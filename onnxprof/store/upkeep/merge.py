"""Runs of several stores in one: each content once, only what can be read, nothing overwritten."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from onnxprof.errors import StoreError
from onnxprof.store import parquet, tags
from onnxprof.store.beside import ceilings, scenarios
from onnxprof.store.beside.json_files import SUFFIX as SUFFIX_BESIDE
from onnxprof.store.folder import Store, load, scan, write_new
from onnxprof.store.formats.archive import located
from onnxprof.store.names import FAILED, stem
from onnxprof.store.summary import Summary
from onnxprof.store.walk import SUFFIX, run_files

#: Hears how many of how many files have been looked at.
Advance = Callable[[int, int], None]


@dataclass(slots=True)
class Merged:
    """What came of a merge."""

    new: int = 0
    there: int = 0
    """Runs whose content the store had already, or that came twice."""
    tags: int = 0
    """Lines about tags that the store did not have."""
    ceilings: int = 0
    scenarios: int = 0
    unreadable: list[StoreError] = field(default_factory=list)


def merge(sources: Sequence[Path], target: Path, advance: Advance = lambda *_: None) -> Merged:
    """Copy what the sources have and the target lacks, run by run.

    Every file of the target is whole at any moment; a merge that was interrupted goes on where it
    was when it is done again. Raises StoreError where the target cannot be written.
    """
    runs, problems = scan(sources)
    merged = Merged(unreadable=problems)
    contents = _Contents(file.path for file in run_files(target))
    by_home: dict[Path, set[str]] = defaultdict(set)
    for number, run in enumerate(runs):
        advance(number, len(runs))
        try:
            data = _bytes(run.path)
            digest = hashlib.sha256(data).hexdigest()
            copied = None if contents.has(digest, len(data)) else _checked(run)
        except StoreError as error:
            merged.unreadable.append(error)
            continue
        if copied is None:
            merged.there += 1
        else:
            write_new(Store(target).folder(run.request), copied, SUFFIX, data, "the run")
            contents.add(digest)
            merged.new += 1
        by_home[tags.home(run)].add(digest)
    for home, digests in by_home.items():
        merged.tags += _carry_tags(home, digests, target)
    for source in sources:
        merged.ceilings += _carry(ceilings, source, target, merged.unreadable)
        merged.scenarios += _carry(scenarios, source, target, merged.unreadable)
    return merged


class _Contents:
    """Digests of files, which are read when one of as many bytes is asked for."""

    def __init__(self, files: Iterable[str]) -> None:
        self._digests: set[str] = set()
        self._unread: dict[int, list[str]] = defaultdict(list)
        for file in files:
            try:
                self._unread[os.stat(file).st_size].append(file)
            except OSError:
                continue

    def has(self, digest: str, count: int) -> bool:
        for file in self._unread.pop(count, ()):
            try:
                self._digests.add(tags.digest_of(file))
            except StoreError:
                continue
        return digest in self._digests

    def add(self, digest: str) -> None:
        self._digests.add(digest)


def _bytes(path: Path) -> bytes:
    """Raises StoreError."""
    if located(path):
        return parquet.to_bytes(load(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _checked(run: Summary) -> str:
    """The name of a run that can be read, samples and all. Raises StoreError."""
    whole = load(run.path)
    return stem(whole.request, whole.created) + (FAILED if whole.timings is None else "")


def _carry_tags(home: Path, digests: set[str], target: Path) -> int:
    known = set(tags.read(target)[0])
    new = [line for line in tags.read(home)[0] if line.run in digests and line not in known]
    tags.append(target, new)
    return len(new)


class _Beside(Protocol):
    """A module for records that lie beside runs."""

    def files(self, root: Path) -> list[Path]:
        """Their files in a store."""

    def load(self, path: Path) -> object:
        """Read one. Raises StoreError."""


def _carry(kind: _Beside, source: Path, target: Path, unreadable: list[StoreError]) -> int:
    """How many files of records beside runs the target did not have."""
    there = _Contents(map(os.fspath, kind.files(target)))
    new = 0
    for path in kind.files(source):
        try:
            data = _bytes(path)
            digest = hashlib.sha256(data).hexdigest()
            if there.has(digest, len(data)):
                continue
            kind.load(path)
        except StoreError as error:
            unreadable.append(error)
            continue
        folder = target.joinpath(path.parent.relative_to(source))
        write_new(folder, path.stem, SUFFIX_BESIDE, data, "what lies beside the runs")
        new += 1
    return new
