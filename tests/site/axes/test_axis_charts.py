"""Charts of a model's page over axes other than the batch."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from onnxprof.publish.pages.axis_lines import over_axes
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.charts import charts
from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]


def sized(batch: int, past: int, new: int, backend: str = "fake") -> Run:
    run = sample_run("gpt", batch=batch, backend=backend, scale=1 + past / 100 + new / 10)
    dims = (("past", past), ("new", new), ("total", past + new))
    return replace(run, request=replace(run.request, dims=dims))


def every() -> list[Run]:
    sizes = product((1, 2), (0, 128, 512), (1, 16), ("fake", "other"))
    return [sized(*each) for each in sizes]


def test_a_line_for_each_system_and_choice_of_the_other_sizes() -> None:
    [page] = catalogue(every())
    past, new = over_axes(page)
    assert (past.axis, new.axis) == ("past", "new")
    assert len(past.lines) == 8
    assert len(new.lines) == 12
    names = [name for name, _ in past.lines]
    assert any(name.endswith("batch 1, new=16") and "fake" in name for name in names)
    assert not any("total" in name or "past" in name for name in names)
    assert all([size for size, _ in points] == [0, 128, 512] for _, points in past.lines)
    assert all(a[1] < b[1] for _, points in past.lines for a, b in [points[:2]])
    titles = [chart.title for chart in charts(page)]
    assert titles[-2:] == ["Latency over past, ms", "Latency over new, ms"]


def test_no_chart_without_two_sizes() -> None:
    [page] = catalogue([sized(1, 0, 1), sized(2, 0, 1)])
    assert not list(over_axes(page))
    assert not any(chart.lines for chart in charts(page))
    [plain] = catalogue([sample_run(batch=1), sample_run(batch=2)])
    assert not list(over_axes(plain))


def test_names_of_axes_do_no_harm(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>&\u202e'
    runs = []
    for size in (0, 8):
        run = sample_run("net")
        runs.append(replace(run, request=replace(run.request, dims=((evil, size),))))
    build.build_site(runs, tmp_path / "out")
    text = next((tmp_path / "out").glob("models/*/index.html")).read_text("utf-8")
    assert "<script>alert(1)" not in text
    found = re.search(r'data-lines="([^"]*)"', text)
    assert found is not None
    axis, lines = json.loads(html.unescape(found[1]))
    assert "alert(1)" in axis
    assert [size for size, _ in lines[0][1]] == [0, 8]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("axes") / "sub path"
    build.build_site(every(), folder)
    return folder


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
def test_the_chart_is_drawn_over_the_axis(page: Any, root: str) -> None:
    page.goto(f"{root}/models/gpt/index.html")
    figure = page.locator("figure[data-chart=over]").first
    figure.scroll_into_view_if_needed()
    page.wait_for_selector("figure[data-chart=over].drawn")
    made = page.evaluate(
        "() => { const f = document.querySelector('figure[data-chart=over]');"
        " const made = window.onnxprof.charts.of(f);"
        " return [made.layout.xaxis.type, made.layout.xaxis.ticktext, made.traces.length]; }"
    )
    assert made == ["linear", ["0", "128", "512"], 8]
    assert figure.locator("figcaption").inner_text().strip() == "Latency over past, ms"
