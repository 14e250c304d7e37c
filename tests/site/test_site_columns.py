"""Columns of numbers: points and grades stand in line, whatever font and weight; nothing is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sites import runs, settled

from onnxprof.publish.site.build import build_site
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
Until = Callable[[str], None]
CPU = "cpu-fake.fake"
#: Latencies from hundredths of a millisecond to seconds: every number of decimals.
SCALES = {"tiny": 0.01, "small": 0.4, "middle": 5.0, "large": 60.0, "huge": 1500.0}

#: Where the point of each number of a column is, or would be: behind its last digit.
POINTS = """(cells) => cells.map((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const found = /[\\d,]*\\d(\\.)?/.exec(node.data);
    if (!found || node.parentElement.closest('.grade, small, svg')) continue;
    const range = document.createRange();
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length - (found[1] ? 1 : 0));
    return range.getBoundingClientRect().right;
  }
  return null;
}).filter((x) => x !== null)"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("columns") / "sub path"
    made = [sample_run(name, 1, scale=scale) for name, scale in SCALES.items()]
    other = [
        sample_run(name, 1, "cuda:0:x", "other", scale=scale * (0.7 if i % 2 else 1.4))
        for i, (name, scale) in enumerate(SCALES.items())
    ]
    build_site([*runs(), *made, *other], folder)
    return folder


def in_line(places: list[float]) -> bool:
    return len(places) > 2 and max(places) - min(places) < 0.7


@over_http
@pytest.mark.parametrize("family", ["sans-serif", "serif", "monospace"])
def test_points_stand_in_line_in_every_font_strong_or_not(
    page: Any, root: str, family: str
) -> None:
    page.goto(f"{root}/index.html")
    page.evaluate(f"document.documentElement.style.setProperty('font-family', '{family}')")
    settled(page)
    assert page.locator("#models td.win").count() >= 4
    for column in (2, 3, 4):
        cells = page.locator(f"#models tbody td:nth-child({column}):not(.none)")
        places = cells.evaluate_all(POINTS)
        assert len(places) < 3 or in_line(places), (column, places)


@over_http
def test_grades_stand_in_line_beside_whole_numbers(page: Any, root: str) -> None:
    for path, table in (("index.html", "#models"), ("devices/cpu-fake.html", "#lines")):
        page.goto(f"{root}/{path}")
        settled(page)
        lefts = page.locator(f"{table} tbody tr").evaluate_all(
            "(rows) => rows.map((row) =>"
            " [...row.cells].findIndex((c) => c.querySelector('.grade')))"
        )
        column = max(set(lefts), key=lefts.count)
        dots = page.locator(f"{table} tbody td:nth-child({column + 1}) .grade").evaluate_all(
            "(all) => all.map((e) => e.getBoundingClientRect().left)"
        )
        assert in_line(dots), (path, dots)


@over_http
def test_the_strong_total_stands_in_line_with_its_rows(page: Any, root: str) -> None:
    page.goto(f"{root}/models/huge/index.html")
    settled(page)
    places = page.locator("#timing-table :is(tbody, tfoot) td:nth-child(5)").evaluate_all(POINTS)
    assert in_line(places), places


@over_http
def test_all_runs_of_a_model_stand_in_line(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    places = page.locator(".all-runs tbody td:nth-child(3):not(.failed)").evaluate_all(POINTS)
    assert in_line(places), places


@over_http
@pytest.mark.parametrize("width", [1280, 1440])
def test_the_status_is_whole_beside_the_panel(page: Any, root: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{root}/models/alpha/index.html#{CPU}/1&l=%2Fblock%2Fconv_0")
    settled(page)
    assert page.is_visible("#chosen")
    frame = page.locator("#timing ~ .measured .scroll").bounding_box()
    panel = page.locator("#chosen").bounding_box()
    status = page.locator("#timing-table thead th:has-text('Status')").bounding_box()
    assert status["x"] + status["width"] <= frame["x"] + frame["width"] + 1
    assert status["x"] + status["width"] <= panel["x"]


@over_http
def test_the_files_of_a_device_fit_a_phone(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{root}/downloads.html")
    frame = page.locator("#files").evaluate("(e) => [e.scrollWidth, e.parentNode.clientWidth]")
    assert frame[0] <= frame[1] + 1
    assert page.locator("#files a[download]:visible").count() >= 3


@over_http
def test_there_is_no_empty_area_below_the_icicle(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    gap = (
        "document.querySelector('.where figure').getBoundingClientRect().top"
        " - document.querySelector('#icicle svg').getBoundingClientRect().bottom"
    )
    assert page.evaluate(gap) < 60
    page.locator("#icicle a[aria-label^='block:']").click()
    until("document.querySelectorAll('#where-trail li').length === 2")
    settled(page)
    assert page.evaluate(gap) < 130, "the trail and its sentence stand between"
