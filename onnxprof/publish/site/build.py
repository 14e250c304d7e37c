"""The one room that writes a site: renders everything beside the old one, then swaps."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from onnxprof import __version__
from onnxprof.errors import UsageError
from onnxprof.publish.bounds.page import PATH, bounds_page
from onnxprof.publish.bounds.page import bounds as published_bounds
from onnxprof.publish.disk import process_pool
from onnxprof.publish.disk.cache import code, user_cache
from onnxprof.publish.disk.files import write
from onnxprof.publish.disk.swap import MARKER, check_replaceable, scaffold, swap
from onnxprof.publish.history import feed
from onnxprof.publish.history.changes import from_stored
from onnxprof.publish.history.page import Listed, changes_csv, changes_page, listed
from onnxprof.publish.layerlist import page as layerlist
from onnxprof.publish.layerlist.index import batches
from onnxprof.publish.leaderboard import data
from onnxprof.publish.leaderboard.board import board
from onnxprof.publish.leaderboard.index import index_page
from onnxprof.publish.pages import charts, downloads, render
from onnxprof.publish.pages.catalogue import ModelPage, measured
from onnxprof.publish.pages.device import (
    DEVICES,
    DevicePage,
    Table,
    device_page,
    device_pages,
    devices_page,
    write_tables,
)
from onnxprof.publish.pages.pair import pair_csv, pair_page, pair_pages
from onnxprof.publish.pages.scenarios import NAME as UNDER_LOAD
from onnxprof.publish.pages.scenarios import scenarios_page
from onnxprof.publish.site import bounds, loads, unchanged
from onnxprof.publish.site.cards import from_card
from onnxprof.publish.site.loads import Loads
from onnxprof.publish.site.model_files import Bundle, Order, found, key, made
from onnxprof.publish.site.worklist import Item, Volume, of_runs, of_stores, volumes
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run
from onnxprof.store.beside.ceilings import stored as stored_ceilings
from onnxprof.store.folder import Filters

__all__ = ["Built", "build_from_stores", "build_report", "build_site", "check_replaceable"]

#: From so many runs in two models on, starting workers is cheaper than doing without.
WORTH_WORKERS = 16
#: Below the scaffold while it is built: each model's table.
_ROWS = ".rows"
#: What a run takes besides its steps, in rows of a table.
_ROWS_OF_A_RUN = 50


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made."""

    index: Path
    models: int
    runs: int
    """Of each request the newest; those that failed are among them."""
    files: int
    problems: tuple[str, ...]
    """What could not be shown, one line each."""
    reused: int = 0
    """Models that nothing had to be made for."""
    failed: int = 0
    earlier: int = 0
    """Runs before the newest of their request: they stand in its history."""


def build_site(
    runs: Iterable[Run],
    out: Path,
    title: str = "onnxprof",
    base_url: str = "",
    project_url: str = "",
    licence: str = "",
    ceilings: Sequence[Ceilings] = (),
) -> Built:
    """Build the site of these runs, bound by these ceilings, and put it where `out` says.

    The old site stands until the new one is whole. Where the base URL is known, pages name their
    address, models have a picture, and a `sitemap.xml` lists the pages. `licence` is that of the
    results. Raises UsageError if `out` is something that this command did not make, and for a URL
    that is not a web address.
    """
    facts = _facts(title, base_url, project_url, licence)
    return _build(of_runs(runs), out, facts, ceilings=ceilings)


def build_from_stores(
    stores: Iterable[Path],
    out: Path,
    title: str = "onnxprof",
    base_url: str = "",
    filters: Filters | None = None,
    project_url: str = "",
    licence: str = "",
) -> Built:
    """The same of the runs in these folders, each read only where what it gives is not cached."""
    check_replaceable(out.resolve())
    places = tuple(stores)
    items, problems = of_stores(places, filters)
    under_load = loads.of_stores(places)
    ceilings, unread = stored_ceilings(places)
    told = (*map(str, problems), *under_load.problems, *map(str, unread))
    facts = _facts(title, base_url, project_url, licence)
    return _build(items, out, facts, told, under_load, ceilings)


def build_report(
    items: Sequence[Item],
    out: Path,
    title: str,
    under_load: Loads = loads.NONE,
    ceilings: Sequence[Ceilings] = (),
) -> Built:
    """The site of these runs for one file: without PDFs and the library of charts."""
    facts = replace(_facts(title, "", "", ""), form=render.REPORT)
    return _build(items, out, facts, under_load.problems, under_load, ceilings)


