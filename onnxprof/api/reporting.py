"""`onnxprof.report`: runs as one page to send, which needs no server and asks for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn, warn_each
from onnxprof.api.results.shown import chosen, written
from onnxprof.errors import UsageError
from onnxprof.records.run import Run
from onnxprof.store.folder import Filters
from onnxprof.store.select import select
from onnxprof.writing import refuse_unwritable

if TYPE_CHECKING:
    from onnxprof.api.results.runs import Runs
    from onnxprof.publish.report.write import Folded
    from onnxprof.records.ceilings import Ceilings
    from onnxprof.store.summary import Summary

Say = Callable[[str], None]
Named = str | PathLike[str]
#: Endings of the files, and what they are.
ENDINGS = {".html": "html", ".htm": "html"}


@public
def report(
    runs: Runs | Named | Iterable[Run | Named],
    path: Named = "report.html",
    *,
    title: str = "onnxprof",
) -> Path:
    """Write runs as one self-contained HTML page. Returns its path.

    `runs` are records, as of `op.load` and `op.profile`, or what names stored runs: ids, files,
    folders. Of one model the page is that model's, of several it is a small site in a file. Needs
    `onnxprof[site]`. What could not be shown is a warning.

    >>> import tempfile
    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = op.report([sample_run(batch=1), sample_run(batch=8)], f"{folder}/report.html")
    ...     page.read_text("utf-8").startswith("<!doctype html>")
    True
    """
    place = checked(fspath(path))
    given = [runs] if isinstance(runs, str | PathLike) else list(runs)
    records = [one for one in given if isinstance(one, Run)]
    if records and len(records) < len(given):
        raise UsageError("runs are either records or names", remedy="Load the named ones first")
    if records:
        made = _of_records(records, runs, title)
    elif given:
        texts = [fspath(one) for one in given if not isinstance(one, Run)]
        made = of_named(texts, [folders.store()], Filters(), title, warn)
    else:
        raise UsageError("there is no run to report", remedy="Give at least one")
    warn_each(f"left out: {problem}" for problem in made.problems)
    return written(place, lambda: made.content)


def checked(path: str) -> Path:
    """Where the page goes. Raises UsageError for another ending, or where it cannot be written."""
    place = folders.expanded(path)
    chosen(place, ENDINGS)
    refuse_unwritable(place)
    return place


def of_named(
    texts: Sequence[str], roots: Sequence[Path], filters: Filters, title: str, say: Say
) -> Folded:
    """The report of the runs that texts name, each once; without texts of all in these stores.

    Runs under load are those of whole folders. Raises UsageError where nothing matches.
    """
    from dataclasses import replace

    from onnxprof.publish.report.write import report as folded
    from onnxprof.publish.site import loads
    from onnxprof.publish.site.worklist import of_summaries
    from onnxprof.store.beside.ceilings import stored as stored_ceilings

    found: dict[Path, Summary] = {}
    for text in texts or [""]:
        for one in select(text, roots, filters, say=say):
            found.setdefault(one.path.resolve(), one)
    items, problems = of_summaries(list(found.values()))
    whole = [path for text in texts if (path := folders.expanded(text)).is_dir()]
    under_load = loads.of_stores(whole if texts else roots)
    homes = (home for path in found for home in path.parents[3:4])
    ceilings, unread = stored_ceilings(list(dict.fromkeys([*map(Path.resolve, roots), *homes])))
    made = folded(items, title, ceilings, under_load)
    return replace(made, problems=(*map(str, problems), *map(str, unread), *made.problems))


def _of_records(records: Sequence[Run], given: object, title: str) -> Folded:
    from onnxprof.publish.report.write import report as folded
    from onnxprof.publish.site.worklist import of_runs

    return folded(of_runs(records), title, _ceilings(records, given))


def _ceilings(records: Sequence[Run], given: object) -> list[Ceilings]:
    """Those that `Runs` know of their runs, each once."""
    from onnxprof.api.results.runs import Runs

    if not isinstance(given, Runs):
        return []
    found = [known for run in records if (known := given.ceilings_of(run)) is not None]
    return list({id(one): one for one in found}.values())
