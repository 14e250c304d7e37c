"""Runs on disk: one immutable Parquet file each, under STORE/<model>/<device>/<backend>/.

Folders of several machines merge by copying. What a file holds: docs/store.md.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from onnxprof.errors import StoreError
from onnxprof.records.run import Request, Run
from onnxprof.store import index, tags
from onnxprof.store.names import FAILED, file_stem, folders_of, prefix
from onnxprof.store.summary import Summary
from onnxprof.store.walk import SUFFIX, run_files

T = TypeVar("T")

#: A run takes some ten to a hundred kilobytes.
_PROBE_BYTES = 1 << 18
#: Unreadable files that are named one by one.
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs are meant; an empty filter lets everything pass.

    A pattern is matched without regard to case: with `*` or `?` in it against the whole name,
    without against any part of it. Devices match by id or by name. Several patterns of one
    filter are alternatives.
    """

    model: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    batch: tuple[int, ...] = ()
    tag: tuple[str, ...] = ()
    """Whole tags, or patterns."""
    dims: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """By axis the sizes that pass."""
    phase: tuple[str, ...] = ()
    """Phases at a size, as `decode:512`, or at any, as `decode`."""

    def accept(self, summary: Summary) -> bool:
        """Whether the run passes every filter."""
        asked = summary.request
        return (
            _matches(self.model, asked.model_name)
            and _matches(self.device, asked.device_id, summary.device_name)
            and _matches(self.backend, asked.backend)
            and (not self.batch or asked.batch in self.batch)
            and all(dict(asked.dims).get(axis) in sizes for axis, sizes in self.dims)
            and (not self.phase or self._takes_phase(asked.phase))
            and (not self.tag or any(map(self.names_tag, summary.tags)))
        )

    def _takes_phase(self, phase: str) -> bool:
        return phase in self.phase or phase.partition(":")[0] in self.phase

    def names_tag(self, tag: str) -> bool:
        """Whether a tag is among those that are asked for."""
        return any(pattern == tag or _is_like(pattern, tag) for pattern in self.tag)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of runs; it need not exist before the first run is saved."""

    root: Path

    def save(self, run: Run, data: bytes = b"") -> Path:
        """Write the run under a new name and return where.

        `data` are the bytes of its file where another machine wrote it: they stay as they are.
        The file appears complete or not at all, and no earlier one is touched. Raises
        StoreError if it cannot be written: a full disk, a folder without permission.
        """
        from onnxprof.store import parquet

        data = data or parquet.to_bytes(run)
        name = file_stem(run.request, run.created) + (FAILED if run.timings is None else "")
        return write_new(self.folder(run.request), name, SUFFIX, data, "the run")

    def check_writable(self) -> None:
        """Raise StoreError where a run could not be saved, before there is one to lose.

        Folders that are not there yet are made for the attempt, and taken away again.
        """
        probe = self.root / f".{secrets.token_hex(8)}.tmp"
        new = [path for path in (self.root, *self.root.parents) if not path.exists()]
        place = _obstacle(self.root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            place = self.root
            try:
                _write_synced(probe, bytes(_PROBE_BYTES))
            finally:
                probe.unlink(missing_ok=True)
                for folder in new:
                    with suppress(OSError):  # another program may have put something there
                        folder.rmdir()
        except OSError as error:
            raise StoreError(
                f"runs cannot be saved: {_reason(error)}",
                where=str(place),
                remedy=_remedy(error),
            ) from error

    def find(self, request: Request, *, failed: bool = False) -> list[Path]:
        """Runs that answered this request, oldest first, told by their names alone.

        With `failed`, the attempts that failed instead.
        """
        begin, folder = prefix(request), self.folder(request)
        with suppress(OSError):
            names = sorted(entry.name for entry in folder.iterdir())
            return [
                folder / name
                for name in names
                if name.startswith(begin) and name.endswith(SUFFIX) and (FAILED in name) == failed
            ]
        return []

    def paths(self) -> Iterator[Path]:
        """Every file that looks like a run, in the order of folders and names."""
        for file in run_files(self.root):
            yield Path(file.path)

    def folder(self, request: Request) -> Path:
        """Where the runs of a request lie."""
        return self.root.joinpath(*folders_of(request))


def load(path: Path) -> Run:
    """Read one run. Raises StoreError, naming the file, for one that cannot be read."""
    from onnxprof.store import parquet

    return parquet.read_run(path)


def scan(
    stores: Iterable[Path], filters: Filters | None = None
) -> tuple[list[Summary], list[StoreError]]:
    """Summaries of the runs that pass, oldest first, and what could not be read.

    Reads no samples and no layer tables, unless an older version derived the summary in another
    way, and no file that the store's index knows. A file of several stores counts once.
    """
    wanted = filters or Filters()
    outcomes: dict[str, Summary | StoreError] = {}
    for root in stores:
        outcomes |= index.summaries(root)
    problems = [outcome for outcome in outcomes.values() if isinstance(outcome, StoreError)]
    runs, more = tags.applied([each for each in outcomes.values() if isinstance(each, Summary)])
    kept = [run for run in runs if wanted.accept(run)]
    return sorted(kept, key=_age), [*problems, *more]


def _age(run: Summary) -> tuple[str, str]:
    """By time; of runs of one second `NAME` was stored before `NAME-2`."""
    return run.created, run.file.removesuffix(SUFFIX)


def load_all(
    stores: Iterable[Path], filters: Filters | None = None
) -> tuple[list[Run], list[StoreError]]:
    """The runs that pass, oldest first, and what could not be read."""
    summaries, problems = scan(stores, filters)
    runs, more = load_each(summary.path for summary in summaries)
    return runs, [*problems, *more]


def load_good(paths: Iterable[Path], say: Callable[[str], None]) -> list[tuple[Path, Run]]:
    """The runs in these files that can be read; `say` hears which are left out.

    Raises StoreError where none can be read.
    """
    return list(each_good(paths, say))


def each_good(paths: Iterable[Path], say: Callable[[str], None]) -> Iterator[tuple[Path, Run]]:
    """As `load_good`, one run at a time; what is left out is said after the last one."""
    problems: list[StoreError] = []
    is_any = False
    for path in paths:
        good, bad = load_each([path])
        is_any |= bool(good)
        problems += bad
        yield from ((path, run) for run in good)
    if problems and not is_any:
        raise problems[0]
    tell(problems, say)


def tell(problems: Sequence[StoreError], say: Callable[[str], None]) -> None:
    """Say which files cannot be read: the first five, and how many more there are."""
    for problem in problems[:_MOST_TOLD]:
        say(f"skipped {problem}")
    if len(problems) > _MOST_TOLD:
        rest = len(problems) - _MOST_TOLD
        say(f"skipped {rest} more file{'s' if rest > 1 else ''}")


def load_each(paths: Iterable[Path]) -> tuple[list[Run], list[StoreError]]:
    """The runs in these files, and what could not be read."""
    return _each(paths, load)


def _matches(patterns: tuple[str, ...], *names: str) -> bool:
    return not patterns or any(_match(pattern, name) for pattern in patterns for name in names)


def _match(pattern: str, name: str) -> bool:
    pattern, name = pattern.casefold(), name.casefold()
    return _is_like(pattern, name) if "*" in pattern or "?" in pattern else pattern in name


def _is_like(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _each(paths: Iterable[Path], read: Callable[[Path], T]) -> tuple[list[T], list[StoreError]]:
    good: list[T] = []
    bad: list[StoreError] = []
    for path in paths:
        try:
            good.append(read(path))
        except StoreError as error:
            bad.append(error)
    return good, bad


def _obstacle(path: Path) -> Path:
    """The nearest thing on the way to a folder that exists, which may be a file."""
    return next((p for p in (path, *path.parents) if p.exists() or p.is_symlink()), path)


def write_new(folder: Path, stem: str, suffix: str, data: bytes, what: str) -> Path:
    """Write a file under a name that no other one has and return where.

    It appears complete or not at all. Raises StoreError, which says `what` cannot be saved.
    """
    temporary = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _write_synced(temporary, data)
            target = _claim(temporary, folder, stem, suffix)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{what} cannot be saved: {_reason(error)}",
            where=str(folder),
            remedy=_remedy(error),
        ) from error
    _sync_folder(folder)
    return target


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _claim(temporary: Path, folder: Path, stem: str, suffix: str) -> Path:
    """Give the file its final name; a link fails where that is taken, a rename would not."""
    count = 1
    while True:
        target = folder / (f"{stem}-{count}{suffix}" if count > 1 else f"{stem}{suffix}")
        try:
            os.link(temporary, target)
            return target
        except FileExistsError:
            count += 1
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            if target.exists():  # a file system without links
                count += 1
                continue
            return temporary.rename(target)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system opens folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: OSError) -> str:
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return "this is a file, and a store is a folder"
    return error.strerror or str(error)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space or choose another folder with --store"
    return "Choose another folder with --store"