def _build(
    items: Sequence[Item],
    out: Path,
    facts: render.SiteFacts,
    problems: tuple[str, ...] = (),
    under_load: Loads = loads.NONE,
    ceilings: Sequence[Ceilings] = (),
) -> Built:
    out = out.resolve()
    dates = (*(item.created for item in items), *(run.created for run in under_load.runs))
    facts = replace(facts, newest=max(dates, default=""), pages=_pages(items, under_load))
    check_replaceable(out)
    wanted, cache = volumes(items), user_cache()
    held = [bounds.of_volume(volume, ceilings) for volume in wanted]
    keys = [key(volume, facts, bound) for volume, bound in zip(wanted, held, strict=True)]
    whole = unchanged.key(out, keys, code(), *astuple(facts), under_load.digest)
    left = unchanged.still_there(out, cache, whole)
    if left is not None:
        others = left.failed, left.earlier
        counts = left.models, left.runs, left.files
        return Built(out / "index.html", *counts, problems, left.models, *others)
    with scaffold(out) as folder:
        parts = zip(wanted, keys, held, strict=True)
        orders = [_order(folder, each, facts, known, bound) for each, known, bound in parts]
        bundles, reused = _models(orders)
        models = [from_card(bundle.card) for bundle in bundles if bundle.card]
        _write_changes(folder, _changes(models, bundles), facts)
        _write_rest(folder, models, facts, under_load)
        shutil.rmtree(folder / _ROWS, ignore_errors=True)
        count, listing = unchanged.listed(folder)
        swap(folder, out)
    entries = [entry for model in models for entry in model.entries]
    counts = len(models), len(entries), count
    found = tuple(problem for bundle in bundles for problem in bundle.problems)
    earlier = len(items) - len(found) - len(entries)  # a problem is a run that cannot be read
    others = sum(entry.result is None for entry in entries), max(0, earlier)
    if not found and not facts.is_report:
        unchanged.remember(unchanged.Left(*counts, listing, *others), cache, whole)
    cache.prune()
    return Built(out / "index.html", *counts, problems + found, reused, *others)


def _models(orders: Sequence[Order]) -> tuple[list[Bundle], int]:
    """Every model's files; their bundles in order, and how many were in the cache."""
    bundles = {order.volume.slug: bundle for order in orders if (bundle := found(order))}
    reused = len(bundles)
    missing = [order for order in orders if order.volume.slug not in bundles]
    # The largest first: no process is left with one when the others are done.
    missing.sort(key=_weight, reverse=True)
    for order, bundle in zip(missing, _all_made(missing), strict=True):
        bundles[order.volume.slug] = bundle
    return [bundles[order.volume.slug] for order in orders], reused


def _pages(items: Sequence[Item], under_load: Loads) -> str:
    """The pages that not every site has and this one has."""
    is_bounded = any(item.request.is_published for item in items)
    there = ((under_load.runs, UNDER_LOAD), (is_bounded, PATH))
    return " ".join(name for wanted, name in there if wanted)


def _order(
    folder: Path,
    volume: Volume,
    site: render.SiteFacts,
    key: str,
    ceilings: tuple[Ceilings, ...],
) -> Order:
    place, rows = folder / "models" / volume.slug, folder / _ROWS / f"{volume.slug}.parquet"
    return Order(volume, site, place, rows, user_cache(), key, ceilings)


def _all_made(orders: Sequence[Order]) -> Iterator[Bundle]:
    if len(orders) < 2 or sum(len(order.volume.items) for order in orders) < WORTH_WORKERS:
        return map(made, orders)
    return process_pool.spread(made, orders)


def _weight(order: Order) -> int:
    """How long a model takes, in rows: each run has some of its own, however few steps it has."""
    return sum(_ROWS_OF_A_RUN + item.steps for item in order.volume.items)


def _facts(title: str, base_url: str, project_url: str, licence: str) -> render.SiteFacts:
    base = _checked_url(base_url, "--base-url")
    if base and not base.endswith("/"):
        base += "/"
    project = _checked_url(project_url, "--project-url")
    stated = downloads.checked_licence(licence)
    return render.SiteFacts(title, __version__, "", base, project, stated)


def _checked_url(text: str, option: str) -> str:
    """The address, or nothing. Raises UsageError."""
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "this is no address that a site can have",
            where=text,
            remedy=f"{option} takes one such as https://example.org/models/",
        )
    return quote(text, safe=":/?#[]@!$&'()*+,;=%~")


