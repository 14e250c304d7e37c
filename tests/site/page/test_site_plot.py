"""The plot of a model, two runs and all runtimes side by side, in a real Chromium."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import called, long_run, runs, scoped_run, settled, violations, write_page

from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser

Until = Callable[[str], None]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
CPU, GPU = "cpu-fake.fake", "cuda-0-x.other"


def fused_chain(layers: int = 112, size: int = 7) -> Run:
    """A chain of layers, of which so many at a time are one step."""
    run = long_run(layers)
    names = [step.layers[0] for step in run.steps]
    steps = tuple(
        dataclasses.replace(run.steps[i], layers=tuple(names[i : i + size]))
        for i in range(0, layers, size)
    )
    assert run.timings is not None
    times = dataclasses.replace(run.timings, step_ns=run.timings.step_ns[: len(steps)])
    return dataclasses.replace(run, steps=steps, timings=times)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot") / "sub path"
    build.build_site([*runs(), scoped_run(600), called(fused_chain(), "fused")], folder)
    write_page(folder, [called(scoped_run(5000), "huge")])
    return folder


def opened(page: Any, root: str, model: str, fragment: str = "") -> Any:
    """The drawing of a model's page, once it is drawn."""
    page.goto(f"{root}/models/{model}/index.html{fragment}")
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .picture [data-i]")
    return page.locator(".picture")


def scale(page: Any) -> float:
    found = re.search(r"scale\(([\d.]+)\)", page.locator(".picture > g").get_attribute("transform"))
    assert found
    return float(found[1])


def place(page: Any) -> tuple[float, float]:
    moved = page.locator(".picture > g").get_attribute("transform")
    found = re.search(r"translate\((-?[\d.]+) (-?[\d.]+)\)", moved)
    assert found
    return float(found[1]), float(found[2])


def find(page: Any, text: str) -> None:
    page.fill("#find-node", text)
    page.press("#find-node", "Enter")
    page.wait_for_selector(".tip:visible")
    settled(page)


def total(run: Run) -> int:
    return reconcile(run).total_ns


def test_nodes_take_the_colour_of_their_share(page: Any, root: str) -> None:
    opened(page, root, "alpha", f"#{CPU}/8")
    result = reconcile(sample_run("alpha", 8, seed=8))
    for row in result.rows:
        if row.status is not Status.TIMED or row.layer is None:
            continue
        find(page, row.name)
        told = page.inner_text(".tip")
        assert row.median_ns
        assert row.share
        assert f"{row.median_ns / 1e3:,.1f}"[:4] in told, "the time, as the table has it"
        limits = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
        wanted = sum(row.share >= limit for limit in limits)
        assert f"h{wanted}" in page.locator(".picture .selected").get_attribute("class").split()


@over_http
def test_the_layers_of_a_step_are_one_block(page: Any, root: str, until: Until) -> None:
    opened(page, root, "alpha")
    assert page.locator(".picture .block").count() == 1
    assert page.locator(".picture .merged").count() == 2
    find(page, "relu")
    assert "for 2 layers" in page.inner_text(".tip")
    page.select_option("#system", GPU)
    until("document.querySelectorAll('.picture .block').length === 0")
    settled(page)
    assert "for 2 layers" not in page.inner_text(".tip"), "the open tooltip follows the run"
    assert page.inner_text("#plot-run").endswith("other, batch 1")


@over_http
def test_a_block_goes_on_in_the_next_column_by_a_line(page: Any, root: str) -> None:
    opened(page, root, "fused")
    page.click("#zoom-fit")
    settled(page)
    assert page.locator(".picture .block").count() == 16
    wraps = page.locator(".picture .block .wraps")
    assert wraps.count() >= 1
    widths = wraps.evaluate_all(
        "(all) => all.map((e) => parseFloat(getComputedStyle(e).strokeWidth))"
    )
    assert max(widths) < 4
    assert page.locator(".picture .block .thick").count() == 0


@over_http
def test_shapes_are_those_of_the_batch(page: Any, root: str, until: Until) -> None:
    opened(page, root, "alpha")
    assert page.locator(".picture .input .end").text_content() == "1×3×8×8"
    page.check("#batches input[value='8']")
    until("document.querySelector('.picture .input .end').textContent === '8×3×8×8'")


@over_http
def test_a_failed_run_has_a_plot_without_colours(page: Any, root: str) -> None:
    opened(page, root, "alpha", f"#{CPU}/4")
    assert page.locator(".picture .node").count() == page.locator(".picture .cold").count() == 3
    find(page, "conv")
    assert "failed" in page.inner_text(".tip")


