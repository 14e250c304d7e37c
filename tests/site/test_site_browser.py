"""What a visitor does, in a real Chromium, over http and from disk; no request leaves."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import long_run, open_layers, runs, settled

from onnxprof.publish.site import build
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "sub path"
    big = long_run(1000)
    big = dataclasses.replace(big, request=dataclasses.replace(big.request, model_name="big"))
    build.build_site([*runs(), big], folder)
    return folder


Until = Callable[[str], None]
#: For what does not depend on where the files come from.
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)


def medians(page: Any) -> list[str]:
    return page.locator("#timing-table tbody td:nth-child(5)").all_inner_texts()


def without_gaps(html: str) -> str:
    """The markup without the white space between its tags."""
    return re.sub(r">\s+<", "><", html.strip())


def names(page: Any) -> list[str]:
    return page.locator("#timing-table tbody th").all_inner_texts()


def test_from_the_index_to_a_run(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.fill("#search", "alph")
    assert page.locator("#models tbody tr:visible").count() == 1
    assert page.locator("output[data-count=models]").inner_text() == "1 of 7"
    page.click("#models tbody tr:visible th a")
    page.wait_for_selector("#timing-table tbody tr")
    assert page.locator("h1").inner_text() == "alpha"
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")


def test_a_batch_is_chosen_shared_and_restored(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    first, sentence = medians(page), page.inner_text("#sentence")
    page.check("#batches input[value='8']")
    page.wait_for_url("**#cpu-fake.fake/8")
    settled(page)
    assert medians(page) != first
    assert page.inner_text("#sentence") != sentence
    assert "b8.csv" in page.get_attribute("#csv", "href")
    assert page.get_attribute("#svg", "href") == "plot/batch-8.svg"
    assert page.inner_text(".facts [data-t]") == "8×3×8×8"
    eighth = medians(page)
    page.reload()
    page.wait_for_selector("#timing-table tbody tr")
    assert medians(page) == eighth
    page.go_back()
    settled(page)
    assert medians(page) == first


@over_http
def test_what_the_script_writes_is_what_the_builder_wrote(page: Any, root: str, plain: Any) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    plain.goto(f"{root}/models/alpha/index.html")
    parts = ("#timing-table", "#slowest", "#sentence", "#warnings")
    written = [without_gaps(plain.inner_html(part)) for part in parts]
    page.check("#batches input[value='2']")
    page.wait_for_url("**/2")
    settled(page)
    page.check("#batches input[value='1']")
    page.wait_for_url("**/1")
    settled(page)
    for part, before in zip(parts, written, strict=True):
        assert without_gaps(page.inner_html(part)) == before


@over_http
def test_another_system_keeps_the_batch(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/8")
    page.select_option("#system", "cuda-0-x.other")
    page.wait_for_url("**#cuda-0-x.other/8")
    settled(page)
    assert page.locator(".line.on").count() == 2
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/2")
    page.select_option("#system", "cuda-0-x.other")
    page.wait_for_url("**#cuda-0-x.other/1")
    settled(page)
    assert page.is_disabled("#batches input[value='2']")


@over_http
def test_a_point_of_a_chart_leads_to_its_run(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    page.locator(".line a[href='#cuda-0-x.other/8']").first.focus()
    page.keyboard.press("Enter")
    # the address changes before the page hears of it
    until("document.querySelector('#system').value === 'cuda-0-x.other'")
    assert page.url.endswith("#cuda-0-x.other/8")


@over_http
def test_a_failed_run_says_why(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/4")
    assert "killed <by> signal 9" in page.inner_text("#failure")
    assert not page.is_visible("#timing-table")
    assert not page.is_visible("#csv")
    page.check("#batches input[value='1']")
    settled(page)
    assert page.is_visible("#timing-table")


@over_http
def test_columns_sort_by_mouse_and_keyboard(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/1&order=file&fused=1")
    in_order = names(page)
    assert len(in_order) == 4
    page.click("#timing-table thead button:has-text('Median')")
    heading = page.locator("#timing-table thead th", has_text="Median")
    assert heading.get_attribute("aria-sort") == "descending"
    values = [float(text.replace(",", "")) for text in medians(page) if text]
    assert values == sorted(values, reverse=True)
    assert medians(page)[-1] == "", "rows without a time stay last"
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    page.check("#batches input[value='8']")
    values = [float(text.replace(",", "")) for text in medians(page) if text]
    assert values == sorted(values), "a new batch keeps the order"
    page.click("#timing-table thead button:has-text('#')")
    assert names(page) == in_order


def test_the_csv_that_is_downloaded_is_that_of_the_store(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/8")
    with page.expect_download() as download:
        page.click("#csv")
    made = Path(download.value.path()).read_bytes()
    assert made == timing_csv([sample_run("alpha", 8, seed=8)]).encode()


def test_hostile_names_do_nothing(page: Any, root: str, out: Path) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    page.goto(f"{root}/models/{folder}/index.html")
    open_layers(page)
    assert "<img src=x" in names(page)[0]
    assert page.locator("main img").count() == 0
    page.goto(f"{root}/models/{folder}/plot/batch-1.svg")


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(page: Any, root: str, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme=scheme)
    for path in (
        *("index.html", "method.html", "downloads.html", "devices/cpu-fake.html"),
        *("models/alpha/index.html", "models/gone/index.html"),
    ):
        page.goto(f"{root}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


@over_http
def test_a_thousand_rows_sort(page: Any, root: str) -> None:
    page.goto(f"{root}/models/big/index.html")
    assert page.locator("#timing-table tbody tr").count() == 30, "those of the slowest steps"
    page.click("#timing-table thead button:has-text('Layer')")
    assert page.locator("#timing-table tbody tr").count() >= 80, "more, once something is asked"
    page.fill("#find-timing", "conv_99")
    assert page.locator("#timing-table tbody tr:visible").count() == 11


@over_http
def test_without_scripts_the_first_run_is_there(plain: Any, root: str) -> None:
    plain.goto(f"{root}/models/alpha/index.html")
    assert plain.locator("#timing-table tbody tr").count() == 3, "all but the fused one"
    assert plain.is_visible("noscript")


def test_filters_narrow_rows_and_columns(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.select_option("#task", label="digit recognition, 10 classes")
    assert page.locator("#models tbody tr:visible th").all_inner_texts() == ["lenet"]
    assert page.locator("output[data-count=models]").inner_text() == "1 of 7"
    page.select_option("#task", "")
    page.select_option("#runtime", label="other")
    assert page.locator("#models tbody tr:visible th").all_inner_texts() == ["alpha"]
    assert page.locator("#models thead th.sys:visible").count() == 1
    page.select_option("#device", label="Fake CPU (cpu:fake)")
    assert page.locator("#models tbody tr:visible").count() == 0, "not that runtime on that device"
    page.select_option("#runtime", "")
    assert page.locator("#models thead th.sys:visible").count() == 1
    assert page.locator("#models tbody tr:visible").count() == 6
    page.select_option("#device", "")
    assert page.locator("#models thead th.sys:visible").count() == 3


def test_charts_are_drawn_when_they_come_into_view(
    page: Any, root: str, asked: list[str], until: Until
) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    assert not [url for url in asked if "plotly" in url], "nothing is loaded before it is seen"
    for key in ("latency", "throughput", "operators", "speedup", "slowest", "scaling"):
        chart = page.locator(f"[data-chart={key}]")
        chart.scroll_into_view_if_needed()
        page.wait_for_selector(f"[data-chart={key}].drawn .main-svg")
    assert len([url for url in asked if "plotly" in url]) == 1
    page.set_viewport_size({"width": 900, "height": 300})
    page.locator("[data-chart=latency]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=latency].drawn")
    until("document.querySelectorAll('.chart.drawn').length <= 4")


@over_http
def test_a_chart_follows_the_run_that_is_chosen(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    page.locator("[data-chart=slowest]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=slowest].drawn")
    longest = "document.querySelector('[data-chart=slowest] .canvas').data?.[0].x[0]"
    first = page.evaluate(longest)
    assert first == pytest.approx(page.evaluate(f"{rows_of(0)}"), rel=1e-3)
    page.check("#batches input[value='8']")
    page.locator("[data-chart=slowest]").scroll_into_view_if_needed()
    until(f"({longest} ?? {first}) !== {first}")
    assert "batch 8" in page.inner_text("[data-chart=slowest] .which")


def rows_of(run: int) -> str:
    """The longest row of a run in milliseconds, from the page's data."""
    embedded = "JSON.parse(document.getElementById('data').textContent)"
    return f"Math.max(...{embedded}.runs[{run}].m.slice(0, -2)) / 1e6"