def _write_rest(
    folder: Path, models: Sequence[ModelPage], site: render.SiteFacts, under_load: Loads
) -> None:
    """Whatever is not a model's own."""
    write(folder / MARKER, "Built by onnxprof; replaced as a whole by the next build.\n")
    for name in render.ASSETS:
        write(folder / "assets" / name, render.asset(name))
    if models and not site.is_report:
        shutil.copyfile(charts.library(), folder / "assets" / charts.LIBRARY)
    devices = device_pages(models)
    with ThreadPoolExecutor(1) as aside:  # pyarrow works on another core meanwhile
        joined = aside.submit(_joined, folder, models, site.licence)
        tables = _write_devices(folder, devices, site)
        _write_pages(folder, models, devices, site, under_load)
        write(folder / "downloads.html", downloads.downloads_page(tables, joined.result(), site))
    if site.base_url:
        write(folder / "sitemap.xml", _sitemap(folder, site.base_url))


def _write_pages(
    folder: Path,
    models: Sequence[ModelPage],
    devices: Sequence[DevicePage],
    site: render.SiteFacts,
    under_load: Loads,
) -> None:
    """The first page, and those of pairs, bounds, layers, runs under load and the method."""
    ranked = measured(models)
    whole = board(ranked)
    pairs, left_out = pair_pages(ranked, whole.default.threads)
    for pair in pairs:
        write(folder / "pairs" / f"{pair.slug}.html", pair_page(pair, site))
        write(folder / "pairs" / f"{pair.slug}.csv", pair_csv(pair))
    write(folder / "method.html", render.method_page(site))
    write(folder / DEVICES, devices_page(devices, site))
    published = _write_bounds(folder, models, devices, site)
    count = len(under_load.runs)
    layered = _write_layers(folder, models, site)
    index = index_page(whole, devices, site, pairs, left_out, count, published, layered)
    write(folder / "index.html", index)
    if ranked:
        write(folder / data.NAME, data.script(whole))
    if under_load.runs:
        write(folder / "scenarios.html", scenarios_page(under_load.runs, site))
    if site.base_url:
        write(folder / "sitemap.xml", _sitemap(folder, site.base_url))


def _write_bounds(
    folder: Path, models: Sequence[ModelPage], devices: Sequence[DevicePage], site: render.SiteFacts
) -> tuple[int, int]:
    """The page of published lower bounds, where there are any; their models and devices."""
    found = published_bounds(models, devices)
    if PATH in site.pages:
        write(folder / PATH, bounds_page(found, site))
    return found.models, len(found.devices)


def _write_layers(folder: Path, models: Sequence[ModelPage], site: render.SiteFacts) -> int:
    """The list of all models' layers, with its index where there are any; how many rows it has."""
    paths = [folder / _ROWS / f"{model.slug}.json" for model in models]
    found = batches(path.read_bytes() for path in paths if path.is_file())
    for batch in found:
        write(folder / layerlist.script(batch.batch), batch.text)
    write(folder / layerlist.PATH, layerlist.layers_page(found, site))
    if found:
        for name in layerlist.ASSETS:
            write(folder / "assets" / name, render.asset(name))
    return sum(batch.rows for batch in found)


def _changes(models: Sequence[ModelPage], bundles: Sequence[Bundle]) -> list[Listed]:
    """What changed in every model, judged together."""
    kept = (bundle.changes for bundle in bundles if bundle.card)
    named = (model.slug for model in models)
    return listed(models, dict(zip(named, map(from_stored, kept), strict=True)))


def _write_changes(folder: Path, rows: Sequence[Listed], site: render.SiteFacts) -> None:
    """The page of changes, its table, and the feed where the site's address is known."""
    write(folder / "changes.html", changes_page(rows, site))
    write(folder / "changes.csv", changes_csv(rows))
    if site.base_url:
        write(folder / feed.NAME, feed.feed(rows, site))


def _write_devices(
    folder: Path, devices: Sequence[DevicePage], site: render.SiteFacts
) -> list[tuple[DevicePage, tuple[Table, ...]]]:
    """The devices' pages and CSVs; the devices with their tables."""
    made = []
    for device in devices:
        tables = write_tables(device, folder)
        made.append((device, tables))
        page = device_page(device, site, tables)
        write(folder / "devices" / f"{device.slug}.html", page)
    return made


def _joined(folder: Path, models: Sequence[ModelPage], licence: str) -> tuple[int, int]:
    """Write the Parquet file of all models' rows; its bytes and rows, 0 where there is none."""
    if not models:
        return 0, 0
    whole = folder / downloads.PARQUET
    parts = [folder / _ROWS / f"{model.slug}.parquet" for model in models]
    rows = downloads.join_parquet([part for part in parts if part.is_file()], whole, licence)
    return whole.stat().st_size, rows


def _sitemap(folder: Path, base_url: str) -> str:
    """Every page's address, in the form of sitemaps.org."""
    listed = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in listed)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{urls}</urlset>\n'
