"""Reads an archive: the list of its runs, or one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from onnxprof.store.formats.archive import KEY, RUN, VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

#: The most runs, and the most rows of a group that are read.
_MOST_RUNS, _MOST_ROWS = 1 << 20, 1 << 26
#: A group ends at 32 MiB; a run that is larger has one of its own.
_GROUP_BYTES = 1 << 30
_LONGEST_NAME = 1024
#: What is read as numbers of texts, which a damaged file cannot multiply; and the types of columns.
_TEXTS = ("name", "kind", "summary", "facts")
_TYPES = {"sample": "int32", "block": "int32", "duration_ns": "int64"} | dict.fromkeys(
    _TEXTS, "dictionary<values=string, indices=int32, ordered=0>"
)
#: Where the end of a file lies at the same place, it is the same file.
Mark = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Member:
    """A run of an archive; nothing but its summary has been read."""

    name: str
    summary: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """A run's facts and samples."""

    facts: bytes
    samples: pa.Table
    """The columns `block` and `duration_ns`."""


def is_archive(metadata: dict[bytes, bytes] | None) -> bool:
    """Whether a Parquet file with such metadata is an archive."""
    return bool(metadata) and KEY in (metadata or {})


def members(path: Path) -> list[Member]:
    """Every run, in the order of names. Raises ValueError or pyarrow's errors if damaged."""
    listed: list[Member] = []
    with _opened(path) as file:
        for group in range(0, file.num_row_groups, 2):
            rows = file.read_row_group(group, ["name", "summary"], use_threads=False)
            names, summaries = (_texts(rows[name]).to_pylist() for name in ("name", "summary"))
            listed += [Member(_name(n), s.encode()) for n, s in zip(names, summaries, strict=True)]
    if len({member.name for member in listed}) < len(listed):
        raise ValueError("two of its runs have one name")
    return listed


def read(path: Path, name: str) -> Held:
    """One run. Raises as `members`, and LookupError where there is none of this name."""
    mark = _mark(path)
    group, row = _places(path, mark)[name]
    facts, samples, ends = _group(path, mark, group)
    start = ends[row - 1] if row else 0
    return Held(facts[row].as_py().encode(), samples.slice(start, ends[row] - start))


@lru_cache(maxsize=4)
def _places(path: Path, mark: Mark) -> dict[str, tuple[int, int]]:
    """By name the group of a run and its row in it."""
    del mark
    places: dict[str, tuple[int, int]] = {}
    with _opened(path) as file:
        for group in range(0, file.num_row_groups, 2):
            names = _texts(file.read_row_group(group, ["name"], use_threads=False)["name"])
            places |= {name: (group, row) for row, name in enumerate(names.to_pylist())}
    return places


@lru_cache(maxsize=1)
def _group(path: Path, mark: Mark, group: int) -> tuple[Any, pa.Table, list[int]]:
    """Facts and samples of the runs in a group, and where the samples of each end."""
    del mark
    with _opened(path) as file:
        runs = file.read_row_group(group, ["kind", "sample", "facts"], use_threads=False)
        if set(_texts(runs["kind"]).to_pylist()) != {RUN}:
            raise ValueError("its rows are not in the order of an archive")
        facts, counts = _texts(runs["facts"]), runs["sample"].to_pylist()
        samples = file.read_row_group(group + 1, ["block", "duration_ns"], use_threads=False)
    ends = list(accumulate(counts))
    if min(counts) < 0 or ends[-1] != samples.num_rows:
        raise ValueError("its runs and its samples differ in number")
    return facts, samples.combine_chunks(), ends


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file, its footer checked: nothing is unpacked before its size is known."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(
        path, page_checksum_verification=True, read_dictionary=list(_TEXTS)
    ) as file:
        version = (file.metadata.metadata or {}).get(KEY)
        if version != VERSION:
            raise ValueError(f"it is no archive of version {VERSION.decode()}")
        types = {field.name: str(field.type) for field in file.schema_arrow}
        if any(types.get(name) != known for name, known in _TYPES.items()):
            raise ValueError("its columns have other types than those of an archive")
        _check_groups(file.metadata)
        yield file


def _check_groups(footer: pq.FileMetaData) -> None:
    """By groups: pyarrow ends the process where the facts of a single column are damaged."""
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    if len(groups) % 2:
        raise ValueError("its runs and its samples differ in number of groups")
    if any(group.total_byte_size > _GROUP_BYTES for group in groups):
        raise ValueError("a group unpacks to more than runs can be")
    if sum(group.num_rows for group in groups[::2]) > _MOST_RUNS:
        raise ValueError(f"it has more than {_MOST_RUNS} runs")
    if any(not 0 <= group.num_rows <= _MOST_ROWS for group in groups):
        raise ValueError(f"a group has more than {_MOST_ROWS} rows")


def _texts(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """The texts of a column, each stored once however many rows name it. Raises ValueError for
    rows without one, and for more text than a group can hold."""
    import pyarrow.compute as pc

    whole = column.combine_chunks()
    if column.null_count or not len(column):
        raise ValueError("a run has no name or no facts")
    lengths = pc.binary_length(whole.dictionary).cast("int64").take(whole.indices)
    if pc.sum(lengths).as_py() > _GROUP_BYTES:
        raise ValueError("a group unpacks to more than runs can be")
    return whole


def _mark(path: Path) -> Mark:
    seen = os.stat(path)
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def _name(name: str) -> str:
    """Names lead nowhere: they are parts of a path below the archive."""
    parts = name.split("/")
    if len(name) > _LONGEST_NAME or not all(parts) or {".", ".."} & set(parts) or "\0" in name:
        raise ValueError(f"{name[:40]!r} is no name of a run")
    return name
