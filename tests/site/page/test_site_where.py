"""Where does the time go: the icicle of a model's page, in a real Chromium."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import called, long_run, runs, scoped_run, settled, violations, write_page

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser

Until = Callable[[str], None]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
CPU, GPU = "cpu-fake.fake", "cuda-0-x.other"
LINKS = "#icicle a"


def slower(run: Run, factor: int, first: int, last: int) -> Run:
    """The run with some of its steps taking longer, and the latency with them."""
    assert run.timings is not None
    step_ns = run.timings.step_ns.copy()
    step_ns[first:last] *= factor
    more = int(step_ns.sum(axis=0).mean() * 1.05)
    times = dataclasses.replace(
        run.timings,
        step_ns=step_ns,
        latency_ns=run.timings.latency_ns * 0 + more,
        traced_ns=run.timings.traced_ns * 0 + more,
    )
    return dataclasses.replace(run, timings=times)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("where") / "sub path"
    hot = slower(scoped_run(600), 20, 350, 400)
    spike = called(slower(scoped_run(600), 60, 5, 6), "spike")
    build.build_site(
        [*runs(), spike, called(hot, "hot"), called(slower(long_run(130), 1, 0, 1), "chain")],
        folder,
    )
    write_page(folder, [called(slower(scoped_run(5000), 1, 0, 1), "huge")])
    return folder


def opened(page: Any, root: str, model: str, fragment: str = "") -> None:
    page.goto(f"{root}/models/{model}/index.html{fragment}")
    page.locator("#icicle").scroll_into_view_if_needed()


def rectangle(page: Any, start: str) -> Any:
    """The link whose words begin so."""
    return page.locator(f'{LINKS}[aria-label^="{start}:"]')


def rows(page: Any) -> list[str]:
    names: list[str] = page.locator("#timing-table tbody th").all_inner_texts()
    return names


def test_which_scope_is_slow_and_which_layers_are_in_it(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hot")
    widest = page.evaluate(
        f"[...document.querySelectorAll('{LINKS}')].filter((a) => a.textContent.includes('block'))"
        ".sort((a, b) => parseFloat(b.querySelector('svg').getAttribute('width'))"
        " - parseFloat(a.querySelector('svg').getAttribute('width')))[0].getAttribute('aria-label')"
    )
    assert widest.startswith("net/stage2/block7: ")
    assert widest.endswith("50 steps")
    rectangle(page, "net/stage2/block7").click()
    until("document.querySelector('output[data-count=timing-table]').textContent === '50 of 600'")
    names = rows(page)
    assert len(names) == 50
    assert all(name.startswith("net/stage2/block7/") for name in names)
    assert page.locator("#where-trail li").all_inner_texts() == ["all", "net", "stage2", "block7"]
    assert "The table below shows these rows alone" in page.inner_text("#where-said")
    first = page.locator(f"{LINKS} > svg").first
    assert (first.get_attribute("x"), first.get_attribute("width")) == ("0%", "100%")
    page.click("#where-trail button:has-text('stage2')")
    until("document.querySelector('output[data-count=timing-table]').textContent === '150 of 600'")
    page.click("#where-trail button:has-text('all')")
    until("document.querySelector('#where-trail').hidden")
    until("document.querySelector('output[data-count=timing-table]').textContent === ''")
    assert page.inner_text("#where-said") == ""


@pytest.mark.parametrize("model", ["alpha", "lenet", "hot", "huge", "chain"])
@over_http
def test_the_script_draws_what_the_builder_drew(
    page: Any, root: str, plain: Any, model: str
) -> None:
    plain.goto(f"{root}/models/{model}/index.html")
    written = plain.evaluate("document.querySelector('#icicle').innerHTML")
    listed = plain.evaluate("document.querySelector('#operators').innerHTML")
    opened(page, root, model)
    kept = page.evaluate("document.querySelector('#icicle').dataset.run")
    page.evaluate("document.querySelector('#icicle').dataset.run = 'none'")
    page.evaluate("document.querySelector('#icicle').replaceChildren()")
    page.evaluate("document.dispatchEvent(new Event('onnxprof:shown'))")
    made = page.evaluate("document.querySelector('#icicle').innerHTML")
    operators = page.evaluate("document.querySelector('#operators').innerHTML")
    assert kept == "0/1"

    def bare(markup: str) -> str:
        return re.sub(r' tabindex="-1"| xmlns="[^"]*"', "", markup)

    assert bare(made) == bare(written)
    assert re.sub(r"\n", "", operators) == re.sub(r"\n", "", listed)


@over_http
def test_another_run_has_an_icicle_of_its_own(page: Any, root: str, until: Until) -> None:
    opened(page, root, "alpha")
    assert rectangle(page, "block/conv_0 + relu_1").count() == 1
    page.select_option("#system", GPU)
    until(f"document.querySelectorAll('{LINKS}[data-layer=\"/block/relu_1\"]').length === 1")
    total = reconcile(sample_run("alpha", 1, "cuda:0:x", "other", scale=0.5, fused=False)).total_ns
    texts = page.locator(LINKS).evaluate_all(
        "(all) => all.map((a) => a.getAttribute('aria-label'))"
    )
    assert any(text.startswith("(overhead)") for text in texts)
    top = page.evaluate(
        f"[...document.querySelectorAll('{LINKS} > svg[y=\"0\"]')]"
        ".map((e) => parseFloat(e.getAttribute('width')))"
    )
    assert sum(top) == pytest.approx(100, abs=0.01)
    shares = [float(re.findall(r"([\d.]+) %", text)[0]) for text in texts if "block/" in text]
    rows_ = reconcile(sample_run("alpha", 1, "cuda:0:x", "other", scale=0.5, fused=False)).rows
    wanted = [100 * (row.median_ns or 0) / total for row in rows_ if row.layer and row.median_ns]
    assert sorted(shares) == pytest.approx(sorted(wanted), abs=0.06)
    page.check("#batches input[value='8']")
    settled(page)
    assert page.locator(LINKS).count() > 2
    page.goto(f"{root}/models/alpha/index.html#{CPU}/4")
    assert not page.is_visible("#icicle"), "a failed run has none"


@over_http
def test_a_scope_stays_when_another_run_is_chosen(page: Any, root: str, until: Until) -> None:
    opened(page, root, "alpha")
    rectangle(page, "block").click()
    until("document.querySelectorAll('#where-trail li').length === 2")
    page.select_option("#system", GPU)
    settled(page)
    assert page.locator("#where-trail li").all_inner_texts() == ["all", "block"]
    assert sorted(rows(page)) == ["/block/conv_0", "/block/gemm_2", "/block/relu_1"]


@over_http
def test_a_step_shows_its_layers_alone(page: Any, root: str, until: Until) -> None:
    opened(page, root, "alpha")
    rectangle(page, "block/conv_0 + relu_1").click()
    settled(page)
    assert sorted(rows(page)) == ["/block/conv_0", "/block/relu_1"], "with what is fused into it"
    assert page.locator(f"{LINKS}.chosen").count() == 1
    rectangle(page, "block/conv_0 + relu_1").click()
    settled(page)
    assert page.locator(f"{LINKS}.chosen").count() == 0
    page.fill("#find-timing", "gemm")
    settled(page)
    assert rows(page) == ["/block/gemm_2"], "the field above the table goes on within what is shown"


@over_http
def test_keys_alone_go_into_a_scope_and_back(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hot")
    stops = page.evaluate(
        f"[...document.querySelectorAll('{LINKS}')].filter((a) => a.tabIndex >= 0).length"
    )
    assert stops == 1, "one stop for the Tab key"
    page.locator(LINKS).first.focus()
    told = "document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(told).startswith("net/stage0:")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(told).startswith("net/stage1:")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(told).startswith("net:")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until("document.querySelectorAll('#where-trail li').length === 3")
    assert page.evaluate(told).startswith("net/stage0:") or page.evaluate(told).startswith(
        "net/stage1:"
    )
    page.keyboard.press("Escape")
    until("document.querySelectorAll('#where-trail li').length === 2")
    page.keyboard.press("Escape")
    until("document.querySelector('#where-trail').hidden")
    assert page.evaluate(told).startswith("net:")


@over_http
def test_without_scripts_the_drawing_and_the_bars_are_there(plain: Any, root: str) -> None:
    plain.goto(f"{root}/models/hot/index.html")
    assert plain.locator(LINKS).count() > 15
    assert plain.locator(f"{LINKS} title").first.text_content().startswith("net: ")
    assert plain.locator(LINKS).first.get_attribute("href") == "#timing"
    assert "Conv ×600" in plain.inner_text("#operators")
    assert not plain.is_visible("#where-trail")
    box = plain.locator(f"{LINKS} svg").first.bounding_box()
    assert box["width"] > 500


@over_http
def test_texts_are_cut_and_never_overlap(page: Any, root: str) -> None:
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        opened(page, root, "hot")
        boxes = page.evaluate(
            f"[...document.querySelectorAll('{LINKS} > svg')].map((e) => [e, e.firstChild"
            ".getBoundingClientRect()]).map(([e, { left, right }]) => [e.getAttribute('y'), left,"
            " right, getComputedStyle(e).overflowX])"
        )
        levels: dict[str, float] = {}
        for y, left, right, overflow in boxes:
            assert overflow == "hidden"
            assert left >= levels.get(y, -1) - 0.1
            levels[y] = right
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@over_http
def test_five_thousand_layers_stay_small(page: Any, root: str, out: Path) -> None:
    assert (out / "models/huge/index.html").stat().st_size < 1_000_000
    opened(page, root, "huge")
    assert page.locator(LINKS).count() < 450
    rectangle(page, "net/stage3").click()
    settled(page)
    assert page.locator(LINKS).count() < 450
    assert page.inner_text("output[data-count=timing-table]") == "1,000 of 5,000"


@over_http
def test_names_are_text_in_the_icicle(page: Any, root: str, out: Path) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    opened(page, root, folder)
    page.locator(f"{LINKS}[data-layer]").first.click()
    settled(page)
    assert "<img" in page.inner_text("#where-said")
    assert page.locator("main img").count() == 0


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str, width: int) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/models/hot/index.html")
    assert violations(inspected) == []
    inspected.locator(f"{LINKS}").nth(1).click()
    settled(inspected)
    assert violations(inspected) == []


def drawn(page: Any, root: str, model: str) -> None:
    page.goto(f"{root}/models/{model}/index.html")
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .picture [data-i]")
    settled(page)


@over_http
def test_the_plot_opens_on_the_hottest_scope(page: Any, root: str) -> None:
    drawn(page, root, "hot")
    names = page.locator(".picture .opened .op").all_text_contents()
    assert [name.split("/")[-1] for name in names] == ["stage2", "block7"]
    assert page.locator(".picture .scope:not(.opened)").count() >= 4
    frame = page.locator("#stage").bounding_box()
    hot = page.locator(".picture .node").filter(has_text="op_350").first.bounding_box()
    assert frame["x"] <= hot["x"] <= frame["x"] + frame["width"]
    assert frame["y"] <= hot["y"] <= frame["y"] + frame["height"]


@over_http
def test_every_layer_that_a_search_finds_is_marked_while_typing(
    page: Any, root: str, until: Until
) -> None:
    drawn(page, root, "hot")
    page.fill("#find-node", "op_35")
    until("document.querySelectorAll('.picture .hit').length > 0")
    assert page.inner_text("#found") == "11 found"
    page.click("#fold")
    until("document.querySelector('.picture .scope.hit') !== null")
    folded = page.locator(".picture .scope.hit").all_text_contents()
    assert any(re.search(r"layers, \d+ found", text) for text in folded)
    page.fill("#find-node", "")
    until("document.querySelectorAll('.picture .hit').length === 0")


@over_http
def test_a_long_chain_goes_on_in_the_next_column(page: Any, root: str) -> None:
    drawn(page, root, "chain")
    page.click("#zoom-fit")
    settled(page)
    box = page.locator(".picture > g").bounding_box()
    assert 0.7 < box["width"] / box["height"] < 4, "neither a line nor a column"


def taken(page: Any) -> list[str]:
    """The scope, the gathered parts and the step that the address names."""
    return page.evaluate("['scope', 'rest', 'step'].map((key) => window.onnxprof.address.get(key))")


@over_http
def test_the_scope_stands_in_the_address_and_back_undoes_it(
    page: Any, root: str, until: Until
) -> None:
    opened(page, root, "hot")
    before = page.url
    rectangle(page, "net/stage2").click()
    rectangle(page, "net/stage2/block7").click()
    settled(page)
    assert taken(page) == ["net/stage2/block7", None, None]
    page.go_back()
    until("document.querySelectorAll('#where-trail li').length === 3")
    assert taken(page) == ["net/stage2", None, None]
    assert page.inner_text("output[data-count=timing-table]") == "150 of 600"
    page.go_forward()
    until("document.querySelectorAll('#where-trail li').length === 4")
    page.go_back()
    page.go_back()
    until("document.querySelector('#where-trail').hidden")
    assert page.url == before, "the page is still there"
    assert page.inner_text("output[data-count=timing-table]") == ""


@over_http
def test_a_copied_link_opens_the_scope(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hot", f"#{CPU}/1&scope=net%2Fstage2%2Fblock7")
    until("document.querySelector('output[data-count=timing-table]').textContent === '50 of 600'")
    assert page.locator("#where-trail li").all_inner_texts() == ["all", "net", "stage2", "block7"]
    assert page.inner_text("#operators-of") == "in net/stage2/block7"


@over_http
def test_a_scope_that_is_not_there_leaves_the_address(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hot", f"#{CPU}/1&scope=no%2Fsuch&rest=9999&step=none")
    settled(page)
    assert taken(page) == [None, None, None]
    assert page.locator("#where-trail").is_hidden()
    assert page.locator(LINKS).count() > 15


@over_http
def test_gathered_parts_and_steps_stand_in_the_address(page: Any, root: str, until: Until) -> None:
    opened(page, root, "spike")
    rest = page.locator(f"{LINKS}[aria-label*=' smaller:']").first
    named = rest.get_attribute("aria-label").split(":")[0]
    rest.click()
    settled(page)
    scope, count, _ = taken(page)
    assert int(count) > 1
    shown = page.inner_text("output[data-count=timing-table]")
    page.reload()
    settled(page)
    assert taken(page) == [scope, count, None]
    assert page.locator("#where-trail li").all_inner_texts()[-1] == named
    assert page.inner_text("output[data-count=timing-table]") == shown
    opened(page, root, "alpha")
    rectangle(page, "block/conv_0 + relu_1").click()
    settled(page)
    assert taken(page) == [None, None, "block/conv_0 + relu_1"]
    page.go_back()
    until(f"document.querySelectorAll('{LINKS}.chosen').length === 0")
    assert page.evaluate("window.onnxprof.selection.current()") is None, "one step back for both"


@over_http
def test_operators_are_those_of_the_scope(page: Any, root: str, until: Until) -> None:
    opened(page, root, "hot")
    assert "Conv ×600" in page.inner_text("#operators")
    assert "(overhead)" in page.inner_text("#operators")
    rectangle(page, "net/stage2").click()
    settled(page)
    assert "Conv ×150" in page.inner_text("#operators")
    assert "(overhead)" not in page.inner_text("#operators")
    page.click("#where-trail button:has-text('all')")
    settled(page)
    assert "Conv ×600" in page.inner_text("#operators")
    assert page.inner_text("#operators-of") == ""
