"""Tags of stored runs: lines in a file of the store, since the files of runs never change.

A line says that a run got a tag or lost it, and when. The latest line about a run and a tag counts,
so lines of several stores may be put together in any order (docs/store.md).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from onnxprof.errors import StoreError, UsageError
from onnxprof.store import guard, lines
from onnxprof.store.encoding import dumps, from_json, to_json
from onnxprof.store.names import folders_of, stem
from onnxprof.store.summary import Summary

NAME = "tags.jsonl"
#: A million lines, more than any list of runs shows.
_MOST_BYTES = 256 << 20
_TAG = re.compile(r"[^\W_][\w.+@:/-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Tagging:
    """A run got a tag, or lost it."""

    at: str
    """UTC, ISO 8601 with microseconds."""
    run: str
    """SHA-256 of the run's file, whatever it is called and wherever it lies."""
    name: str
    """The file's name as `onnxprof.store.names.stem` has it: which files to look at."""
    file_bytes: int
    tag: str
    is_set: bool = True


def checked(tag: str) -> str:
    """The tag. Raises UsageError for one that could not be given on a command line."""
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"{tag!r} cannot be a tag",
            remedy="A tag has up to 64 letters, digits and . _ + @ : / -, first a letter or digit",
        )
    return tag


def home(run: Summary) -> Path:
    """The folder that holds a run's tags: its store, told by the folders that the run lies in.

    A run that lies elsewhere than STORE/<model>/<device>/<backend>/ has them beside it.
    """
    folder = Path(os.path.realpath(os.path.dirname(run.file)))
    return folder.parents[2] if folder.parts[-3:] == folders_of(run.request) else folder


def read(folder: Path) -> tuple[list[Tagging], list[StoreError]]:
    """The lines of a store, and what of them cannot be read."""
    place = folder / NAME
    try:
        data = lines.read(place, _MOST_BYTES)
    except (OSError, ValueError) as error:
        return [], [StoreError(f"its tags cannot be read: {error}", where=str(place))]
    good: list[Tagging] = []
    bad: list[int] = []
    for number, line in enumerate(data, 1):
        try:
            good.append(_tagging(line))
        except guard.ERRORS:
            bad.append(number)
    return good, [_complaint(place, bad)] if bad else []


def current(taggings: Iterable[Tagging]) -> dict[str, tuple[str, ...]]:
    """By the digest of a run its tags, sorted; runs that have none are left out."""
    latest = _latest(taggings)
    tags: dict[str, list[str]] = defaultdict(list)
    for (run, tag), line in sorted(latest.items()):
        if line.is_set:
            tags[run].append(tag)
    return {run: tuple(theirs) for run, theirs in tags.items()}


def change(runs: Iterable[Summary], tag: str, *, is_set: bool) -> list[Summary]:
    """Give the runs a tag or take it from them; returns those that changed.

    Raises StoreError where a store's tags cannot be written, or a run cannot be read.
    """
    by_home: dict[Path, list[Summary]] = defaultdict(list)
    for run in runs:
        by_home[home(run)].append(run)
    changed: list[Summary] = []
    for folder, theirs in by_home.items():
        latest = _latest(read(folder)[0])
        new: list[Tagging] = []
        for run in theirs:
            digest = digest_of(run.file)
            last = latest.get((digest, tag))
            if (last is not None and last.is_set) != is_set:
                new.append(_line(run, digest, tag, is_set, last))
                changed.append(run)
        append(folder, new)
    return changed


def append(folder: Path, taggings: Sequence[Tagging]) -> None:
    """Add lines to a store, all or none of them. Raises StoreError."""
    place = folder / NAME
    try:
        lines.append(place, [dumps(to_json(each)) for each in taggings])
    except OSError as error:
        raise StoreError(
            f"tags cannot be saved: {error.strerror or error}", where=str(place)
        ) from error


def applied(runs: Sequence[Summary]) -> tuple[list[Summary], list[StoreError]]:
    """The runs with their tags, and what of the tags cannot be read.

    Reads the file of a run only where its name and its number of bytes leave a doubt.
    """
    homes: dict[str, Path] = {}
    shelves: dict[Path, _Shelf] = {}
    problems: list[StoreError] = []
    for run in runs:
        folder = os.path.dirname(run.file)
        if folder not in homes:
            homes[folder] = home(run)
        place = homes[folder]
        if place not in shelves:
            taggings, more = read(place)
            shelves[place] = _Shelf(taggings)
            problems += more
        shelves[place].add(run)
    changed = {run.file: run for shelf in shelves.values() for run in shelf.tagged()}
    return [changed.get(run.file, run) for run in runs] if changed else list(runs), problems


class _Shelf:
    """The tags of a store, and those of its runs that may have one."""

    def __init__(self, taggings: Sequence[Tagging]) -> None:
        self._tags = current(taggings)
        self._likely: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for line in taggings:
            if line.run in self._tags:
                self._likely[line.name].add((line.run, line.file_bytes))
        self._runs: dict[str, list[Summary]] = defaultdict(list)

    def add(self, run: Summary) -> None:
        """Keep a run in mind that may have a tag."""
        if self._likely and (name := stem(run.request, run.created)) in self._likely:
            self._runs[name].append(run)

    def tagged(self) -> list[Summary]:
        """The runs that have tags, with them."""
        return [
            dataclasses.replace(run, tags=tags)
            for name, runs in self._runs.items()
            for run in runs
            if (tags := self._tags.get(self._digest(run, name, is_alone=len(runs) == 1)))
        ]

    def _digest(self, run: Summary, name: str, *, is_alone: bool) -> str:
        try:
            size = os.stat(run.file).st_size
            fitting = [digest for digest, count in self._likely[name] if count == size]
            if len(fitting) == 1 and is_alone:
                return fitting[0]
            return digest_of(run.file) if fitting else ""
        except (OSError, StoreError):
            return ""


def digest_of(file: str) -> str:
    """SHA-256 of a file. Raises StoreError."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=file) from error


def _line(run: Summary, digest: str, tag: str, is_set: bool, last: Tagging | None) -> Tagging:
    """A line that counts after the last one, whatever the clock says."""
    moment = datetime.now(UTC)
    if last is not None:
        moment = max(moment, datetime.fromisoformat(last.at) + _TICK)
    name, count = stem(run.request, run.created), Path(run.file).stat().st_size
    return Tagging(_text(moment), digest, name, count, tag, is_set)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _latest(taggings: Iterable[Tagging]) -> dict[tuple[str, str], Tagging]:
    latest: dict[tuple[str, str], Tagging] = {}
    for line in taggings:
        key = line.run, line.tag
        last = latest.get(key)
        if last is None or (last.at, last.is_set) < (line.at, line.is_set):
            latest[key] = line
    return latest


def _tagging(line: bytes) -> Tagging:
    """Raises one of `guard.ERRORS` for a line that is none."""
    found = from_json(Tagging, guard.facts_in(line))
    moment = datetime.fromisoformat(found.at)
    if moment.tzinfo != UTC or _text(moment) != found.at or moment + _TICK <= moment:
        raise ValueError(f"{found.at!r} is no time in UTC")
    if not _TAG.fullmatch(found.tag) or not _DIGEST.fullmatch(found.run):
        raise ValueError("it has no tag, or no digest")
    return found


def _complaint(place: Path, bad: Sequence[int]) -> StoreError:
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return StoreError(
        f"line {bad[0]}{more} of the tags cannot be read", where=str(place), remedy="Delete it"
    )
