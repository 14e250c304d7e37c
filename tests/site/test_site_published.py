"""The pages of published lower bounds: nothing on them says that a latency was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.published.dlperf_clone import published
from support.sites import settled, violations

from onnxprof.publish.pages import charts
from onnxprof.publish.pages.axes import axes
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.repeating.lines import repeat
from onnxprof.publish.repeating.terminal import text_lines
from onnxprof.publish.site.build import build_site
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
browser = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
Until = Callable[[str], None]
#: What is true of measured runs alone.
MEASURED = re.compile(
    r"Measured by|\bMedian\b|of the median|un-profiled latency|whiskers|p5 to p95"
    r"|Latency over batch",
)


def beside(bound: Run) -> Run:
    """A measured run of the model that was published."""
    run = sample_run(bound.request.model_name, 1)
    asked = replace(run.request, model_sha256=bound.request.model_sha256)
    return replace(run, request=asked, model=bound.model)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bounds")
    bounds = published(folder / "dlperf")
    both = [replace(run, request=replace(run.request, model_name="both")) for run in bounds]
    build_site([*bounds, *both, beside(both[0])], folder / "sub path")
    return folder / "sub path"


def seen(html: str) -> str:
    """The texts of a page without its scripts, styles and attributes."""
    return re.sub(r"<script.*?</script>|<[^>]*>", " ", html, flags=re.DOTALL)


def choose(page: Any, word: str) -> None:
    """The system whose name has this word."""
    page.select_option(
        "#system",
        page.locator("#system option").filter(has_text=word).first.get_attribute("value"),
    )


def test_a_published_models_page_says_what_its_figures_are(out: Path) -> None:
    html = (out / "models/mnist/index.html").read_text("utf-8")
    assert MEASURED.findall(seen(html)) == []
    for words in ("Imported by", "Lower bound, ms", "share of the published sum", "Imported (UTC)"):
        assert words in seen(html), words
    [description] = re.findall(r'<meta name="description" content="([^"]*)"', html)
    assert "no latency was measured" in description


def test_a_device_of_bounds_alone_says_what_its_figures_are(out: Path) -> None:
    html = (out / "devices/cuda-0-tesla-k80.html").read_text("utf-8")
    assert MEASURED.findall(seen(html)) == []
    assert "not measured" not in seen(html)
    assert "published lower bound" in seen(html)
    assert "as published in 2020; no latency was measured" in seen(html)


def test_bounds_have_no_chart_of_a_latency(tmp_path: Path) -> None:
    bounds = published(tmp_path)
    (page,) = catalogue(bounds)
    found = {chart.key: chart.title for chart in charts.charts(page, axes(page))}
    assert not {"latency", "throughput", "speedup"} & set(found)
    assert found["slowest"] == "Slowest layers, ms"
    (page,) = catalogue([sample_run("m", batch) for batch in (1, 8)])
    found = {chart.key: chart.title for chart in charts.charts(page, axes(page))}
    assert {"latency", "throughput"} <= set(found)
    assert found["slowest"] == "Slowest steps with p5 to p95, ms"


def test_nothing_repeats_what_was_published(tmp_path: Path) -> None:
    told = repeat(published(tmp_path)[0])
    assert (told.lines, told.differs) == ((), "")
    assert list(text_lines(told)) == ["Published by dlperf: no command repeats it."]


@browser
@over_http
def test_words_follow_the_run_on_a_page_that_has_both(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/both/index.html")
    settled(page)
    text = page.inner_text("#shown")
    assert "Measured by" in text
    assert "Median" in text
    assert "published sum" not in text
    choose(page, "K80")
    until("document.getElementById('main').classList.contains('bound')")
    settled(page)
    text = page.inner_text("#shown")
    assert MEASURED.findall(text) == []
    assert "Imported by" in text
    assert "share of the published sum" in text
    assert "Median or lower bound, ms" in page.inner_text("#runs ~ .scroll")
    choose(page, "Fake CPU")
    until("!document.getElementById('main').classList.contains('bound')")
    assert "Measured by" in page.inner_text("#shown")


@browser
@over_http
def test_the_panel_and_the_plot_say_of_what_a_share_is(page: Any, root: str) -> None:
    page.goto(f"{root}/models/mnist/index.html")
    page.locator("#timing-table tbody a.layer").first.click()
    settled(page)
    assert "of the published sum" in page.inner_text("#chosen")
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")
    page.fill("#find-node", "Convolution28")
    page.press("#find-node", "Enter")
    page.wait_for_selector(".tip:visible")
    assert "of the published sum" in page.inner_text(".tip")


@browser
@over_http
def test_scripts_leave_the_words_as_the_builder_wrote_them(
    page: Any, root: str, plain: Any
) -> None:
    page.goto(f"{root}/models/mnist/index.html")
    plain.goto(f"{root}/models/mnist/index.html")
    page.check("#batches input[value='8']")
    page.wait_for_url("**/8")
    page.check("#batches input[value='1']")
    page.wait_for_url("**/1")
    settled(page)
    for part in (".command span", "#repeat-note", "#repeat-differs", ".where > .note"):
        there, made = plain.text_content(part), page.text_content(part)
        assert made == there, part


@browser
@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str) -> None:
    inspected.emulate_media(color_scheme=scheme)
    for path in ("models/mnist/index.html", "models/both/index.html", "index.html"):
        inspected.goto(f"{root}/{path}")
        settled(inspected)
        assert violations(inspected) == [], path
