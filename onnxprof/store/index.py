"""An index of a store's summaries, so that a list need not open every run (docs/store.md).

The index is made of the runs, is worth no more than they are, and may be deleted at any time. An
entry counts only as long as its file looks as it did when it was read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
import stat
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.errors import StoreError
from onnxprof.processes.garbage import no_garbage_collection
from onnxprof.records.run import SCHEMA_VERSION, Request
from onnxprof.store import encoding, guard
from onnxprof.store.summary import ESTIMATOR, Summary
from onnxprof.store.walk import run_files

NAME = ".onnxprof-index"
#: To read so few runs takes less than to keep an index of them in order; of many, this part.
_FEW, _PART = 64, 1 / 50
#: What an index may hold for each file of its store, several times what it needs; and at least.
_FILE_BYTES, _SPARE_BYTES = 4096, 1 << 16
#: A file may change once more within what its file system's clock shows as one moment.
_UNSETTLED_NS = 2 * 10**9

#: Grows with each change of the index that other versions cannot read.
_FORMAT = 1

#: How a file looks from outside: bytes, times of change in nanoseconds, inode.
Mark = tuple[int, int, int, int]
Entry = tuple[Mark, Summary]


@no_garbage_collection()
def summaries(root: Path) -> dict[str, Summary | StoreError]:
    """By real path the summary of each run below a folder, or why it cannot be read.

    Opens only the files that the index does not know as they are now, and writes the index anew
    where those are many.
    """
    now_ns = time.time_ns()
    files = list(run_files(root))
    known = read(root, len(files)) if len(files) >= _FEW else {}
    outcomes: dict[str, Summary | StoreError] = {}
    kept: dict[str, Entry] = {}
    learnt = 0
    for file in files:
        mark = _mark(file.path)
        entry = known.get(file.name)
        is_known = entry is not None and entry[0] == mark
        found = [entry[1]] if entry is not None and is_known else _read_file(file.path)
        outcomes |= {f"{file.real}{_inside(one, file.path)}": one for one in found}
        for one in found:
            if mark is None or not isinstance(one, Summary) or one.file != file.path:
                continue
            if _is_settled(mark, now_ns):
                kept[file.name] = mark, one
                learnt += not is_known
    if learnt >= max(_FEW, len(files) * _PART):
        write(root, kept, len(files))
    return outcomes


def _mark(path: str) -> Mark | None:
    """None for what is no regular file."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


def _is_settled(mark: Mark, now_ns: int) -> bool:
    return max(mark[1], mark[2]) < now_ns - _UNSETTLED_NS


def _read_file(path: str) -> Sequence[Summary | StoreError]:
    """One of a run's file, any number of an archive."""
    from onnxprof.store import parquet

    try:
        return parquet.read_summaries(Path(path))
    except StoreError as error:
        return [error]


def _inside(outcome: Summary | StoreError, path: str) -> str:
    """The rest of a run's path behind that of the archive that it is in; empty for a file."""
    found = outcome.file if isinstance(outcome, Summary) else outcome.where
    return found.removeprefix(path)


def read(root: Path, files: int) -> dict[str, Entry]:
    """The index of a store of so many files, by name; empty where there is none that is whole."""
    entries: dict[str, Entry] = {}
    for place in _places(root):
        try:
            entries |= _decoded(_bytes(place, files), root)
        except guard.ERRORS:
            continue
    return entries


def write(root: Path, entries: Mapping[str, Entry], files: int) -> None:
    """Replace the index, whole or not at all; a store that cannot be written has it in the cache.

    Where neither can be written there is none.
    """
    data = _encoded(entries)
    if len(data) > _most_bytes(files):
        return
    place = _places(root)[-1]
    temporary = place.with_name(f".{secrets.token_hex(8)}.tmp")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)


def _places(root: Path) -> tuple[Path, ...]:
    """Where an index may be, the one to write last."""
    inside = root / NAME
    if os.access(root, os.W_OK):
        return (inside,)
    digest = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()
    return inside, folders.cache() / "indexes" / digest[:32]


def _most_bytes(files: int) -> int:
    return files * _FILE_BYTES + _SPARE_BYTES


def _bytes(place: Path, files: int) -> bytes:
    """Raises OSError, and ValueError for what is no file or larger than an index can be."""
    guard.check_file(place)
    with place.open("rb") as file:
        data = file.read(_most_bytes(files) + 1)
    if len(data) > _most_bytes(files):
        raise ValueError("it is larger than an index of this store")
    return data


def _head(body: bytes) -> bytes:
    """What an index must begin with to be of this version and whole."""
    fields = [[field.name for field in dataclasses.fields(kind)] for kind in (Summary, Request)]
    return encoding.dumps([_FORMAT, SCHEMA_VERSION, ESTIMATOR, *fields, zlib.crc32(body)])


def _encoded(entries: Mapping[str, Entry]) -> bytes:
    marks = [mark for mark, _ in entries.values()]
    listed = [summary for _, summary in entries.values()]
    pool: dict[Request, int] = {}
    special: dict[str, Callable[[Any], Any]] = {
        "request": lambda request: pool.setdefault(request, len(pool)),
        "file": lambda _: None,
        "tags": lambda _: [],
    }
    body = {
        "names": list(entries),
        "marks": [list(column) for column in zip(*marks, strict=True)],
        "summaries": encoding.columns(Summary, listed, special),
        "requests": encoding.columns(Request, tuple(pool), {}),
    }
    text = encoding.dumps(body)
    return _head(text) + b"\n" + text


def _decoded(data: bytes, root: Path) -> dict[str, Entry]:
    """Raises one of `guard.ERRORS` for what `_encoded` did not write."""
    head, _, body = data.partition(b"\n")
    if head != _head(body):
        raise ValueError("it is of another version, or damaged")
    facts = guard.facts_in(body)
    names, marks = facts["names"], zip(*facts["marks"], strict=True)
    pool = encoding.records(Request, facts["requests"], {})
    folder = os.path.join(root, "") if root.parts else ""
    columns = facts["summaries"] | {"file": [folder + name for name in names]}
    listed = encoding.records(Summary, columns, {"request": pool.__getitem__})
    return dict(zip(names, zip(marks, listed, strict=True), strict=True))
