"""The one room that writes a site: renders everything beside the old one, then swaps."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from onnxprof import __version__
from onnxprof.contracts import UsageError
from onnxprof.publish import pages, pdf, plot, press
from onnxprof.publish.catalogue import Entry, ModelPage, catalogue
from onnxprof.publish.timing_csv import timing_csv
from onnxprof.records import Run

#: A folder with this file in it is ours to replace.
MARKER = ".onnxprof-site"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made."""

    index: Path
    models: int
    runs: int
    files: int
    problems: tuple[str, ...]
    """What could not be shown, one line each."""


def build_site(runs: Iterable[Run], out: Path, title: str = "onnxprof") -> Built:
    """Build the site of these runs and put it where `out` says.

    The old site stands until the new one is whole. Raises UsageError if `out` is something
    that this command did not make.
    """
    out = out.resolve()
    check_replaceable(out)
    good, problems = _readable(runs)
    models = catalogue(good)
    with _scaffold(out) as folder:
        _write_site(folder, models, title)
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        _swap(folder, out)
    entries = sum(len(model.entries) for model in models)
    return Built(out / "index.html", len(models), entries, count, tuple(problems))


def check_replaceable(out: Path) -> None:
    """Raise UsageError unless `out` is free, an empty folder or a site built before."""
    if not out.exists() or (out.is_dir() and (out / MARKER).is_file()):
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    raise UsageError(
        "this is not a site that onnxprof built, so it is not replaced",
        where=str(out),
        remedy="Choose another folder with --out",
    )


def _readable(runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Runs whose parts fit together; a damaged one costs itself, not the site."""
    good, problems = [], []
    for run in runs:
        if _fits(run):
            good.append(run)
        else:
            problems.append(
                f"{run.request.model_name}, batch {run.request.batch}, {run.created}: "
                "its times do not match its steps"
            )
    return good, problems


def _fits(run: Run) -> bool:
    timings = run.timings
    if timings is None:
        return True
    shape = timings.step_ns.shape
    steps_fit = len(shape) == 2 and shape[0] == len(run.steps) and (shape[1] > 0 or not run.steps)
    return bool(steps_fit and timings.latency_ns.size)


def _write_site(folder: Path, models: Sequence[ModelPage], title: str) -> None:
    created = [entry.run.created for model in models for entry in model.entries]
    facts = pages.SiteFacts(title, __version__, max(created, default=""))
    _write(folder / MARKER, "Built by onnxprof; replaced as a whole by the next build.\n")
    for name in pages.ASSETS:
        _write(folder / "assets" / name, pages.asset(name))
    for model in models:
        _write_model(folder / "models" / model.slug, model, facts)
    _write_pdfs(folder, models)
    _write(folder / "method.html", pages.method_page(facts))
    _write(folder / "index.html", pages.index_page(models, facts))


def _write_model(folder: Path, model: ModelPage, facts: pages.SiteFacts) -> None:
    _write(folder / "index.html", pages.model_page(model, facts))
    for batch, drawing in _plots(model):
        _write(folder / "plot" / f"batch-{batch}.svg", drawing)
    for entry in model.entries:
        if entry.result:
            _write(folder / "runs" / f"{entry.stem}.csv", timing_csv([entry.run]))


def _plots(model: ModelPage) -> Iterator[tuple[int, str]]:
    """One drawing a batch size; tables with the same topology share their layout."""
    plans: dict[tuple[object, ...], plot.Plan] = {}
    shown: dict[int, Entry] = {}
    for entry in sorted(model.entries, key=lambda e: (e.result is not None, e.run.created)):
        shown[entry.batch] = entry
    for batch, entry in sorted(shown.items()):
        table = entry.run.table
        key = plot.topology(table)
        if key not in plans:
            plans[key] = plot.plan(table)
        yield batch, plot.draw(plans[key], table, model.facts.name)


def _write_pdfs(folder: Path, models: Sequence[ModelPage]) -> None:
    """All PDFs at once, so that the workers are started once."""
    wanted = {
        folder / "models" / model.slug / "runs" / f"{entry.stem}.pdf": pdf.manuscript(
            entry.run, entry.result
        )
        for model in models
        for entry in model.entries
        if entry.result
    }
    for path, made in zip(wanted, press.press(list(wanted.values())), strict=True):
        _write(path, made)


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    path.write_bytes(content)


@contextmanager
def _scaffold(out: Path) -> Iterator[Path]:
    """A folder beside `out` to build in; gone afterwards, whatever happens."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = out.with_name(f".{out.name}-building-{secrets.token_hex(4)}")
        folder.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot write there: {error.strerror}", where=str(out.parent), remedy="Choose --out"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(folder: Path, out: Path) -> None:
    """Put the new site in the old one's place; of two builds at once the later one stays."""
    for attempt in range(9):
        check_replaceable(out)
        if _replaced(folder, out, folder.with_name(f"{folder.name}-old{attempt}")):
            return
    raise UsageError("another build keeps replacing this site", where=str(out))


def _replaced(folder: Path, out: Path, old: Path) -> bool:
    """Whether the folder is in place; False if another build put its own there meanwhile."""
    with suppress(FileNotFoundError):
        out.rename(old)
    try:
        folder.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if old.is_dir() and not out.exists():
            old.rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return True
