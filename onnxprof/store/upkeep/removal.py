"""Which runs of a store are superfluous, and taking runs away."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from onnxprof.errors import StoreError
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Filters
from onnxprof.store.summary import Summary


def superfluous(
    runs: Iterable[Summary], keep: int, filters: Filters | None = None
) -> tuple[list[Summary], list[Summary]]:
    """The runs beyond the `keep` newest of their request, and those of them that tags keep.

    A tag that the filters name keeps no run: it says which are meant. Failed runs that are older
    than a good one of the same request count as the oldest. Both lists are in the order of the
    runs given.
    """
    by_request: dict[str, list[Summary]] = defaultdict(list)
    listed = list(runs)
    for run in listed:
        by_request[request_digest(run.request)].append(run)
    beyond = {run.file for theirs in by_request.values() for run in _by_worth(theirs)[keep:]}
    surplus = [run for run in listed if run.file in beyond]
    named = (filters or Filters()).names_tag
    kept = [run for run in surplus if not all(map(named, run.tags))]
    files = {run.file for run in kept}
    return [run for run in surplus if run.file not in files], kept


def remove(runs: Sequence[Summary]) -> tuple[int, list[StoreError]]:
    """Delete the files of runs; returns how many, and what could not be deleted.

    A link is deleted, not what it leads to. Folders stay, as another process may be about to
    store a run there.
    """
    problems: list[StoreError] = []
    for run in runs:
        try:
            os.unlink(run.file)
        except FileNotFoundError:
            continue  # somebody else was faster
        except OSError as error:
            what = f"cannot be removed: {error.strerror or error}"
            problems.append(StoreError(what, where=run.file))
    return len(runs) - len(problems), problems


def size_of(runs: Iterable[Summary]) -> int:
    """The bytes that removing the runs sets free."""
    return sum(path.lstat().st_size for run in runs if (path := Path(run.file)).is_file())


def _by_worth(runs: Sequence[Summary]) -> list[Summary]:
    """The newest first; failed ones that a good one has followed come last."""
    newest = sorted(runs, key=attrgetter("created", "file"), reverse=True)
    worth: list[Summary] = []
    overtaken: list[Summary] = []
    is_good_seen = False
    for run in newest:
        (overtaken if run.failure and is_good_seen else worth).append(run)
        is_good_seen |= not run.failure
    return worth + overtaken
