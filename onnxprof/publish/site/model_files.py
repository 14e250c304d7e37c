"""Everything that a site holds of one model: made from its runs, or taken from the cache."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnxprof.errors import StoreError
from onnxprof.model.collector import unhurried
from onnxprof.publish.disk.cache import Cache, code, digest
from onnxprof.publish.drawing import plot
from onnxprof.publish.history.changes import stored as stored_changes
from onnxprof.publish.history.model_part import Past, past
from onnxprof.publish.pages import downloads, graph_view, layer_rows, render, side_by_side
from onnxprof.publish.pages.catalogue import Entry, ModelPage, model_page
from onnxprof.publish.pdf import plot as plot_pdf
from onnxprof.publish.pdf import timings as pdf
from onnxprof.publish.pdf.typesetter import Manuscript, pressed
from onnxprof.publish.selection import facts
from onnxprof.publish.site.cards import card, light
from onnxprof.publish.site.worklist import Volume
from onnxprof.publish.tables.timings import RowsOf, TimingRow, timing_csv, timing_rows
from onnxprof.records.run import Run

#: Members of a stored bundle that are no files of the site.
_CARD, _ROWS, _PDFS, _CHANGES = ":card", ":rows", ":pdfs", ":changes"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model's files below its folder, and what pages about all models need of it."""

    card: bytes
    """The model's page without its layers; empty if no run of it can be shown."""
    rows: bytes = b""
    """The table of all its good runs as Parquet; empty if there is none."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What could not be shown, one line each."""
    changes: bytes = b"[]"
    """The newest run of each request against the one before, as JSON."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a worker: one model's bundle, with its files written."""

    volume: Volume
    site: render.SiteFacts
    folder: Path
    """Where the model's files go."""
    rows: Path
    """Where its table goes, if it has one."""
    cache: Cache
    key: str
    """What the cache knows the bundle by; empty if a run is in memory."""


def key(volume: Volume, site: render.SiteFacts) -> str:
    """Digest of everything that a model's bundle depends on; empty if a run is in memory."""
    if not volume.digests:
        return ""
    named = (volume.slug, *sorted(volume.shared), site.title, site.version, site.base_url)
    return digest("bundle", code(), *named, *volume.digests)


def found(order: Order) -> Bundle | None:
    """The bundle from the cache, its files written; None if a part of it is not there."""
    stored = order.cache.get(order.key) if order.key else None
    if stored is None:
        return None
    bundle, keys = _unpacked(stored)
    documents = {name: order.cache.get(key) for name, key in keys.items()}
    whole = {name: content for name, content in documents.items() if content is not None}
    if len(whole) < len(keys):
        return None
    return _written(order, replace(bundle, files={**bundle.files, **whole}))


@unhurried()
def made(order: Order) -> Bundle:
    """The bundle from the model's runs, its files written."""
    runs, problems = _readable(order.volume)
    if not runs:
        return Bundle(b"", problems=tuple(problems))
    page = model_page(order.volume.slug, runs, order.volume.shared)
    site = replace(order.site, newest=max(run.created for run in runs))
    plots, rows_of = dict(_plots(page)), _rows_of(page)
    earlier, scripts = past(page)
    files = dict(_files(page, plots, site, rows_of, earlier))
    files |= {name: encoded(text) for name, text in scripts}
    documents = dict(_documents(page, plots))
    rows = downloads.rows_parquet(page, rows_of)
    changed = stored_changes(earlier.changes)
    bundle = Bundle(card(light(page)), rows, files, tuple(problems), changed)
    if order.key and not problems:
        keys = {name: manuscript.digest() for name, manuscript in documents.items()}
        order.cache.put(order.key, _packed(bundle, keys))
    whole = {name: pressed(manuscript, order.cache) for name, manuscript in documents.items()}
    return _written(order, replace(bundle, files={**files, **whole}))


def write(path: Path, content: str | bytes) -> None:
    """Write a file of the site, its folder too; text that is no Unicode as escapes."""
    try:
        path.write_bytes(encoded(content))
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(content))


def encoded(content: str | bytes) -> bytes:
    """UTF-8, with lone surrogates as escapes."""
    if isinstance(content, bytes):
        return content
    return content.encode("utf-8", "backslashreplace")


