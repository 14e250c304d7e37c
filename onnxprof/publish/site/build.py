"""The one room that writes a site: renders everything beside the old one, then swaps."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from onnxprof import __version__
from onnxprof.errors import UsageError
from onnxprof.publish.disk import process_pool
from onnxprof.publish.disk.cache import code, user_cache
from onnxprof.publish.disk.swap import MARKER, check_replaceable, scaffold, swap
from onnxprof.publish.leaderboard import data
from onnxprof.publish.leaderboard.board import board
from onnxprof.publish.leaderboard.index import index_page
from onnxprof.publish.pages import charts, downloads, render
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.device import DevicePage, device_page, device_pages, write_tables
from onnxprof.publish.pages.pair import pair_csv, pair_page, pair_pages
from onnxprof.publish.pages.scenarios import scenarios_page
from onnxprof.publish.site import loads, unchanged
from onnxprof.publish.site.cards import from_card
from onnxprof.publish.site.loads import Loads
from onnxprof.publish.site.model_files import Bundle, Order, found, key, made, write
from onnxprof.publish.site.worklist import Item, Volume, of_runs, of_stores, volumes
from onnxprof.records.run import Run
from onnxprof.store.folder import Filters

__all__ = ["Built", "build_from_stores", "build_site", "check_replaceable"]

#: From so many runs in two models on, starting workers is cheaper than doing without.
WORTH_WORKERS = 16
#: Below the scaffold while it is built: each model's table.
_ROWS = ".rows"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made."""

    index: Path
    models: int
    runs: int
    files: int
    problems: tuple[str, ...]
    """What could not be shown, one line each."""
    reused: int = 0
    """Models that nothing had to be made for."""


def build_site(
    runs: Iterable[Run], out: Path, title: str = "onnxprof", base_url: str = ""
) -> Built:
    """Build the site of these runs and put it where `out` says.

    The old site stands until the new one is whole. Where the base URL is known, pages name their
    address and a `sitemap.xml` lists them. Raises UsageError if `out` is something that this
    command did not make, and for a base URL that is not a web address.
    """
    return _build(of_runs(runs), out, title, base_url)


def build_from_stores(
    stores: Iterable[Path],
    out: Path,
    title: str = "onnxprof",
    base_url: str = "",
    filters: Filters | None = None,
) -> Built:
    """The same of the runs in these folders, each read only where what it gives is not cached."""
    check_replaceable(out.resolve())
    places = tuple(stores)
    items, problems = of_stores(places, filters)
    under_load = loads.of_stores(places)
    told = (*map(str, problems), *under_load.problems)
    return _build(items, out, title, base_url, told, under_load)


def _build(
    items: Sequence[Item],
    out: Path,
    title: str,
    base_url: str,
    problems: tuple[str, ...] = (),
    under_load: Loads = loads.NONE,
) -> Built:
    out = out.resolve()
    dates = (*(item.created for item in items), *(run.created for run in under_load.runs))
    newest = max(dates, default="")
    facts = render.SiteFacts(title, __version__, newest, _checked_url(base_url))
    check_replaceable(out)
    wanted, cache = volumes(items), user_cache()
    keys = [key(volume, facts) for volume in wanted]
    whole = unchanged.key(out, keys, code(), *astuple(facts), under_load.digest)
    left = unchanged.still_there(out, cache, whole)
    if left is not None:
        return Built(out / "index.html", left.models, left.runs, left.files, problems, left.models)
    with scaffold(out) as folder:
        orders = [_order(folder, each, facts, k) for each, k in zip(wanted, keys, strict=True)]
        bundles, reused = _models(orders)
        models = [from_card(bundle.card) for bundle in bundles if bundle.card]
        _write_rest(folder, models, facts, under_load)
        shutil.rmtree(folder / _ROWS, ignore_errors=True)
        count, listing = unchanged.listed(folder)
        swap(folder, out)
    entries = sum(len(model.entries) for model in models)
    found = tuple(problem for bundle in bundles for problem in bundle.problems)
    if not found:
        unchanged.remember(unchanged.Left(len(models), entries, count, listing), cache, whole)
    cache.prune()
    return Built(out / "index.html", len(models), entries, count, problems + found, reused)


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


def _order(folder: Path, volume: Volume, site: render.SiteFacts, key: str) -> Order:
    place, rows = folder / "models" / volume.slug, folder / _ROWS / f"{volume.slug}.parquet"
    return Order(volume, site, place, rows, user_cache(), key)


def _all_made(orders: Sequence[Order]) -> Iterator[Bundle]:
    if len(orders) < 2 or sum(map(_weight, orders)) < WORTH_WORKERS:
        return map(made, orders)
    return process_pool.spread(made, orders, _weight)


def _weight(order: Order) -> int:
    return len(order.volume.items)


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
    safe = quote(text, safe=":/?#[]@!$&'()*+,;=%~")
    return safe if safe.endswith("/") else f"{safe}/"


def _write_rest(
    folder: Path, models: Sequence[ModelPage], site: render.SiteFacts, under_load: Loads
) -> None:
    """Whatever is not a model's own."""
    write(folder / MARKER, "Built by onnxprof; replaced as a whole by the next build.\n")
    for name in render.ASSETS:
        write(folder / "assets" / name, render.asset(name))
    if models:
        shutil.copyfile(charts.library(), folder / "assets" / charts.LIBRARY)
    devices = device_pages(models)
    _write_downloads(folder, models, devices, site)
    whole = board(models)
    pairs, left_out = pair_pages(models, whole.default.threads)
    for pair in pairs:
        write(folder / "pairs" / f"{pair.slug}.html", pair_page(pair, site))
        write(folder / "pairs" / f"{pair.slug}.csv", pair_csv(pair))
    write(folder / "method.html", render.method_page(site))
    count = len(under_load.runs)
    write(folder / "index.html", index_page(models, devices, site, pairs, left_out, count))
    if models:
        write(folder / data.NAME, data.script(whole))
    if under_load.runs:
        write(folder / "scenarios.html", scenarios_page(under_load.runs, site))
    if site.base_url:
        write(folder / "sitemap.xml", _sitemap(folder, site.base_url))


def _write_downloads(
    folder: Path, models: Sequence[ModelPage], devices: Sequence[DevicePage], site: render.SiteFacts
) -> None:
    """The devices' pages and CSVs, the Parquet file, and the page that lists them."""
    listed = []
    for device in devices:
        tables = write_tables(device, folder)
        listed.append((device, tables))
        page = device_page(device, site, tables)
        write(folder / "devices" / f"{device.slug}.html", page)
    whole = folder / downloads.PARQUET
    parts = [folder / _ROWS / f"{model.slug}.parquet" for model in models]
    if models:
        downloads.join_parquet([part for part in parts if part.is_file()], whole)
    size = whole.stat().st_size if models else 0
    write(folder / "downloads.html", downloads.downloads_page(listed, size, site))


def _sitemap(folder: Path, base_url: str) -> str:
    """Every page's address, in the form of sitemaps.org."""
    listed = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in listed)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{urls}</urlset>\n'
