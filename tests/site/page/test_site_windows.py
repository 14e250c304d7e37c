"""Long tables in a real Chromium: a page holds the rows that were asked for, and no others."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import (
    called,
    hostile_run,
    long_run,
    open_layers,
    runs,
    scoped_run,
    violations,
    write_page,
)

from onnxprof.publish.site.build import build_site

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser

Until = Callable[[str], None]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
ELEMENTS = "document.querySelectorAll('*').length"
TIMING, LAYERS = "#timing-table", "#layers-table"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows") / "sub path"
    build_site(runs(), folder)
    for layers in (1000, 5000):
        write_page(folder, [called(scoped_run(layers), f"long-{layers}")])
    short = long_run(210)
    twice = dataclasses.replace(
        short,
        table=dataclasses.replace(short.table, batch=2),
        request=dataclasses.replace(short.request, batch=2),
    )
    write_page(folder, [called(run, "two") for run in (short, twice)])
    write_page(folder, [called(hostile_run(), "hostile")])
    return folder


def rows(page: Any, table: str) -> int:
    return int(page.evaluate(f"document.querySelector('{table}').tBodies[0].rows.length"))


def more(page: Any, table: str, words: str) -> Any:
    return page.locator(f".scroll:has({table}) + .more button", has_text=words)


def opened(page: Any, root: str, model: str, until: Until) -> None:
    """A model's page with its layer table open and drawn."""
    page.goto(f"{root}/models/{model}/index.html")
    open_layers(page)
    until("document.querySelector('.scroll:has(#layers-table) + .more') !== null")


@over_http
@pytest.mark.parametrize(("layers", "kilobytes"), [(1000, 400), (5000, 1000)])
def test_a_page_holds_few_elements_before_more_are_asked_for(
    page: Any, root: str, out: Path, asked: list[str], layers: int, kilobytes: int
) -> None:
    assert (out / f"models/long-{layers}/index.html").stat().st_size < kilobytes * 1000
    page.goto(f"{root}/models/long-{layers}/index.html")
    assert page.evaluate(ELEMENTS) < 6_000
    assert page.locator("wbr").count() < 1_500, "those of the rows that are shown"
    assert rows(page, TIMING) == 30
    assert not [url for url in asked if url.endswith(f"long-{layers}/layers.js")]


def test_the_layer_table_comes_when_it_is_opened(page: Any, root: str, until: Until) -> None:
    opened(page, root, "long-5000", until)
    until(f"document.querySelector('{LAYERS}').tBodies[0].rows.length === 200")
    assert page.evaluate(ELEMENTS) < 20_000
    page.fill("#find-layer", "op_4321")
    assert rows(page, LAYERS) == 1
    assert page.inner_text("output[data-count=layers-table]").startswith("1 of 5")
    page.fill("#find-layer", "")
    page.click(f"{LAYERS} thead button:has-text('#')")
    page.click(f"{LAYERS} thead button:has-text('#')")
    assert "op_4999" in page.locator(f"{LAYERS} tbody th").first.inner_text()


