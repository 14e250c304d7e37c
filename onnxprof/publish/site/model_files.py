"""Everything that a site holds of one model: made from its runs, or taken from the cache."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from onnxprof.analysis.once import remembering
from onnxprof.errors import StoreError
from onnxprof.model.collector import unhurried
from onnxprof.plugins.source_places import cleaned_run
from onnxprof.publish.disk.cache import Cache, code, digest
from onnxprof.publish.disk.files import encoded, write
from onnxprof.publish.drawing import plot
from onnxprof.publish.history.changes import stored as stored_changes
from onnxprof.publish.history.model_part import Past, past
from onnxprof.publish.layerlist.part import part
from onnxprof.publish.pages import downloads, graph_view, layer_rows, render, side_by_side
from onnxprof.publish.pages.catalogue import Entry, ModelPage, model_page
from onnxprof.publish.pdf import plot as plot_pdf
from onnxprof.publish.pdf import timings as pdf
from onnxprof.publish.pdf.typesetter import Manuscript, pressed
from onnxprof.publish.phases.pages import sections as phase_sections
from onnxprof.publish.roofline import section
from onnxprof.publish.roofline.known import Reasons
from onnxprof.publish.scaling.pages import sections as size_sections
from onnxprof.publish.selection import facts
from onnxprof.publish.site.cards import card, light
from onnxprof.publish.site.worklist import Item, Volume
from onnxprof.publish.social import picture
from onnxprof.publish.tables.timings import RowsOf, TimingRow, timing_csv, timing_rows
from onnxprof.publish.text.csv import spreadsheet_variant
from onnxprof.reasons.stored import Shelf
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run

#: Members of a stored bundle that are no files of the site.
_CARD, _ROWS, _LAYERS, _PDFS, _CHANGES = ":card", ":rows", ":layers", ":pdfs", ":changes"
_EPOCH = (1980, 1, 1, 0, 0, 0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model's files below its folder, and what pages about all models need of it."""

    card: bytes
    """The model's page without its layers; empty if no run of it can be shown."""
    rows: bytes = b""
    """The table of all its good runs as Parquet; empty if there is none."""
    layers: bytes = b""
    """What the list of all models' layers has of it."""
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
    """Where its table goes, if it has one; its layers go beside that, as JSON."""
    cache: Cache
    key: str
    """What the cache knows the bundle by; empty if a run is in memory."""
    ceilings: tuple[Ceilings, ...] = ()
    """Those that may bound its runs, oldest first."""


def key(volume: Volume, site: render.SiteFacts, ceilings: Sequence[Ceilings] = ()) -> str:
    """Digest of everything that a model's bundle depends on; empty if a run is in memory."""
    if not volume.digests:
        return ""
    named = (volume.slug, *sorted(volume.shared), site.title, site.version)
    places = (site.base_url, site.project_url, site.pages, site.form)
    return digest("bundle", code(), *named, *places, *volume.digests, *map(repr, ceilings))


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
@remembering()
def made(order: Order) -> Bundle:
    """The bundle from the model's runs, its files written."""
    readable, problems = _readable(order.volume)
    if not readable:
        return Bundle(b"", problems=tuple(problems))
    runs = _sharing(readable)
    plain = model_page(order.volume.slug, runs, order.volume.shared)
    reasons = Reasons(plain, Shelf.holding(order.ceilings))
    page = reasons.informed()
    site = replace(order.site, newest=max(run.created for run in runs))
    plots, rows_of = dict(_plots(page)), _rows_of(page, reasons)
    earlier, scripts = past(page, partial(section.told, reasons))
    files = dict(_files(page, plots, site, rows_of, reasons, earlier))
    files |= {name: encoded(text) for name, text in scripts}
    documents = {} if site.is_report else dict(_documents(page, plots, site))
    rows = downloads.rows_parquet(page, rows_of)
    changed = stored_changes(earlier.changes)
    bundle = Bundle(card(light(page)), rows, part(page), files, tuple(problems), changed)
    if order.key and not problems:
        keys = {name: manuscript.digest() for name, manuscript in documents.items()}
        order.cache.put(order.key, _packed(bundle, keys))
    whole = {name: pressed(manuscript, order.cache) for name, manuscript in documents.items()}
    return _written(order, replace(bundle, files={**files, **whole}))


@remembering()
def undrawn(page: ModelPage, site: render.SiteFacts) -> dict[str, bytes]:
    """A model's page with all that its scripts ask for, without drawings and documents."""
    reasons = Reasons(page, Shelf.holding(()))
    informed = reasons.informed()
    earlier, scripts = past(informed, partial(section.told, reasons))
    rows_of = _rows_of(informed, reasons)
    files = dict(_files(informed, {}, site, rows_of, reasons, earlier))
    return files | {name: encoded(text) for name, text in scripts}


def _written(order: Order, bundle: Bundle) -> Bundle:
    for name, content in bundle.files.items():
        write(order.folder / name, content)
    if bundle.rows:
        write(order.rows, bundle.rows)
        write(order.rows.with_suffix(".json"), bundle.layers)
    return replace(bundle, files={}, rows=b"", layers=b"")


