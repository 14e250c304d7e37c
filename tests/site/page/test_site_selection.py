"""One selection for a whole page: what lights up, what the panel tells, what Back takes back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from support.sites import called, long_run, runs, settled, write_page

from onnxprof.publish.pages import layer_rows
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.embed import body_rows
from onnxprof.publish.selection import facts
from onnxprof.publish.site.build import build_site
from onnxprof.publish.tables.timings import timing_records, timing_rows
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
browser_test = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)

Until = Callable[[str], None]
CPU = "cpu-fake.fake"
CONV, RELU, GEMM = "/block/conv_0", "/block/relu_1", "/block/gemm_2"
LIT = "[...document.querySelectorAll('{}')].map((e) => e.dataset.layer)"
FOCUS = "document.activeElement.{}"
PANEL = "#chosen"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selection") / "sub path"
    build_site(runs(), folder)
    # each step of this one has a layer, so that its sums alone have none
    write_page(folder, [called(long_run(3), "layers-only")])
    return folder


def visit(page: Any, root: str, fragment: str = "", model: str = "alpha") -> None:
    # a fragment alone would be no visit
    page.goto("about:blank")
    page.goto(f"{root}/models/{model}/index.html{fragment}")


def row(page: Any, name: str) -> Any:
    return page.locator(f"#timing-table tbody tr[data-layer='{name}']")


def chosen(page: Any) -> str:
    """The layer that the address names."""
    keys = [pair.partition("=") for pair in page.url.partition("#")[2].split("&")[1:]]
    return unquote({key: value for key, _, value in keys}.get("l", ""))


def lit(page: Any, selector: str) -> list[str]:
    return list(page.evaluate(LIT.format(selector)))


# Without a browser


@pytest.mark.parametrize("name", ["a b&c=d#e~f", "'(!*)'", '名前/%2F+"<>', "\ud800\u202e"])
def test_fragments_hold_any_name(name: str) -> None:
    text = layer_rows.fragment(name)
    assert not set(text) & set('&#=+"<> ')
    assert text.isascii()


def test_facts_are_those_of_the_tables() -> None:
    found = [sample_run("alpha", batch) for batch in (1, 8)]
    (page,) = catalogue(found)
    told = facts.facts(page, lambda run: timing_rows(run, page.reconciled(run)))
    for entry, columns in zip(page.entries, told["runs"], strict=True):
        records = {record["layer_name"]: record for record in timing_records(entry.run)}
        assert entry.result is not None
        for place, each in enumerate(body_rows(entry.result)):
            for key, column in (("flops", "flops"), ("bytes", "bytes"), ("alive", "alive_bytes")):
                wanted = records[each.name][column]
                number = columns.get(key)
                assert (None if number is None else told["columns"][number][place]) == wanted


def test_a_model_of_failed_runs_has_no_facts() -> None:
    failed = dataclasses.replace(sample_run("gone"), timings=None, steps=(), failure="killed")
    (page,) = catalogue([failed])
    assert list(facts.script(page, lambda run: [])) == []


# What is lit


@browser_test
def test_a_click_on_a_row_lights_row_step_node_and_bar(page: Any, root: str, until: Until) -> None:
    visit(page, root)
    page.click(f"#timing-table tr[data-layer='{GEMM}'] td >> nth=1")
    assert chosen(page) == GEMM
    assert lit(page, "#timing-table .lit") == [GEMM]
    assert lit(page, "#slowest .lit") == [GEMM]
    assert row(page, GEMM).locator("a.layer").get_attribute("aria-current") == "true"
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn g.node.selected")
    assert "gemm_2" in page.text_content("g.node.selected")
    page.locator("[data-chart=slowest]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=slowest].drawn")
    colours = page.evaluate(
        "Array.from(document.querySelector('[data-chart=slowest] .canvas').data[0].marker.color)"
    )
    assert colours[1] != colours[0] == colours[2]


@browser_test
@over_http
def test_a_layer_of_a_fused_step_lights_the_step_as_well(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/1&l=%2Fblock%2Frelu_1")
    assert lit(page, "#timing-table .kin") == [CONV]
    assert lit(page, "#timing-table .lit") == [RELU], "its own row is shown for it"
    assert lit(page, "#slowest .kin") == [CONV]
    assert "conv_0" in page.inner_text(f"{PANEL} h3:has-text('one step') + ul")
    page.keyboard.press("Escape")
    assert row(page, RELU).count() == 0
    assert lit(page, ".lit, .kin") == []


@browser_test
@over_http
def test_a_node_of_the_plot_chooses_its_layer(page: Any, root: str, until: Until) -> None:
    visit(page, root)
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")
    page.locator(".picture").focus()
    page.keyboard.press("n")
    page.keyboard.press("n")
    until("onnxprof.selection.current() !== null")
    first = chosen(page)
    assert lit(page, "#timing-table .lit") == [first]
    page.keyboard.press("n")
    until(f"onnxprof.selection.current() !== {json.dumps(first)}")
    assert page.evaluate(FOCUS.format("classList.contains('picture')")), "n goes on"
    page.keyboard.press("Escape")
    assert chosen(page) == ""
    assert not page.is_visible(PANEL)


@browser_test
def test_the_address_opens_the_panel_and_back_closes_it(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/8")
    row(page, CONV).locator("a.layer").click()
    assert page.url.endswith(f"#{CPU}/8&l=%2Fblock%2Fconv_0")
    page.click(f"{PANEL} a.layer[data-layer='{RELU}'] >> nth=0")
    assert page.inner_text("#chosen-name") == RELU
    page.go_back()
    settled(page)
    assert page.inner_text("#chosen-name") == CONV
    page.go_back()
    settled(page)
    assert not page.is_visible(PANEL)
    page.go_forward()
    settled(page)
    page.reload()
    assert page.inner_text("#chosen-name") == CONV


@browser_test
@over_http
def test_the_choice_stays_when_another_run_is_shown(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/1&l=%2Fblock%2Fgemm_2")
    page.check("#batches input[value='8']")
    page.wait_for_url("**/8&l=*")
    settled(page)
    assert lit(page, "#timing-table .lit") == [GEMM]
    page.locator("#runs ~ .scroll a").first.click()
    settled(page)
    assert chosen(page) == GEMM


# The panel


@browser_test
def test_the_panel_tells_all_of_a_layer(page: Any, root: str, until: Until) -> None:
    visit(page, root, f"#{CPU}/8&l=%2Fblock%2Fconv_0")
    until("document.querySelector('#chosen-body').innerText.includes('Layers after')")
    text = page.inner_text(PANEL)
    wanted = next(
        r for r in timing_records(sample_run("alpha", 8, seed=8)) if r["layer_name"] == CONV
    )
    assert f"{float(str(wanted['median_ms'])):.2f} ms" in text or "µs" in text
    kept = "Activations in memory"
    for part in ("Operator", "Conv", "1 of 3", "2 layers", kept, "Moves", "FLOP"):
        assert part in text, part
    batches = page.locator(f"{PANEL} h3:has-text('Over batch sizes') + table tbody th")
    assert batches.all_inner_texts() == ["1", "2", "8"]
    systems = page.locator(f"{PANEL} h3:has-text('On each runtime') + table tbody tr")
    assert systems.count() == 2
    assert page.locator(f"{PANEL} h3:has-text('Reads') + ul li").all_inner_texts() == [
        "x 8×3×8×8",
        "w 4×3×3×3",
    ]
    after = page.locator(f"{PANEL} h3:has-text('Layers after') + ul a")
    assert after.all_inner_texts() == [RELU]


@browser_test
@over_http
def test_hostile_names_are_text_in_the_panel(page: Any, root: str, out: Path, until: Until) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    visit(page, root, model=folder)
    page.locator("#timing-table tbody a.layer").first.click()
    until("document.querySelector('#chosen-body').innerText.includes('Layers after')")
    assert "</script><img src=x" in page.inner_text("#chosen-name")
    assert page.locator("main img").count() == 0
    page.reload()
    assert "</script><img src=x" in page.inner_text("#chosen-name")
    assert page.locator("#timing-table .lit").count() == 1


@browser_test
@over_http
@pytest.mark.parametrize("name", ["no-such-layer", "%E0%A4%A", "%3Cimg%20src=x%3E"])
def test_a_name_that_is_none_is_said_to_be_none(page: Any, root: str, name: str) -> None:
    visit(page, root, f"#{CPU}/1&l={name}")
    assert "no layer of this name" in page.inner_text(PANEL)
    assert page.locator("main img").count() == 0
    assert lit(page, ".lit") == []


@browser_test
@over_http
def test_a_failed_run_has_a_panel_too(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/4&l=%2Fblock%2Fconv_0")
    assert "this measurement failed" in page.inner_text(PANEL)


# By keyboard alone


@browser_test
def test_by_keyboard_alone(page: Any, root: str) -> None:
    visit(page, root)
    page.locator("#timing ~ .measured .scroll").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUS.format("textContent")) == GEMM
    page.keyboard.press("Enter")
    assert chosen(page) == GEMM
    assert page.evaluate(FOCUS.format("id")) == "chosen-name"
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUS.format("textContent")) == GEMM, "back to what opened it"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUS.format("className")) == "scroll"


@browser_test
@over_http
def test_the_focus_is_never_lost(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/1&l=%2Fblock%2Frelu_1")
    page.locator("#chosen-close").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUS.format("className")) == "scroll", "its row is gone: to the table"
    row(page, CONV).locator("a.layer").focus()
    page.keyboard.press("Enter")
    link = page.locator(f"{PANEL} a.layer[data-layer='{RELU}']").first
    link.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUS.format("id")) == "chosen-name", (
        "the link is gone, the panel is there"
    )
    page.go_back()
    page.go_back()
    settled(page)
    assert page.evaluate(FOCUS.format("tagName")) != "BODY"


@browser_test
@over_http
def test_a_chart_is_one_stop_and_arrows_go_from_dot_to_dot(page: Any, root: str) -> None:
    visit(page, root)
    stops = (
        "document.querySelectorAll('.panel svg[role=document]:first-of-type"
        ' a:not([tabindex="-1"])\')'
    )
    assert page.evaluate(f"{stops}.length") == 2, "one a chart"
    label = FOCUS.format("getAttribute('aria-label')")
    page.evaluate(f"{stops}[0].focus()")
    start = page.evaluate(label)
    assert "batch 1:" in start
    page.keyboard.press("ArrowRight")
    assert "batch 2:" in page.evaluate(label)
    page.keyboard.press("End")
    assert "batch 8:" in page.evaluate(label)
    before = page.evaluate(label)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert "batch 8:" in page.evaluate(label)
    assert page.evaluate(f"{stops}.length") == 2
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate(FOCUS.format("tagName")) == "a", "the dot that was pressed has the focus"
    assert before


@browser_test
@over_http
def test_a_layer_that_the_model_lacks_leaves_the_page_whole(page: Any, root: str) -> None:
    visit(page, root, f"#{CPU}/1&l=nolayer", "layers-only")
    settled(page)
    rows = page.locator("#timing-table tbody tr")
    assert rows.count() == 3
    rows.first.locator("td").nth(1).click()
    assert len(lit(page, "#timing-table .lit")) == 1


@browser_test
@over_http
@pytest.mark.parametrize(
    ("fragment", "right"),
    [
        (f"#{CPU}/99&l=x", f"#{CPU}/8&l=x"),
        ("#nobody/1", f"#{CPU}/1"),
        (f"#{CPU}/1~nobody/8", f"#{CPU}/1"),
        (f"#{CPU}/1~{CPU}/70", f"#{CPU}/1~{CPU}/8"),
        (f"#{CPU}/8", f"#{CPU}/8"),
        ("#timing", "#timing"),
    ],
)
def test_the_address_says_what_is_shown(page: Any, root: str, fragment: str, right: str) -> None:
    visit(page, root, fragment)
    settled(page)
    assert "#" + page.url.partition("#")[2] == right
