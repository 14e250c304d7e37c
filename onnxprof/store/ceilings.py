"""Measured ceilings on disk: one JSON file each, under STORE/ceilings/<device>/<backend>/."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from onnxprof.errors import StoreError
from onnxprof.records.ceilings import CEILINGS_SCHEMA, Ceilings, CeilingsKey
from onnxprof.store.encoding import dumps, from_json, to_json
from onnxprof.store.folder import write_new
from onnxprof.store.guard import check_file, facts_in
from onnxprof.store.names import path_part

FOLDER, SUFFIX = "ceilings", ".json"
#: Larger than any set of points.
_MOST_BYTES = 64 << 20
_LARGEST = 1 << 53
#: What caches and precisions are called; they stand in the tables of runs.
_NAME = re.compile(r"[0-9A-Za-z_.+-]{1,16}")


def save(root: Path, ceilings: Ceilings) -> Path:
    """Write the ceilings under a new name and return where. Raises StoreError."""
    key = ceilings.key
    created = re.sub(r"[^0-9A-Za-z.]", "", ceilings.created)[:32]
    stem = f"t{key.threads}-{path_part(key.provider)}-{created}"
    folder = root.joinpath(FOLDER, path_part(key.device_id), path_part(key.backend))
    return write_new(folder, stem, SUFFIX, dumps(to_json(ceilings)), "the ceilings")


def load(path: Path) -> Ceilings:
    """Read one file. Raises StoreError, naming it, where it cannot be read."""
    try:
        check_file(path)
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is larger than any set of ceilings")
        facts = facts_in(path.read_bytes())
        if facts.get("schema") != CEILINGS_SCHEMA:
            raise ValueError(f"it has schema {str(facts.get('schema'))[:40]!r}")
        return _checked(from_json(Ceilings, facts))
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise StoreError(
            f"its ceilings cannot be read: {error}",
            where=str(path),
            remedy="Delete the file, and measure again with onnxprof ceilings --again",
        ) from error


def stored(roots: Iterable[Path]) -> tuple[list[Ceilings], list[StoreError]]:
    """All ceilings, oldest first, and what could not be read."""
    good: list[Ceilings] = []
    bad: list[StoreError] = []
    for root in roots:
        for path in sorted((root / FOLDER).glob(f"*/*/*{SUFFIX}")):
            try:
                good.append(load(path))
            except StoreError as error:
                bad.append(error)
    return sorted(good, key=lambda each: each.created), bad


def newest(roots: Iterable[Path], key: CeilingsKey) -> Ceilings | None:
    """The latest ceilings of a key that can be read; None where there are none."""
    folders = (root / FOLDER / path_part(key.device_id) / path_part(key.backend) for root in roots)
    found = []
    for folder in folders:
        for path in folder.glob(f"t{key.threads}-{path_part(key.provider)}-*{SUFFIX}"):
            try:
                found.append(load(path))
            except StoreError:
                continue
    fitting = [each for each in found if each.key == key]
    return max(fitting, key=lambda each: each.created, default=None)


def _checked(ceilings: Ceilings) -> Ceilings:
    """Raises ValueError for points that no measurement gives."""
    for point in ceilings.points:
        times = (*point.short_ns, *point.long_ns)
        if len(point.short_ns) != len(point.long_ns):
            raise ValueError(f"{point.kind} {point.size} has rounds without a partner")
        if times and not 0 <= point.short < point.long:
            raise ValueError(f"{point.kind} {point.size} has no further copies")
        counts = (point.flops, point.moved_bytes, point.working_set_bytes)
        if any(not 0 <= number <= _LARGEST for number in (*times, *counts)):
            raise ValueError(f"{point.kind} {point.size} has a negative or too large figure")
    if any(cache.bytes <= 0 or cache.sharers <= 0 for cache in ceilings.caches):
        raise ValueError("a cache has no size")
    names = (*(c.name for c in ceilings.caches), *(p.precision for p in ceilings.points))
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("a cache or a precision has a name that no device gives")
    return ceilings
