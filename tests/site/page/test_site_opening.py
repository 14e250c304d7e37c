"""Which rows the timing table opens with; the contents of a page; how it prints, and on phones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import long_run, open_layers, runs, settled, violations

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.pages import layer_rows
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.embed import body_rows
from onnxprof.publish.site.build import build_site
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
browser_test = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)

Until = Callable[[str], None]
CPU = "cpu-fake.fake"
CONV, RELU, GEMM = "/block/conv_0", "/block/relu_1", "/block/gemm_2"
PANEL = "#chosen"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opening") / "sub path"
    long = long_run(90)
    long = dataclasses.replace(long, request=dataclasses.replace(long.request, model_name="long"))
    build_site([*runs(), long], folder)
    return folder


def visit(page: Any, root: str, fragment: str = "", model: str = "alpha") -> None:
    # a fragment alone would be no visit
    page.goto("about:blank")
    page.goto(f"{root}/models/{model}/index.html{fragment}")


def test_the_slowest_steps_come_first_and_fused_rows_not_at_all() -> None:
    (page,) = catalogue([sample_run("alpha", 1)])
    result = page.first.result
    assert result is not None
    rows = layer_rows.opening(result)
    assert [row.name for _, row in rows] == [CONV, GEMM, "reorder_1"]
    assert [place for place, _ in rows] == [1, 3, 4], "places among all rows"
    assert [row.name for row in body_rows(result)][1] == RELU


def test_no_more_rows_than_a_page_opens_with() -> None:
    run = long_run(90)
    rows = layer_rows.opening(reconcile(run))
    assert len(rows) == layer_rows.OPENING == 30
    ranks = [row.rank_ns for _, row in rows]
    assert ranks == sorted(ranks, reverse=True)


def test_a_row_in_doubt_ranks_by_its_p5() -> None:
    run = sample_run("alpha", 1)
    assert run.timings is not None
    step_ns = run.timings.step_ns.copy()[:, :4]
    step_ns[1] = [2, 3, 3_000_000, 4_000_000]
    timings = dataclasses.replace(run.timings, step_ns=step_ns, traced_ns=run.timings.traced_ns[:4])
    result = reconcile(dataclasses.replace(run, timings=timings))
    (gemm,) = [row for row in result.rows if row.name == GEMM]
    assert gemm.doubt
    assert layer_rows.opening(result)[-1][1] is gemm


def test_contents_name_every_section(out: Path) -> None:
    html = (out / "models/alpha/index.html").read_text("utf-8")
    listed = html.partition('id="contents"')[2].partition("</details>")[0]
    for key in ("glance", "timing", "plot", "compare", "aligned", "charts", "information", "runs"):
        assert f'<a href="#{key}">' in listed
    assert 'class="script"><a href="#charts">' in listed


# Which rows


@browser_test
def test_all_rows_file_order_and_fused_rows_stay_in_the_address(page: Any, root: str) -> None:
    visit(page, root)
    names = page.locator("#timing-table tbody th")
    assert names.all_inner_texts() == [CONV, GEMM, "reorder_1"]
    page.click("[data-view='fused=1']")
    page.click("[data-view='order=file']")
    assert names.all_inner_texts() == [CONV, RELU, GEMM, "reorder_1"]
    assert page.url.endswith("&fused=1&order=file")
    page.reload()
    assert names.all_inner_texts() == [CONV, RELU, GEMM, "reorder_1"]
    pressed = page.locator("[data-view][aria-pressed=true]").all_inner_texts()
    assert [text.split(",")[0] for text in pressed] == ["File order", "Fused rows"]
    page.click("[data-view='order=file']")
    page.click("[data-view='fused=1']")
    assert names.all_inner_texts() == [CONV, GEMM, "reorder_1"]


@browser_test
@over_http
def test_thirty_rows_then_all(page: Any, root: str, until: Until) -> None:
    visit(page, root, model="long")
    count = "document.querySelector('#timing-table').tBodies[0].rows.length"
    assert page.evaluate(count) == 30
    page.click(".scroll:has(#timing-table) + .more button:visible")
    until(f"{count} === 90")
    assert "rows=all" in page.url
    page.go_forward()
    page.click("[data-view='rows=all']")
    assert page.evaluate(count) == 30
    page.fill("#find-timing", "conv_8")
    assert page.evaluate(count) == 11, "a search sees every row"


@browser_test
@over_http
def test_filters_are_there_again_after_back(page: Any, root: str, until: Until) -> None:
    visit(page, root)
    open_layers(page)
    page.fill("#find-timing", "relu")
    page.fill("#find-layer", "gemm")
    assert page.locator("#timing-table tbody tr").count() == 1, "fused rows are found, too"
    page.click("header a.home")
    page.wait_for_selector("#models")
    page.go_back()
    page.wait_for_selector("#timing-table")
    settled(page)
    assert page.input_value("#find-timing") == "relu"
    assert page.locator("#timing-table tbody tr").count() == 1
    until("document.querySelector('#layers-table').tBodies[0].rows.length === 1")


# Contents, paper, phones


@browser_test
@over_http
def test_contents_say_where_one_is(page: Any, root: str, until: Until) -> None:
    page.set_viewport_size({"width": 1600, "height": 800})
    visit(page, root, f"#{CPU}/8")
    assert page.is_visible(".contents ol")
    page.click(".contents a:has-text('All runs')")
    until("document.querySelector('.contents [aria-current]')?.textContent !== 'At a glance'")
    assert page.url.endswith(f"#{CPU}/8&at=runs"), "the run stays in the address"
    between = "getComputedStyle(document.querySelector('#contents-here'), '::before').content"
    assert "·" in page.evaluate(between), "the place is apart from the word before it"
    page.set_viewport_size({"width": 390, "height": 800})
    page.evaluate("scrollTo(0, 0)")
    assert not page.is_visible(".contents ol")
    page.locator(".contents summary").press("Enter")
    assert page.is_visible(".contents ol")


@browser_test
@over_http
def test_paper_has_no_empty_sections_and_sums_once(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/8&l=%2Fblock%2Fconv_0")
    page.emulate_media(media="print")
    for part in (PANEL, ".contents", "#plot", "#charts", "#aligned", ".views"):
        assert not page.is_visible(part), part
    display = "getComputedStyle(document.querySelector('#timing-table tfoot')).display"
    assert page.evaluate(display) == "table-row-group"
    page.emulate_media(media="screen")
    page.locator("#aligned-section").scroll_into_view_if_needed()
    page.wait_for_selector("#aligned-table tbody tr")
    page.emulate_media(media="print")
    assert page.is_visible("#aligned")
    page.emulate_media(media="screen")


@browser_test
@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_axe_finds_nothing_beside_an_open_panel(
    inspected: Any, root: str, scheme: str, width: int
) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/models/alpha/index.html#{CPU}/8&l=%2Fblock%2Frelu_1&fused=1")
    inspected.wait_for_selector(f"{PANEL} h3:has-text('Layers after')")
    assert inspected.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(inspected) == []


@browser_test
@over_http
def test_nothing_is_clipped_on_a_phone(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    visit(page, root, f"#{CPU}/8&l=%2Fblock%2Fconv_0")
    for key in ("latency", "slowest"):
        page.locator(f"[data-chart={key}]").scroll_into_view_if_needed()
        page.wait_for_selector(f"[data-chart={key}].drawn")
    clipped = page.evaluate(
        "[...document.querySelectorAll('figcaption, .figure, .facts, .note, #chosen :is(dd, td)')]"
        ".filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)"
        ".map((e) => e.outerHTML.slice(0, 120))"
    )
    assert clipped == []