def _readable(volume: Volume) -> tuple[list[Run], list[str]]:
    """Runs whose parts fit together; a damaged one costs itself, not the site."""
    good, problems = [], []
    for run in _read(volume.items):
        if isinstance(run, StoreError):
            problems.append(str(run))
        elif wrong := misfit(run):
            what = f"{run.request.model_name}, batch {run.request.batch}, {run.created}"
            problems.append(f"{what}: {wrong}")
        else:
            good.append(run)
    return good, problems


def _read(items: Sequence[Item]) -> list[Run | StoreError]:
    """The runs, or why one cannot be read, in the order of the items.

    They are read in the order of their files: an archive unpacks a group of them at a time.
    """
    found: dict[int, Run | StoreError] = {}
    for number in sorted(range(len(items)), key=lambda i: items[i].place):
        try:
            found[number] = cleaned_run(items[number].read())
        except StoreError as error:
            found[number] = error
    return [found[number] for number in range(len(items))]


def _sharing(runs: Sequence[Run]) -> list[Run]:
    """The runs, those of equal layers with one table and those of equal steps with one of them.

    What is derived from either is then derived once (`analysis.once`).
    """
    known: dict[tuple[object, ...], list[Any]] = {}
    shared = []
    for run in runs:
        asked, size = run.request, len(run.table)
        table = _one_of(known.setdefault((asked.batch, size), []), run.table)
        system = asked.batch, size, asked.backend, asked.provider, len(run.steps)
        steps = _one_of(known.setdefault(system, []), run.steps)
        folded = _one_of(known.setdefault((*system, "folded"), []), run.folded)
        shared.append(replace(run, table=table, steps=steps, folded=folded))
    return shared


def _one_of(known: list[T], new: T) -> T:
    """The first of these that is equal to the new one, which joins them if none is."""
    for one in known:
        if one == new:
            return one
    known.append(new)
    return new


def misfit(run: Run) -> str:
    """Why a run with times cannot be shown; empty if it can."""
    timings = run.timings
    if timings is None:
        return ""
    is_bound = run.request.is_published and timings.traced_ns.size > 0
    if run.origin is not None and not timings.latency_ns.size and not is_bound:
        return "it was imported without un-profiled latencies, so there is nothing to rank it by"
    shape = timings.step_ns.shape
    steps_fit = len(shape) == 2 and shape[0] == len(run.steps) and (shape[1] > 0 or not run.steps)
    return (
        ""
        if steps_fit and (timings.latency_ns.size or is_bound)
        else "its times do not match its steps"
    )


def _rows_of(page: ModelPage, reasons: Reasons) -> RowsOf:
    """The rows of a run of the page, counted once for all its tables."""
    known: dict[int, list[TimingRow]] = {}

    def rows_of(run: Run) -> list[TimingRow]:
        if id(run) not in known:
            held = reasons.roofs(run)
            known[id(run)] = timing_rows(run, page.reconciled(run), held.ceilings, held)
        return known[id(run)]

    return rows_of


def _files(
    page: ModelPage,
    plots: Mapping[int, str],
    site: render.SiteFacts,
    rows_of: RowsOf,
    reasons: Reasons,
    earlier: Past,
) -> Iterator[tuple[str, bytes]]:
    """The page, the plots and the tables."""
    drawings = graph_view.graphs(page)
    rooms = graph_view.rooms(drawings)
    why = section.shown(page, reasons, site)
    tables = {
        f"runs/{entry.stem}.csv": timing_csv([entry.run], rows_of=rows_of)
        for entry in page.entries
        if entry.result
    }
    tables |= dict(layer_rows.tables(page))
    sheets = [name for name, text in tables.items() if spreadsheet_variant(text)]
    data = {"history": earlier.data, "sheets": sheets}
    parts = {"history": earlier, "sheets": sheets}
    runs = [entry.run for entry in page.entries]
    parts |= {"phases": phase_sections(runs), "sizes": size_sections(runs)}
    html = render.model_page(page, site, rooms, why, data, **parts)
    yield "index.html", encoded(html)
    for batch, drawing in plots.items():
        yield f"plot/batch-{batch}.svg", encoded(drawing)
    for path, text in (
        *graph_view.scripts(drawings),
        *side_by_side.scripts(page),
        *layer_rows.scripts(page),
        *facts.script(page, rows_of),
        *section.scripts(page, reasons, site),
        *tables.items(),
    ):
        yield path, encoded(text)


def _documents(
    page: ModelPage, plots: Mapping[int, str], site: render.SiteFacts
) -> Iterator[tuple[str, Manuscript]]:
    """The PDFs of the runs and of the plots; the model's picture where pages name addresses."""
    if site.base_url:
        yield picture.NAME, picture.manuscript(page, site.title)
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
        extra = {_CARD: bundle.card, _ROWS: bundle.rows, _LAYERS: bundle.layers}
        extra |= {_PDFS: json.dumps(keys).encode(), _CHANGES: bundle.changes}
        for name, content in {**extra, **bundle.files}.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return sink.getvalue()


def _unpacked(stored: bytes) -> tuple[Bundle, dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    keys = json.loads(parts.pop(_PDFS))
    names = (_CARD, _ROWS, _LAYERS, _CHANGES)
    card, rows, layers, changes = (parts.pop(name) for name in names)
    return Bundle(card, rows, layers, parts, changes=changes), keys