def _written(order: Order, bundle: Bundle) -> Bundle:
    for name, content in bundle.files.items():
        write(order.folder / name, content)
    if bundle.rows:
        write(order.rows, bundle.rows)
    return replace(bundle, files={}, rows=b"")


def _readable(volume: Volume) -> tuple[list[Run], list[str]]:
    """Runs whose parts fit together; a damaged one costs itself, not the site."""
    good, problems = [], []
    for item in volume.items:
        try:
            run = item.read()
        except StoreError as error:
            problems.append(str(error))
            continue
        if wrong := misfit(run):
            what = f"{run.request.model_name}, batch {run.request.batch}, {run.created}"
            problems.append(f"{what}: {wrong}")
        else:
            good.append(run)
    return good, problems


def misfit(run: Run) -> str:
    """Why a run with times cannot be shown; empty if it can."""
    timings = run.timings
    if timings is None:
        return ""
    if run.origin is not None and not timings.latency_ns.size:
        return "it was imported without un-profiled latencies, so there is nothing to rank it by"
    shape = timings.step_ns.shape
    steps_fit = len(shape) == 2 and shape[0] == len(run.steps) and (shape[1] > 0 or not run.steps)
    return "" if steps_fit and timings.latency_ns.size else "its times do not match its steps"


def _rows_of(page: ModelPage) -> RowsOf:
    """The rows of a run of the page, counted once for all its tables."""
    known: dict[int, list[TimingRow]] = {}

    def rows_of(run: Run) -> list[TimingRow]:
        if id(run) not in known:
            known[id(run)] = timing_rows(run, page.reconciled(run))
        return known[id(run)]

    return rows_of


def _files(
    page: ModelPage,
    plots: Mapping[int, str],
    site: render.SiteFacts,
    rows_of: RowsOf,
    earlier: Past,
) -> Iterator[tuple[str, bytes]]:
    """The page, the plots and the tables."""
    drawings = graph_view.graphs(page)
    rooms = graph_view.rooms(drawings)
    html = render.model_page(page, site, rooms, {"history": earlier.data}, history=earlier)
    yield "index.html", encoded(html)
    for batch, drawing in plots.items():
        yield f"plot/batch-{batch}.svg", encoded(drawing)
    for path, text in (
        *graph_view.scripts(drawings),
        *side_by_side.scripts(page),
        *layer_rows.files(page),
        *facts.script(page, rows_of),
    ):
        yield path, encoded(text)
    for entry in page.entries:
        if entry.result:
            yield f"runs/{entry.stem}.csv", encoded(timing_csv([entry.run], rows_of=rows_of))


def _documents(page: ModelPage, plots: Mapping[int, str]) -> Iterator[tuple[str, Manuscript]]:
    """The PDFs of the runs and of the plots."""
    for entry in page.entries:
        if entry.result:
            yield f"runs/{entry.stem}.pdf", pdf.manuscript(entry.run, entry.result)
    for batch, drawing in plots.items():
        yield f"plot/batch-{batch}.pdf", plot_pdf.manuscript(drawing, page.facts.name, batch)


def _plots(page: ModelPage) -> Iterator[tuple[int, str]]:
    """One drawing a batch size; tables with the same topology share their layout."""
    plans: dict[tuple[object, ...], plot.Plan] = {}
    shown: dict[int, Entry] = {}
    for entry in sorted(page.entries, key=lambda e: (e.result is not None, e.run.created)):
        shown[entry.batch] = entry
    for batch, entry in sorted(shown.items()):
        table = entry.run.table
        key = plot.topology(table)
        if key not in plans:
            plans[key] = plot.plan(table)
        yield batch, plot.draw(plans[key], table, page.facts.name)


def _packed(bundle: Bundle, keys: Mapping[str, str]) -> bytes:
    """The bundle and the keys of its documents, as one entry of the cache."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        extra = {_CARD: bundle.card, _ROWS: bundle.rows, _PDFS: json.dumps(keys).encode()}
        extra[_CHANGES] = bundle.changes
        for name, content in {**extra, **bundle.files}.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return sink.getvalue()


def _unpacked(stored: bytes) -> tuple[Bundle, dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    keys = json.loads(parts.pop(_PDFS))
    card, rows, changes = (parts.pop(name) for name in (_CARD, _ROWS, _CHANGES))
    return Bundle(card, rows, parts, changes=changes), keys