@over_http
def test_the_speed_up_is_that_of_the_medians(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    page.locator("[data-chart=speedup]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=speedup].drawn")
    runs = page.evaluate("JSON.parse(document.getElementById('data').textContent).runs")
    totals = {(run["sys"], run["batch"]): run.get("total") for run in runs}
    fast, late = (int(page.input_value(f"#{end}")) for end in ("faster", "slower"))
    bars = "Array.from(document.querySelector('[data-chart=speedup] .canvas').data[0].y)"
    wanted = [(totals[late, b] / totals[fast, b] - 1) * 100 for b in (1, 8)]
    assert min(wanted) > 0, "the faster one comes first"
    assert page.evaluate(bars) == pytest.approx(wanted, rel=1e-3)
    page.select_option("#slower", str(fast))
    page.select_option("#faster", str(late))
    until(f"{bars}[0] < 0")


@over_http
def test_names_are_text_in_charts_too(page: Any, root: str, out: Path) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    page.goto(f"{root}/models/{folder}/index.html")
    page.locator("[data-chart=slowest]").scroll_into_view_if_needed()
    page.wait_for_selector(
        "[data-chart=slowest].drawn :is(.yaxislayer-above, .yaxislayer-below) text"
    )
    assert page.locator("[data-chart=slowest] img").count() == 0
    label = page.locator("[data-chart=slowest] .ytick text").first.text_content()
    assert label.startswith("</"), "cut, not read as markup"


@over_http
def test_wrong_outputs_are_struck_by_the_script_too(page: Any, root: str) -> None:
    page.goto(f"{root}/models/liar/index.html")
    assert page.locator("#sentence s").count() == 1
    assert "count for nothing" in page.inner_text("#wrong")


def test_the_downloads_are_those_of_the_store(page: Any, root: str) -> None:
    page.goto(f"{root}/downloads.html")
    with page.expect_download() as download:
        page.click("text=cuda-0-x.csv")
    made = Path(download.value.path()).read_bytes()
    pair = [sample_run("alpha", b, "cuda:0:x", "other", scale=0.5, fused=False) for b in (1, 8)]
    assert made == timing_csv(pair).encode()
    with page.expect_download() as download:
        page.click("text=runs.parquet >> nth=0")
    assert Path(download.value.path()).read_bytes()[:4] == b"PAR1"
