"""`onnxprof.advise`: what to change in a network, and what that is expected to gain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn, warn_each
from onnxprof.compare.systems import newest
from onnxprof.reasons.advice.advise import Advice as Advised
from onnxprof.reasons.advice.advise import advise as found
from onnxprof.reasons.advice.base.peers import related
from onnxprof.reasons.stored import Shelf
from onnxprof.records.run import Run
from onnxprof.store.folder import Filters, load_good, scan
from onnxprof.store.select import Need, select

if TYPE_CHECKING:
    from onnxprof.api.results.advice import Advice
    from onnxprof.store.summary import Summary

Say = Callable[[str], None]


@public
def advise(
    runs: Run | Iterable[Run],
    *,
    store: str | PathLike[str] | None = None,
    limit: int | None = 12,
) -> Advice:
    """Say what to change in a network or its setting, with evidence and the gain to expect.

    Of each system, model and size the newest run is looked at; the others of `runs`, and the runs
    and ceilings of `store` (`$ONNXPROF_STORE`, else `runs`), may tell something of it. `limit` is
    how many findings of a run are shown. Without ceilings some findings cannot be made, which is a
    warning. Raises StoreError for a run without times.

    >>> import warnings
    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     found = op.advise(sample_run())
    >>> found[0].run.request.model_name
    'sample'
    """
    from onnxprof.api.results.advice import Advice

    every = [runs] if isinstance(runs, Run) else list(runs)
    place = folders.store(None if store is None else Path(store))
    subjects = newest(every)
    others = [*every, *_stored_beside(subjects, (), [place], warn)]
    records, lacking = on_runs(subjects, others, Shelf([place]))
    warn_each(lacking)
    return Advice(records, limit)


def advised(
    texts: Sequence[str], stores: Sequence[Path], filters: Filters, say: Say
) -> list[Advised]:
    """The advice on the runs that these texts mean; of each system, model and size the newest.

    Without texts all of the stores is meant. `say` hears what is left out, and which ceilings are
    missing.
    """
    meant = _meant(texts, stores, filters, say)
    subjects = newest([run for _, run in load_good([one.path for one in meant], say)])
    others = [*subjects, *_stored_beside(subjects, meant, stores, say)]
    records, lacking = on_runs(subjects, others, Shelf(stores))
    for text in lacking:
        say(text)
    return list(records)


def on_runs(
    subjects: Sequence[Run], others: Sequence[Run], shelf: Shelf
) -> tuple[tuple[Advised, ...], list[str]]:
    """The advice on each, and which ceilings are missing."""
    lacking = dict.fromkeys(text for run in subjects if (text := shelf.missing(run)))
    return tuple(found(run, shelf.of(run), others) for run in subjects), list(lacking)


def _meant(
    texts: Sequence[str], stores: Sequence[Path], filters: Filters, say: Say
) -> list[Summary]:
    by_file: dict[Path, Summary] = {}
    for text in texts or [""]:
        for summary in newest(select(text, stores, filters, Need.TIMES, say=say)):
            by_file.setdefault(summary.path.resolve(), summary)
    return list(by_file.values())


def _stored_beside(
    subjects: Sequence[Run], meant: Sequence[Summary], stores: Sequence[Path], say: Say
) -> Iterator[Run]:
    """The newest stored runs that may tell something of the subjects."""
    taken = {one.path.resolve() for one in meant}
    told = {(run.request, run.created) for run in subjects}
    known = newest([one for one in scan(stores)[0] if one.median_ns is not None])
    for summary in known:
        asked = summary.request
        if summary.path.resolve() in taken or (asked, summary.created) in told:
            continue
        if any(related(run.request, asked) for run in subjects):
            yield from (run for _, run in load_good([summary.path], say))
