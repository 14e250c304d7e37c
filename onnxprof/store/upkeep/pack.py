"""Many stored runs as one file, and which of them cannot be in it."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from onnxprof.errors import StoreError, UsageError
from onnxprof.store import parquet
from onnxprof.store.folder import Filters, scan
from onnxprof.store.formats.archive import Packed
from onnxprof.store.formats.writing import write
from onnxprof.store.names import FAILED, file_stem, folders_of
from onnxprof.store.summary import Summary
from onnxprof.store.upkeep.thinning import thinned
from onnxprof.store.walk import SUFFIX
from onnxprof.writing import unwritable

#: Hears how many of how many runs have been packed.
Advance = Callable[[int, int], None]


@dataclass(slots=True)
class Packing:
    """What came of packing."""

    runs: int = 0
    failed: int = 0
    """Runs without times, which are packed with their reason."""
    fewer: int = 0
    """Runs that were stored with fewer samples than they had."""
    twice: int = 0
    """Runs that came again with the same content."""
    file_bytes: int = 0
    unreadable: list[StoreError] = field(default_factory=list)


def pack(
    sources: Sequence[Path],
    output: Path,
    filters: Filters | None = None,
    samples: int = 0,
    advance: Advance = lambda *_: None,
) -> Packing:
    """Write the runs of the sources that pass the filters into one archive.

    With `samples` runs are thinned to so many of a kind. An archive in that place is replaced, when
    the new one is whole. Raises UsageError where another file is in the place, or no run is to be
    packed, and StoreError where the archive cannot be written.
    """
    if output.exists() and not parquet.is_archive(output):
        raise UsageError("this is no archive, so it is not replaced", where=str(output))
    runs, problems = scan(sources, filters)
    packing = Packing(unreadable=problems)
    if not runs:
        raise UsageError("no stored run matches", where=", ".join(map(str, sources)))
    temporary = output.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as sink:
                packing.runs = write(_packed(runs, samples, packing, advance), sink)
                _synced(sink)
            packing.file_bytes = temporary.stat().st_size
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(output, error, StoreError) from error
    return packing


def _synced(sink: IO[bytes]) -> None:
    sink.flush()
    os.fsync(sink.fileno())


def _packed(
    runs: Sequence[Summary], samples: int, packing: Packing, advance: Advance
) -> Iterator[Packed]:
    """In the order of names, whatever the order of the files."""
    by_place: dict[tuple[str, ...], list[Summary]] = defaultdict(list)
    for run in runs:
        by_place[*folders_of(run.request), file_stem(run.request, run.created)].append(run)
    done = 0
    for place in sorted(by_place):
        alike: dict[str, Packed] = {}
        for run in by_place[place]:
            advance(done, len(runs))
            done += 1
            try:
                one = _one(run, "/".join(place), samples, packing)
            except StoreError as error:
                packing.unreadable.append(error)
                continue
            digest = _digest(one)
            packing.twice += digest in alike
            alike[digest] = one
        yield from _told_apart([alike[digest] for digest in sorted(alike)])


def _told_apart(runs: Iterable[Packed]) -> Iterator[Packed]:
    """Runs of one request and second have numbers, as their files have."""
    seen: Counter[str] = Counter()
    for run in runs:
        seen[run.name] += 1
        number = f"-{seen[run.name]}" if seen[run.name] > 1 else ""
        yield replace(run, name=f"{run.name}{number}{SUFFIX}")


def _one(run: Summary, name: str, samples: int, packing: Packing) -> Packed:
    """Raises StoreError for a run that cannot be read whole."""
    whole = parquet.read_run(run.path)
    less = thinned(whole, samples) if samples else whole
    packing.fewer += less is not whole
    if whole.timings is None:
        packing.failed += 1
        name += FAILED
    return parquet.packed(run.path, name, None if less is whole else less)


def _digest(run: Packed) -> str:
    durations = run.samples["duration_ns"].to_numpy()
    return hashlib.sha256(run.facts + durations.tobytes()).hexdigest()
