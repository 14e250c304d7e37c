"""An earlier run on a model's page: what it has of its own, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.pages.repeated import day, failed, good
from support.runs.ceilings import ceilings
from support.sites import settled, violations

from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
Until = Callable[[str], None]
CPU = "cpu-fake.fake"
FIRST, FAILED = f"#{CPU}/1@20260101T030405Z", f"#{CPU}/1@20260102T030405Z"


def unfused(number: int, scale: float) -> Run:
    """A run of that day in which every layer is a step of its own."""
    run = sample_run("m", 1, created=day(number), scale=scale, seed=number, fused=False)
    return replace(run, environment=good(number).environment)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest run fuses two layers; the first one did not."""
    folder = tmp_path_factory.mktemp("earlier") / "sub path"
    found = [unfused(1, 3.0), failed(2), good(3), sample_run("m", 1, backend="other")]
    build.build_site(found, folder, ceilings=[ceilings()])
    build.build_site([unfused(1, 3.0)], folder.parent / "alone", ceilings=[ceilings()])
    return folder


def visit(page: Any, root: str, until: Until, fragment: str = "") -> None:
    page.goto("about:blank")
    page.goto(f"{root}/models/m/index.html{fragment}")
    if "@" in fragment:
        stamp = fragment.partition("@")[2].partition("&")[0]
        until(f"window.onnxprof.model.current().stamp === '{stamp}'")
    settled(page)


def cells(page: Any) -> list[list[str]]:
    found: list[list[str]] = page.locator("#timing-table tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def test_it_says_which_files_are_the_newest_runs_alone(
    page: Any, root: str, until: Until, out: Path
) -> None:
    visit(page, root, until)
    assert page.is_hidden("#past")
    visit(page, root, until, FIRST)
    assert "This is an earlier run, of 2026-01-01 03:04:05" in page.inner_text("#past")
    for link in ("#csv", "#spreadsheet", "#pdf"):
        assert page.is_hidden(link)
    created = page.inner_text("#past-created")
    rows = pq.read_table(out / "runs.parquet", filters=[("created", "=", created)])
    assert rows.num_rows > 0, "the page says where its layers are"
    page.click("#past-newest")
    until("!window.onnxprof.model.current().stamp")
    settled(page)
    assert page.is_visible("#csv")
    assert page.is_hidden("#past")


@over_http
def test_its_rows_have_reasons_of_their_own(
    page: Any, root: str, plain: Any, until: Until, out: Path
) -> None:
    """As on a site of that run alone, though the newest one has other steps."""
    visit(page, root, until)
    until("document.querySelectorAll('#timing-table td.roof.l:not(:empty)').length > 0")
    newest = cells(page)
    visit(page, root, until, FIRST)
    plain.goto((out.parent / "alone/models/m/index.html").as_uri())
    assert cells(page) == cells(plain)
    assert cells(page) != newest
    assert page.inner_text("#sentence") == plain.inner_text("#sentence")
    assert page.locator("#timing-table.boundless").count() == 0


@over_http
def test_the_section_of_reasons_says_whose_they_are(page: Any, root: str, until: Until) -> None:
    visit(page, root, until)
    assert page.locator("#why-shown svg.roofs").count() == 1
    visit(page, root, until, FIRST)
    assert page.locator("#why-shown svg").count() == 0
    assert "for the newest run alone" in page.inner_text("#why-shown")
    page.select_option("#when", f"{CPU}/1")
    until("document.querySelectorAll('#why-shown svg.roofs').length === 1")


@over_http
def test_the_other_sections_bear_it(page: Any, root: str, until: Until) -> None:
    visit(page, root, until, f"{FIRST}&l=%2Fblock%2Fconv_0")
    until("document.querySelector('#chosen-body').innerText.includes('Layers after')")
    panel = page.inner_text("#chosen")
    assert "MACs" in panel
    assert "Moves" in panel
    assert page.locator("#icicle a").count() > 2
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")
    assert page.inner_text("#plot-run").endswith("2026-01-01 03:04:05")
    page.locator("#aligned-section").scroll_into_view_if_needed()
    settled(page)
    assert page.is_visible("#aligned-past")
    assert page.is_hidden("#aligned-found")
    assert page.is_hidden("#aligned-none")
    page.locator("[data-chart=slowest]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=slowest].drawn")
    assert page.inner_text("[data-chart=slowest] .which").endswith("2026-01-01 03:04:05")


@over_http
def test_a_failed_one_promises_no_layers(page: Any, root: str, until: Until) -> None:
    visit(page, root, until, f"{FAILED}&l=%2Fblock%2Fconv_0")
    assert page.is_visible("#failure")
    assert page.is_visible("#past")
    assert page.is_hidden("#past-layers")


@over_http
def test_axe_finds_nothing(inspected: Any, root: str) -> None:
    inspected.goto(f"{root}/models/m/index.html{FIRST}")
    inspected.wait_for_selector("#past:visible")
    settled(inspected)
    assert violations(inspected) == []
