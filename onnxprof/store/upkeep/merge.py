"""Runs of several stores in one: each content once, only what can be read, nothing overwritten."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.errors import StoreError
from onnxprof.store import parquet, tags
from onnxprof.store.beside import ceilings, scenarios
from onnxprof.store.folder import Store, load, scan, write_new
from onnxprof.store.formats.archive import located
from onnxprof.store.names import FAILED, file_stem
from onnxprof.store.summary import Summary
from onnxprof.store.walk import SUFFIX, run_files

#: What a store holds beside runs, by folder: how to read such a file. Raises StoreError.
_BESIDE: Mapping[str, Callable[[Path], object]] = {
    ceilings.FOLDER: ceilings.load,
    scenarios.FOLDER: scenarios.load,
}
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
    beside: dict[str, int] = field(default_factory=dict)
    """New files that are no runs, by the folder of the store that they are in."""
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
    for name, load_file in _BESIDE.items():
        there = _Contents(map(os.fspath, _files(target, name)))
        for source in sources:
            for path in _files(source, name):
                new = _carry_file(path, source, target, load_file, there, merged.unreadable)
                merged.beside[name] = merged.beside.get(name, 0) + new
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
    return file_stem(whole.request, whole.created) + (FAILED if whole.timings is None else "")


def _carry_tags(home: Path, digests: set[str], target: Path) -> int:
    known = set(tags.read(target)[0])
    new = [line for line in tags.read(home)[0] if line.run in digests and line not in known]
    tags.append(target, new)
    return len(new)


def _files(root: Path, folder: str) -> list[Path]:
    return sorted(path for path in (root / folder).rglob("*.json") if path.name[0] != ".")


def _carry_file(
    path: Path,
    source: Path,
    target: Path,
    load_file: Callable[[Path], object],
    there: _Contents,
    unreadable: list[StoreError],
) -> bool:
    """Copy a file that is no run, in the same folder of the target; whether it was new."""
    try:
        data = _bytes(path)
        digest = hashlib.sha256(data).hexdigest()
        if there.has(digest, len(data)):
            return False
        load_file(path)
    except StoreError as error:
        unreadable.append(error)
        return False
    folder = target.joinpath(path.parent.relative_to(source))
    write_new(folder, path.stem, path.suffix, data, "the file")
    there.add(digest)
    return True
