"""The page of systems against models under load: there where there are such runs, and right."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from support.runs.scenarios import answer, asked, scenario_run
from support.sites import HOSTILE

from onnxprof.publish.site.build import build_from_stores
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.records.scenarios.run import LABEL
from onnxprof.store.beside.scenarios import save
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]


def fill(store: Path) -> None:
    """Two models, each scenario, a quick, an invalid, a failed and a hostile run."""
    for scenario in Scenario:
        save(store, scenario_run(scenario, "alpha"))
    save(store, scenario_run(model="beta", asked=asked(model="beta", duration_s=5.0)))
    late = replace(answer(Scenario.SERVER), valid=False, latency_met=False)
    save(store, scenario_run(model="late", answer=late))
    save(store, scenario_run(model="gone", answer=None, floor=None, failure="<b>crashed</b>"))
    hostile = scenario_run(Scenario.OFFLINE, HOSTILE, command=HOSTILE, loadgen=HOSTILE)
    save(store, replace(hostile, device=replace(hostile.device, name=HOSTILE)))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    store = folder / "runs"
    Store(store).save(sample_run("alpha"))
    fill(store)
    build_from_stores([store], folder / "sub path")
    return folder / "sub path"


def test_the_page_has_every_model_with_its_marks(out: Path) -> None:
    page = (out / "scenarios.html").read_text("utf-8")
    assert LABEL in page
    for text in ("50 queries/s q<", "none !<", "49.5 samples/s <", "floor 40.00 µs"):
        assert text in page
    assert "failed: &lt;b&gt;crashed&lt;/b&gt;" in page
    assert "onnxprof scenario zoo:alpha --scenario offline" in page
    assert "<script>alert" not in page
    assert "scenarios.html" in (out / "index.html").read_text("utf-8")


def test_without_such_runs_there_is_no_page_and_no_link(tmp_path: Path) -> None:
    Store(tmp_path / "runs").save(sample_run("alpha"))
    save(tmp_path / "runs", scenario_run(asked=asked(rate=9.0)))  # at a rate that was given
    build_from_stores([tmp_path / "runs"], tmp_path / "out")
    assert not (tmp_path / "out" / "scenarios.html").exists()
    assert "scenarios.html" not in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_new_run_is_on_the_page_of_the_next_build(tmp_path: Path) -> None:
    store, site = tmp_path / "runs", tmp_path / "out"
    save(store, scenario_run(Scenario.OFFLINE, "alpha"))
    build_from_stores([store], site)
    page = site / "scenarios.html"
    before = page.read_bytes()
    build_from_stores([store], site)
    assert page.read_bytes() == before
    save(store, scenario_run(Scenario.OFFLINE, "beta"))
    build_from_stores([store], site)
    assert b">beta<" in page.read_bytes()


def test_a_copied_run_counts_once_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    stores = [tmp_path / "a", tmp_path / "b"]
    for store in stores:
        save(store, scenario_run(Scenario.OFFLINE, "alpha"))
    save(stores[0], scenario_run(Scenario.SERVER)).write_text("{")
    built = build_from_stores(stores, tmp_path / "out")
    assert len(built.problems) == 1
    assert "scenario cannot be read" in built.problems[0]
    assert "1 run with" in (tmp_path / "out" / "index.html").read_text("utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
def test_from_the_index_to_the_page(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.click("#under-load + p a")
    assert page.locator("h1").inner_text() == "Models under load"
    assert page.locator("table").count() == len(Scenario) + 1


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser: Any, root: str, scheme: str, width: int) -> None:
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    # the policy of the pages would keep the checker out
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page = context.new_page()
    for path in ("scenarios.html", "index.html"):
        page.goto(f"{root}/{path}")
        page.evaluate(axe)
        found = page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.map("
            "(v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))]))"
        )
        assert found == [], path
    context.close()