def test_zoom_by_button_wheel_and_key(page: Any, root: str) -> None:
    picture = opened(page, root, "alpha")
    scales = [scale(page)]

    def zoomed() -> float:
        settled(page)
        scales.append(scale(page))
        return scales[-1] / scales[-2]

    page.click("#zoom-in")
    assert zoomed() > 1.2
    picture.hover(position={"x": 30, "y": 30})
    page.mouse.wheel(0, -200)
    assert zoomed() == 1, "the wheel scrolls the page before the drawing was clicked"
    opened(page, root, "alpha", "#")
    picture.click(position={"x": 30, "y": 30})
    scales.append(scale(page))
    page.mouse.wheel(0, -200)
    assert zoomed() > 1.2
    page.keyboard.press("-")
    assert zoomed() < 0.9
    page.keyboard.press("0")
    settled(page)
    page.click("#zoom-fit")
    settled(page)
    box, frame = page.locator(".picture > g").bounding_box(), picture.bounding_box()
    assert box["height"] <= frame["height"] + 1
    assert box["width"] <= frame["width"] + 1


@over_http
def test_the_drawing_moves_by_mouse_and_key(page: Any, root: str) -> None:
    picture = opened(page, root, "alpha")
    x, y = place(page)
    frame = picture.bounding_box()
    page.mouse.move(frame["x"] + 20, frame["y"] + 100)
    page.mouse.down()
    page.mouse.move(frame["x"] + 90, frame["y"] + 130, steps=4)
    page.mouse.up()
    settled(page)
    assert place(page)[0] - x == pytest.approx(70, abs=5)
    assert place(page)[1] - y == pytest.approx(30, abs=5)
    picture.focus()
    x, y = place(page)
    page.keyboard.press("ArrowLeft")
    settled(page)
    assert place(page) == (x + 60, y)


@over_http
def test_keys_alone_reach_every_layer(page: Any, root: str) -> None:
    opened(page, root, "alpha")
    page.focus("#find-node")
    for _ in range(8):
        if page.evaluate("document.activeElement.classList.contains('picture')"):
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('picture')")
    seen = []
    for _ in range(4):
        page.keyboard.press("n")
        settled(page)
        seen.append(page.inner_text(".tip b"))
    assert seen == ["x", "/block/conv_0", "/block/relu_1", "/block/gemm_2"]
    page.keyboard.press("p")
    settled(page)
    assert page.inner_text(".tip b") == "/block/relu_1"
    assert "/block/relu_1" in page.text_content("#plot-said"), "said to who does not see it"
    page.keyboard.press("Escape")
    assert not page.is_visible(".tip")


def test_scopes_open_and_fold(page: Any, root: str, until: Until) -> None:
    opened(page, root, "scoped")
    page.click("#fold")
    until("!document.querySelector('.picture .opened')")
    folded = page.locator(".picture .scope:not(.opened)").count()
    assert 3 <= folded <= 20
    assert page.locator(".picture .node").count() == 0
    page.locator(".picture .scope rect").first.click()
    page.wait_for_selector(".picture .opened")
    assert "folds it" in page.inner_text(".tip")
    page.locator(".picture").focus()
    page.keyboard.press("Enter")
    until("!document.querySelector('.picture .opened')")
    find(page, "op_550")
    assert page.locator(".picture .selected.node").count() == 1
    assert page.locator(".picture .reference").count() >= 1
    page.locator(".picture .reference rect").first.click()
    settled(page)
    assert page.locator(".picture .selected.node").count() == 1
    assert page.inner_text(".tip b") != "net/stage4/block11/op_550"
    page.click("#fold")
    settled(page)
    assert page.locator(".picture .scope").count() == folded


@over_http
def test_search_goes_from_match_to_match(page: Any, root: str) -> None:
    opened(page, root, "scoped")
    page.fill("#find-node", "stage2/ op_25")
    assert page.inner_text("#found") == "10 found"
    page.press("#find-node", "Enter")
    assert page.inner_text("#found") == "1 of 10"
    page.press("#find-node", "Shift+Enter")
    assert page.inner_text("#found") == "10 of 10"
    page.fill("#find-node", "not there")
    assert page.inner_text("#found") == "0 found"


@over_http
def test_five_thousand_layers_stay_usable(page: Any, root: str) -> None:
    opened(page, root, "huge")
    page.click("#unfold")
    settled(page)
    elements = "document.querySelectorAll('.picture *').length"
    assert page.evaluate(elements) < 25_000, "what is out of sight is not drawn"
    find(page, "op_4321")
    assert "op_4321" in page.inner_text(".tip b")
    assert page.evaluate(elements) < 2_000
    frame = page.locator(".picture").bounding_box()
    box = page.locator(".picture .selected").bounding_box()
    assert frame["y"] < box["y"] < frame["y"] + frame["height"]


def saved(page: Any) -> ET.Element:
    with page.expect_download() as download:
        page.click("#save-view")
    assert download.value.suggested_filename.endswith(".svg")
    return ET.fromstring(Path(download.value.path()).read_bytes())


