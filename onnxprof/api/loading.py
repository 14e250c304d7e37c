"""`onnxprof.load`: stored runs, and the rule by which functions and commands find them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn
from onnxprof.api.options import sizes
from onnxprof.compare.systems import newest
from onnxprof.errors import UsageError
from onnxprof.reasons.stored import Shelf
from onnxprof.records.run import Run
from onnxprof.sequences.grammar import chosen
from onnxprof.store.folder import Filters, load_good
from onnxprof.store.select import Need, select

if TYPE_CHECKING:
    from onnxprof.api.results.runs import Failure, Runs
    from onnxprof.store.summary import Summary

Say = Callable[[str], None]


@public
def load(
    store: str | PathLike[str] | None = None,
    *,
    model: str | Iterable[str] | None = None,
    device: str | Iterable[str] | None = None,
    backend: str | Iterable[str] | None = None,
    batch: int | Iterable[int] | None = None,
    tags: str | Iterable[str] | None = None,
    dims: Mapping[str, int | Iterable[int]] | None = None,
    phases: str | Iterable[str] | None = None,
) -> Runs:
    """Read stored runs, oldest first.

    `store` is a folder of runs, an archive, the file of a run, an id or its first digits; None
    stands for `$ONNXPROF_STORE`, else `runs`. A filter is a part of the name, or all of it with
    `*` and `?`; several of one kind are alternatives. `dims` has sizes that pass by axis, `phases`
    are `"decode"` or `"decode:512"`. Runs that failed are among `failures`; a file
    that cannot be read is a warning. Raises UsageError where nothing matches.

    >>> import tempfile
    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = op.Runs([sample_run(batch=1), sample_run(batch=8)]).save(folder)
    ...     [run.request.batch for run in op.load(folder, model="samp*", batch=8)]
    [8]
    """
    text = "" if store is None else str(folders.expanded(fspath(store)))
    filters = Filters(
        names("model", model),
        names("device", device),
        names("backend", backend),
        () if batch is None else sizes(batch),
        names("tags", tags),
        tuple((axis, _sizes(axis, given)) for axis, given in (dims or {}).items()),
        chosen(names("phases", phases)),
    )
    return runs_of(select(text, [folders.store()], filters, say=warn), warn)


def _sizes(axis: str, given: int | Iterable[int]) -> tuple[int, ...]:
    every = (given,) if isinstance(given, int) else tuple(given)
    if not all(type(size) is int for size in every):
        raise UsageError(f"the size of axis {axis!r} cannot be {given!r}", remedy="Give numbers")
    return every


def names(what: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Patterns of a filter. Raises UsageError for what is no text."""
    every = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(each, str) and each for each in every):
        raise UsageError(f"{what} cannot be {given!r}", remedy="Give a name or a list of names")
    return every


def runs_of(summaries: Sequence[Summary], say: Say) -> Runs:
    """The runs of these files, with the ceilings of their stores; `say` hears what is left out."""
    from onnxprof.api.results.runs import Runs

    found = [run for _, run in load_good([one.path for one in summaries], say)]
    good = [run for run in found if run.timings is not None]
    failed = [_failure(run) for run in found if run.timings is None]
    return Runs(good, failures=failed, ceilings_of=shelf_of(summaries).of)


def _failure(run: Run) -> Failure:
    from onnxprof.api.results.runs import Failure

    asked = run.request
    return Failure(asked.model_name, asked.batch, run.failure, asked.dims)


def shelf_of(summaries: Iterable[Summary], roots: Sequence[Path] = ()) -> Shelf:
    """Ceilings of stores and of those that the runs lie in: STORE/model/device/backend/run."""
    homes = (home for one in summaries for home in one.path.absolute().parents[3:4])
    places = roots or [folders.store()]
    return Shelf(list(dict.fromkeys([*places, *homes])))


def newest_runs(
    texts: Sequence[str], roots: Sequence[Path], filters: Filters, need: Need, say: Say
) -> list[Run]:
    """The runs that texts name, each once; of a folder the newest of each system.

    Without texts all of the stores is meant. `say` hears what is left out: runs without what is
    needed.
    """
    run_of: dict[Path, Run] = {}
    for text in texts or [""]:
        meant = newest(select(text, roots, filters, need, say=say))
        for path, run in load_good([summary.path for summary in meant], say):
            run_of.setdefault(path.resolve(), run)
    return list(run_of.values())
