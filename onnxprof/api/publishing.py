"""`onnxprof.site` and `onnxprof.doctor`: what was measured as pages, and what works here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn_each
from onnxprof.api.loading import names
from onnxprof.errors import UsageError
from onnxprof.store.folder import Filters

if TYPE_CHECKING:
    from onnxprof.api.results.diagnosis import Diagnosis
    from onnxprof.publish.site.build import Built

Say = Callable[[str], None]


@public
def site(
    store: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
    out: str | PathLike[str] = "public",
    *,
    tags: str | Iterable[str] | None = None,
    title: str = "onnxprof",
    base_url: str = "",
    project_url: str = "",
    license: str = "",
) -> Built:
    """Build a static site of stored runs: a folder that works from disk and from any web server.

    `store` is a folder of runs or several, else `$ONNXPROF_STORE`, else `runs`; `tags` leaves out
    runs without them. `base_url` is where the site will be, `project_url` what its pages link to,
    `license` that of the results. Needs `onnxprof[site]`. What could not be shown is a warning, and
    among the result's `problems`.

    >>> import tempfile
    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     runs = op.Runs([sample_run()]).save(f"{folder}/runs")
    ...     built = op.site(runs, f"{folder}/public")
    ...     built.index.is_file(), built.models, built.runs
    (True, 1, 1)
    """
    stores = (
        () if store is None else (store,) if isinstance(store, str | PathLike) else tuple(store)
    )
    texts = {"title": title, "base_url": base_url, "project_url": project_url, "licence": license}
    made = built(
        [fspath(each) for each in stores],
        fspath(out),
        Filters(tag=names("tags", tags)),
        _nobody,
        **texts,
    )
    warn_each(f"left out: {problem}" for problem in made.problems)
    return made


def _nobody(_: str) -> None:
    pass


def built(stores: Sequence[str], out: str, filters: Filters, say: Say, **texts: str) -> Built:
    """Build a site of the runs of these stores that pass.

    A second build of the same folder waits, which `say` hears. Raises UsageError
    for a store or a folder that cannot be used.
    """
    from onnxprof.processes import device_lock
    from onnxprof.publish.disk.swap import check_replaceable
    from onnxprof.publish.site.build import build_from_stores

    folder = folders.expanded(out).resolve()
    check_replaceable(folder)
    roots = _roots(stores)
    with device_lock.held(str(folder), say):
        return build_from_stores(roots, folder, filters=filters, **texts)


def _roots(named: Sequence[str]) -> list[Path]:
    """The folders of runs to read. Raises UsageError if one that is named does not exist."""
    roots = [folders.store(folder) for folder in named]
    for root in roots:
        if not root.exists():
            raise UsageError("there is no such folder", where=str(root), remedy="Check --store")
    return roots or [folders.store()]


@public
def doctor() -> Diagnosis:
    """Say which backends and devices work here and, for those that do not, what to install.

    >>> import onnxprof as op
    >>> found = op.doctor()
    >>> found.record.version == op.__version__
    True
    """
    from onnxprof.api.results.diagnosis import Diagnosis
    from onnxprof.doctor import diagnose
    from onnxprof.runtimes.overlay import kept

    return Diagnosis(diagnose(folders_used(), kept()))


def folders_used() -> dict[str, Path]:
    """The folders that onnxprof writes to, by purpose."""
    return {"cache": folders.cache(), "store": folders.store(), "locks": folders.locks()}