def test_the_drawing_is_saved_with_its_colours(page: Any, root: str) -> None:
    opened(page, root, "alpha")
    drawing = saved(page)
    space = "{http://www.w3.org/2000/svg}"
    assert drawing.tag == f"{space}svg"
    words = {node.text for node in drawing.iter(f"{space}text")}
    assert {"Conv", "/block/conv_0", "1×4×8×8", "46.1 %"} <= words
    style = next(drawing.iter(f"{space}style")).text or ""
    assert re.search(r"\.h7 \.b,\.h7 \.inside\{fill:#[0-9a-f]{6}\}", style)
    assert "var(" not in style


@over_http
def test_names_are_text_in_the_plot_too(page: Any, root: str, out: Path) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    opened(page, root, folder)
    find(page, "onerror")
    assert "</script><img" in page.inner_text(".tip")
    assert page.locator("main img").count() == 0
    saved(page)


def test_two_runs_stand_side_by_side(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#{CPU}/8")
    assert not page.is_visible("#compared")
    page.select_option("#other", label="Fake CPU (cuda:0:x) · other, batch 8")
    page.wait_for_selector("#compared:visible")
    assert page.url.endswith(f"#{CPU}/8~{GPU}/8")
    a = sample_run("alpha", 8, seed=8)
    b = sample_run("alpha", 8, "cuda:0:x", "other", scale=0.5, fused=False)
    assert f"takes {total(a) / total(b):.2f} times as long" in page.inner_text("#verdict")
    cells = "[2, 3].map((i) => Number(row.cells[i].dataset.v ?? 0))"
    ends = "[...document.querySelectorAll('#compare-table {} tr')].map((row) => {})"
    body, foot = (page.evaluate(ends.format(part, cells)) for part in ("tbody", "tfoot"))
    assert foot[-1] == [total(a), total(b)]
    for side in (0, 1):
        assert sum(row[side] for row in [*body, foot[0]]) == foot[-1][side]
    rows = page.locator("#compare-table tbody th").all_inner_texts()
    assert rows == ["/block/conv_0 + …/relu_1", "/block/gemm_2", "(no layer)"]
    page.reload()
    page.wait_for_selector("#compared:visible")
    page.check("#batches input[value='1']")
    settled(page)
    assert page.url.endswith(f"#{CPU}/1~{GPU}/8"), "the other run stays"
    assert "An item takes" in page.inner_text("#verdict")
    page.click("#compare-table thead button:has-text('Ratio')")
    ratios = [float(text) for text in page.locator("#compare-table tbody .ratio").all_inner_texts()]
    assert ratios == sorted(ratios, reverse=True)
    page.select_option("#other", "")
    settled(page)
    assert page.url.endswith(f"#{CPU}/1")
    assert not page.is_visible("#compared")


@over_http
def test_a_failed_run_compares_with_nothing(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#{CPU}/8~{CPU}/4")
    assert "failed" in page.inner_text("#verdict")
    assert not page.is_visible("#compare-table")


def test_all_runtimes_of_a_batch_stand_side_by_side(page: Any, root: str, asked: list[str]) -> None:
    page.goto(f"{root}/models/alpha/index.html#{CPU}/8")
    assert not [url for url in asked if "/aligned/" in url], "not before it is seen"
    page.locator("#aligned-section").scroll_into_view_if_needed()
    page.wait_for_selector("#aligned-table tbody tr")
    cells = page.locator("#aligned-table tfoot .total td[data-v]")
    shown = [cells.nth(i).get_attribute("data-v") for i in range(cells.count())]
    a = sample_run("alpha", 8, seed=8)
    b = sample_run("alpha", 8, "cuda:0:x", "other", scale=0.5, fused=False)
    assert [float(value) for value in shown] == [total(a), total(b), total(b) / total(a)]
    page.check("#batches input[value='2']")
    settled(page)
    assert "nothing stands beside" in page.inner_text("#aligned-none")
    assert "At batch 2 nothing stands beside" in page.inner_text("#aligned-none")


@over_http
def test_a_model_with_one_run_says_that_there_is_none_beside_it(page: Any, root: str) -> None:
    page.goto(f"{root}/models/beta/index.html")
    assert "has one run, so there is none to set beside it" in page.inner_text("#compare + p")
    assert "nothing stands beside the run above" in page.inner_text("#aligned-none")


#: Parts that are drawn once they come into view, and what is then there; every kind of page.
ALIGNED = ("#aligned-section", "#aligned-table tbody tr")
CHARTS = ("#charts", ".chart.drawn .main-svg")
STAGE = ("#stage", "#stage.drawn .picture [data-i]")
KINDS = (
    ("index.html",),
    ("method.html",),
    ("downloads.html",),
    ("devices/cpu-fake.html",),
    ("models/gone/index.html",),
    (f"models/alpha/index.html#{CPU}/8~{GPU}/8", ALIGNED, CHARTS),
    ("models/liar/index.html", STAGE),
)


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str, width: int) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    for path, *parts in KINDS:
        inspected.goto(f"{root}/{path}")
        for part, drawn in parts:
            inspected.locator(part).scroll_into_view_if_needed()
            inspected.wait_for_selector(drawn)
            settled(inspected)
        assert violations(inspected) == [], path
