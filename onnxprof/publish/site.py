"""The one room that writes a site: renders everything beside the old one, then swaps."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from onnxprof import __version__
from onnxprof.contracts import UsageError
from onnxprof.publish import charts, downloads, graphview, pages, pdf, plot, press, side_by_side
from onnxprof.publish.catalogue import Entry, ModelPage, catalogue
from onnxprof.publish.devices_page import DevicePage, device_csv, device_page, device_pages
from onnxprof.publish.index_page import index_page
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


def build_site(
    runs: Iterable[Run], out: Path, title: str = "onnxprof", base_url: str = ""
) -> Built:
    """Build the site of these runs and put it where `out` says.

    The old site stands until the new one is whole. Where the base URL is known, pages name their
    address and a `sitemap.xml` lists them. Raises UsageError if `out` is something that this
    command did not make, and for a base URL that is none.
    """
    out = out.resolve()
    base_url = _checked_url(base_url)
    check_replaceable(out)
    good, problems = _readable(runs)
    models = catalogue(good)
    with _scaffold(out) as folder:
        _write_site(folder, models, title, base_url)
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
            what = f"{run.request.model_name}, batch {run.request.batch}, {run.created}"
            problems.append(f"{what}: {_misfit(run)}")
    return good, problems


def _misfit(run: Run) -> str:
    if run.origin is not None and run.timings is not None and not run.timings.latency_ns.size:
        return "it was imported without un-profiled latencies, so there is nothing to rank it by"
    return "its times do not match its steps"


def _fits(run: Run) -> bool:
    timings = run.timings
    if timings is None:
        return True
    shape = timings.step_ns.shape
    steps_fit = len(shape) == 2 and shape[0] == len(run.steps) and (shape[1] > 0 or not run.steps)
    return bool(steps_fit and timings.latency_ns.size)


def _checked_url(text: str) -> str:
    """The address with a slash at its end, or nothing."""
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "this is no address that a site can have",
            where=text,
            remedy="--base-url takes one such as https://example.org/models/",
        )
    return text if text.endswith("/") else f"{text}/"


def _write_site(folder: Path, models: Sequence[ModelPage], title: str, base_url: str) -> None:
    created = [entry.run.created for model in models for entry in model.entries]
    facts = pages.SiteFacts(title, __version__, max(created, default=""), base_url)
    _write(folder / MARKER, "Built by onnxprof; replaced as a whole by the next build.\n")
    for name in pages.ASSETS:
        _write(folder / "assets" / name, pages.asset(name))
    for model in models:
        _write_model(folder / "models" / model.slug, model, facts)
    _write_pdfs(folder, models)
    if models:
        shutil.copyfile(charts.library(), folder / "assets" / charts.LIBRARY)
    devices = device_pages(models)
    _write_downloads(folder, models, devices, facts)
    _write(folder / "method.html", pages.method_page(facts))
    _write(folder / "index.html", index_page(models, devices, facts))
    if base_url:
        _write(folder / "sitemap.xml", _sitemap(folder, base_url))


def _write_downloads(
    folder: Path, models: Sequence[ModelPage], devices: Sequence[DevicePage], site: pages.SiteFacts
) -> None:
    """The devices' pages and CSVs, the Parquet file, and the page that lists them."""
    sizes = []
    for device in devices:
        table = device_csv(device).encode("utf-8", "backslashreplace")
        sizes.append(len(table))
        _write(folder / "devices" / f"{device.slug}.csv", table)
        _write(folder / "devices" / f"{device.slug}.html", device_page(device, site, len(table)))
    whole = downloads.runs_parquet(models)
    if models:
        _write(folder / downloads.PARQUET, whole)
    listed = list(zip(devices, sizes, strict=True))
    count = sum(len(device.runs) for device in devices)
    _write(folder / "downloads.html", downloads.downloads_page(listed, len(whole), count, site))


def _sitemap(folder: Path, base_url: str) -> str:
    """Every page's address, in the form of sitemaps.org."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in found)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{urls}</urlset>\n'


def _write_model(folder: Path, model: ModelPage, facts: pages.SiteFacts) -> None:
    _write(folder / "index.html", pages.model_page(model, facts))
    for batch, drawing in _plots(model):
        _write(folder / "plot" / f"batch-{batch}.svg", drawing)
    for path, script in (*graphview.scripts(model), *side_by_side.scripts(model)):
        _write(folder / path, script)
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
