"""What comes out of a printer: all charts, tables as narrow as a sheet of A4."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from support.sites import HOSTILE, runs, settled

from onnxprof.publish.site.build import build_site
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
#: The width of A4 at 96 dots an inch, without the margins of a browser.
SHEET = 718
CHARTS = ("latency", "throughput", "operators", "speedup", "slowest", "scaling", "stack", "gain")
LONG = "Intel(R) Xeon(R) Platinum 8488C Processor @ 2.40GHz"


def named(run: Run) -> Run:
    """The run on a device with a name as long as they are."""
    return replace(run, device=replace(run.device, name=LONG))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "sub path"
    again = [named(sample_run("alpha", 8, scale=1.4, created="2026-02-01T00:00:00Z"))]
    build_site([*map(named, runs()), *again], folder)
    return folder


@contextmanager
def printed(page: Any) -> Iterator[None]:
    """The page as it is laid out for a sheet; the events are those of a browser that prints."""
    page.set_viewport_size({"width": SHEET, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    yield
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")


@over_http
@pytest.mark.parametrize(
    "path",
    [
        *("index.html", "layers.html", "changes.html", "downloads.html", "method.html"),
        *("devices/cpu-fake.html", "models/alpha/index.html"),
    ],
)
def test_nothing_is_wider_than_a_sheet(page: Any, root: str, path: str) -> None:
    page.goto(f"{root}/{path}")
    settled(page)
    with printed(page):
        wide = page.locator("table:visible").evaluate_all(
            "(all) => all.filter((e) => e.getBoundingClientRect().right > innerWidth + 1)"
            ".map((e) => e.id || e.className)"
        )
        assert wide == []


@over_http
def test_every_chart_is_there_without_having_been_seen(
    page: Any, root: str, asked: list[str]
) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    with printed(page):
        for key in CHARTS:
            drawing = page.locator(f"[data-chart={key}] .paper svg")
            assert drawing.is_visible(), key
            assert drawing.locator("rect, circle").count() >= 2, key
        assert "How much faster is" in page.inner_text("[data-chart=speedup] .paper")
    assert page.locator(".paper").count() == 0, "the screen has its own"
    assert not [url for url in asked if "plotly" in url]


@over_http
def test_bars_on_paper_are_as_long_as_their_times(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    with printed(page):
        widths = page.locator("[data-chart=slowest] .paper rect").evaluate_all(
            "(all) => all.map((e) => Number(e.getAttribute('width')))"
        )
        times = page.evaluate(
            "window.onnxprof.charts.of(document.querySelector('[data-chart=slowest]')).traces[0].x"
        )
    assert len(widths) == len(times) >= 2
    assert [w / widths[0] for w in widths] == pytest.approx([t / times[0] for t in times], rel=1e-6)


@over_http
def test_a_chart_that_was_seen_is_printed_in_the_colours_of_paper(page: Any, root: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{root}/models/alpha/index.html")
    page.locator("[data-chart=latency]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=latency].drawn")
    with printed(page):
        assert page.locator("[data-chart=latency] .canvas").is_hidden()
        shown = page.locator("[data-chart=latency] .paper circle").first
        colour = shown.evaluate("(e) => getComputedStyle(e).fill")
        red, green, blue = (int(part) for part in colour[4:-1].split(","))
        assert 0.3 * red + 0.6 * green + 0.1 * blue < 140, "dark ink on white"
    assert page.locator("[data-chart=latency] .canvas").is_visible()


@over_http
def test_the_printer_of_the_browser_finds_the_charts(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    page.evaluate(
        "window.addEventListener('beforeprint', () => {"
        " window.papers = document.querySelectorAll('.paper svg').length; })"
    )
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert page.evaluate("window.papers") == len(CHARTS)
    assert page.locator(".paper").count() == 0


@over_http
@pytest.mark.parametrize("path", ["index.html", "models/alpha/index.html"])
def test_strong_figures_are_once_in_the_text_of_a_printed_page(
    page: Any, root: str, path: str
) -> None:
    page.goto(f"{root}/{path}")
    settled(page)
    strong = page.locator("td.win > a, tfoot .total > td").all_inner_texts()
    figures = {text.strip() for text in strong if re.fullmatch(r"\s*[\d,]+\.\d+\s*", text)}
    assert figures
    printed = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    text = "\n".join(sheet.extract_text() for sheet in printed)
    assert {figure for figure in figures if figure in text} == figures
    assert [figure for figure in figures if figure * 2 in text] == []


@over_http
def test_a_failed_run_has_no_charts_on_paper(page: Any, root: str) -> None:
    page.goto(f"{root}/models/gone/index.html")
    settled(page)
    with printed(page):
        assert page.locator(".paper").count() == 0


@over_http
def test_names_are_text_on_paper_too(page: Any, root: str, out: Path) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    assert "<script>" in HOSTILE
    page.goto(f"{root}/models/{folder}/index.html")
    settled(page)
    with printed(page):
        names = page.locator("[data-chart=slowest] .paper text").all_text_contents()
        assert any(name.startswith("</") for name in names), "cut, not read as markup"
        assert page.locator("main img").count() == 0