@over_http
def test_more_rows_are_one_click_or_key_away(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/long-1000/index.html")
    assert "The 30 slowest of 1,000 rows" in page.inner_text(f".scroll:has({TIMING}) + .more")
    page.click("[data-view='order=file']")
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 200")
    assert "The first 200 of 1,000 rows" in page.inner_text(f".scroll:has({TIMING}) + .more")
    more(page, TIMING, "Show 200 more").focus()
    page.keyboard.press("Enter")
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 400")
    assert page.evaluate("document.activeElement.textContent") == "Show 200 more"
    more(page, TIMING, "Show all 1,000").click()
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 1000")
    places = page.locator(f"{TIMING} tbody td:first-child").all_inner_texts()
    assert places == [str(i + 1) for i in range(1000)]
    assert not page.is_visible(f".scroll:has({TIMING}) + .more")
    assert page.evaluate("document.activeElement.className") == "scroll", "the focus is kept"


@over_http
def test_sorting_and_search_see_the_rows_that_are_not_shown(
    page: Any, root: str, until: Until
) -> None:
    page.goto(f"{root}/models/long-1000/index.html")
    page.click(f"{TIMING} thead button:has-text('#')")
    page.click(f"{TIMING} thead button:has-text('#')")
    assert "op_999" in page.locator(f"{TIMING} tbody th").first.inner_text()
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 200")
    page.fill("#find-timing", "block19/ op_99")
    assert page.locator(f"{TIMING} tbody th").all_inner_texts() == [
        f"net/stage4/block19/op_{i}" for i in range(999, 989, -1)
    ]
    assert page.inner_text("output[data-count=timing-table]") == "10 of 1,000"
    page.fill("#find-timing", "nothing-of-the-kind")
    assert rows(page, TIMING) == 0
    page.fill("#find-timing", "")
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 200")
    assert "order" not in page.url, "a column's order is none of the file"


@over_http
def test_another_run_keeps_the_order_and_how_many_rows_are_shown(
    page: Any, root: str, until: Until
) -> None:
    page.goto(f"{root}/models/two/index.html")
    more(page, TIMING, "Show all 210").click()
    page.click(f"{TIMING} thead button:has-text('#')")
    page.click(f"{TIMING} thead button:has-text('#')")
    page.check("#batches input[value='2']")
    until("document.querySelector('#csv').href.includes('b2')")
    until(f"document.querySelector('{TIMING}').tBodies[0].rows.length === 210")
    assert page.locator(f"{TIMING} tbody td:first-child").first.inner_text() == "210"


@over_http
def test_opened_rows_are_those_that_the_page_came_with(
    page: Any, root: str, plain: Any, until: Until
) -> None:
    plain.goto(f"{root}/models/two/index.html")
    written = plain.evaluate(f"document.querySelector('{LAYERS}').tBodies[0].innerHTML")
    opened(page, root, "two", until)
    made = page.evaluate(
        f"[...document.querySelector('{LAYERS}').tBodies[0].rows].slice(0, 50)"
        ".map((row) => row.outerHTML).join('')"
    )
    assert made == written.replace("\n", "")


@over_http
def test_without_scripts_the_first_rows_and_the_csv_are_there(
    plain: Any, root: str, out: Path
) -> None:
    plain.goto(f"{root}/models/long-1000/index.html")
    assert rows(plain, TIMING) == 30
    assert "The 30 slowest of 1,000 rows" in plain.inner_text("#timing ~ .measured")
    open_layers(plain)
    assert rows(plain, LAYERS) == 50
    link = plain.get_attribute("#information ~ details a[download]", "href")
    text = (out / "models" / "long-1000" / str(link)).read_text("utf-8")
    names = [row["layer_name"] for row in csv.DictReader(io.StringIO(text))]
    assert len(names) > 1000
    assert "net/stage4/block19/op_999" in names


@over_http
def test_names_are_text_in_rows_made_later(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hostile", until)
    assert "</script><img" in page.inner_text(f"{LAYERS} tbody")
    assert page.locator("main img").count() == 0


@over_http
def test_rows_that_cannot_be_loaded_are_said_to_be_missing(
    browser: Any, root: str, out: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/models/two/layers.js", lambda route: route.abort())
    page.goto(f"{root}/models/two/index.html")
    open_layers(page)
    page.wait_for_selector("#layers-said:not(:empty)")
    assert page.inner_text("#layers-said") == "layers.js could not be loaded."
    assert rows(page, LAYERS) == 50
    context.close()


#: Take the rows between the first and the last of a long table out: all kinds of cells are left.
ENDS = """
for (const body of document.querySelectorAll("tbody")) {
  for (const row of [...body.rows].slice(20, -20)) row.remove();
}
"""


@over_http
@pytest.mark.parametrize(
    ("width", "scheme", "whole"),
    [(1280, "light", True), (1280, "dark", False), (390, "light", False), (390, "dark", False)],
)
def test_axe_finds_nothing_in_long_tables(
    inspected: Any, root: str, width: int, scheme: str, whole: bool
) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/models/two/index.html")
    open_layers(inspected)
    inspected.wait_for_selector(f".scroll:has({LAYERS}) + .more")
    assert inspected.evaluate("document.documentElement.scrollWidth") <= width
    if not whole:
        inspected.evaluate(ENDS)
    assert violations(inspected) == []


#: Where a part of the page stands from its top.
PLACE = "document.querySelector('{}').getBoundingClientRect().top + scrollY"


@over_http
@pytest.mark.parametrize("model", ["lenet", "alpha", "long-1000"])
@pytest.mark.parametrize("width", [380, 1200])
def test_nothing_below_a_plot_moves_when_it_is_drawn(
    page: Any, root: str, model: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 500})
    # without the files that other parts of the page ask for when they come near
    page.route("**/aligned/*.js", lambda route: None)
    page.goto(f"{root}/models/{model}/index.html")
    below = PLACE.format("#stage ~ .legend"), PLACE.format("#compare")
    before = [page.evaluate(place) for place in below]
    assert page.locator("#stage.drawn").count() == 0
    page.evaluate("document.getElementById('stage').scrollIntoView()")
    page.wait_for_selector("#stage.drawn .picture [data-i]")
    assert [page.evaluate(place) for place in below] == before
