"""The way to every kind of page: the same on all of them, and no link leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.published.dlperf_clone import published
from support.runs.scenarios import scenario_run
from support.sites import failed_run, runs

from onnxprof.publish.site.build import build_from_stores, build_site
from onnxprof.records.run import Run
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.store.beside.scenarios import save
from onnxprof.store.folder import Store

pytest_plugins = ["support.browsing"]

ALWAYS = ["Layers", "Devices", "Changes", "Downloads", "Method"]
EVERY = ["Layers", "Devices", "Changes", "Under load", "Published bounds", "Downloads", "Method"]
#: A page of each kind, by its path.
KINDS = (
    *("index.html", "layers.html", "changes.html", "scenarios.html", "bounds.html"),
    *("downloads.html", "method.html", "devices/cpu-fake.html", "models/alpha/index.html"),
    "models/mnist/index.html",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ways")
    store = Store(folder / "runs")
    for run in (*runs(), *published(folder / "dlperf")):
        store.save(run)
    save(folder / "runs", scenario_run(Scenario.SERVER, "alpha"))
    build_from_stores([folder / "runs"], folder / "sub path", title="A site of many models")
    return folder / "sub path"


def entries(page: Path) -> list[tuple[str, str]]:
    """Address and name of each entry of a page's navigation, but the first page's."""
    text = page.read_text("utf-8")
    [navigation] = re.findall(r'<nav aria-label="Site">.*?</nav>', text, re.DOTALL)
    found: list[tuple[str, str]] = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', navigation)
    return found


def pages(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.html"))


def test_every_page_names_every_kind_of_page(out: Path) -> None:
    assert all((out / path).is_file() for path in KINDS)
    for page in pages(out):
        assert [name for _, name in entries(page)] == EVERY, page


def test_what_a_site_does_not_have_is_not_named(tmp_path: Path) -> None:
    build_site(runs(), tmp_path / "out")
    for page in pages(tmp_path / "out"):
        assert [name for _, name in entries(page)] == ALWAYS, page


@pytest.mark.parametrize("given", [[], [failed_run()]], ids=["nothing", "a failed run"])
def test_no_entry_leads_nowhere(tmp_path: Path, out: Path, given: list[Run]) -> None:
    build_site(given, tmp_path / "out")
    for folder in (tmp_path / "out", out):
        for page in pages(folder):
            for address, _ in entries(page):
                assert (page.parent / address.partition("#")[0]).is_file(), (page, address)


def test_the_page_that_is_shown_is_marked(out: Path) -> None:
    for page in pages(out):
        text = page.read_text("utf-8")
        marked = re.findall(r'<a (?:class="home" )?href="([^"]*)" aria-current="page">', text)
        top = page.parent == out
        assert marked == ([page.name] if top else []), page


def test_the_first_page_of_bounds_alone_says_so_and_lists_the_devices(tmp_path: Path) -> None:
    build_site(published(tmp_path / "dlperf"), tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "published lower bounds alone, and no latency" in text
    assert 'href="devices/cuda-0-tesla-k80.html"' in text
    assert "Published bounds" in [name for _, name in entries(tmp_path / "out" / "index.html")]


def test_a_first_run_under_load_puts_its_page_onto_every_page(tmp_path: Path) -> None:
    """A model's page comes from the cache, and is made anew when the navigation changes."""
    store, folder = tmp_path / "runs", tmp_path / "out"
    Store(store).save(runs()[1])
    build_from_stores([store], folder)
    assert "Under load" not in (folder / "models/alpha/index.html").read_text("utf-8")
    save(store, scenario_run(Scenario.SERVER, "alpha"))
    build_from_stores([store], folder)
    assert "Under load" in (folder / "models/alpha/index.html").read_text("utf-8")


# In a browser.


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_whole_navigation_is_in_view(page: Any, root: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in KINDS:
        page.goto(f"{root}/{path}")
        links = page.locator("nav[aria-label=Site] a")
        assert links.count() == 1 + len(EVERY)
        for i in range(links.count()):
            box = links.nth(i).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.locator("nav[aria-label=Site]").bounding_box()["height"] <= 90


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
def test_from_a_models_page_to_the_devices_of_the_site(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    page.click("nav[aria-label=Site] >> text=Devices")
    page.wait_for_url("**/devices.html")
    assert page.locator("nav[aria-label=Site] [aria-current]").inner_text() == "Devices"
    assert page.locator("#devices tbody a").count() == 4
    page.locator("#devices tbody a").first.click()
    page.wait_for_url("**/devices/*.html")
    heads = page.locator("main h2").all_inner_texts()
    assert heads[:2] == ["The device", "Models"], "the hardware before the long table"
