"""The list of every layer: its index, its page, and what a reader does with both."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.published.dlperf_clone import published
from support.sites import HOSTILE, hostile_run, runs, settled, violations

from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.publish.layerlist.index import Batch, batches, first
from onnxprof.publish.layerlist.part import WITHOUT, part
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.site.build import build_site
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers") / "sub path"
    every = [*runs(), *published(tmp_path_factory.mktemp("dlperf"))]
    build_site(every, folder, base_url="https://example.org/a", project_url="https://example.org/p")
    return folder


def index(*measured: Run) -> dict[int, Batch]:
    return {one.batch: one for one in batches(map(part, catalogue(measured)))}


def data(one: Batch) -> dict[str, Any]:
    match = re.fullmatch(r"onnxprof\.layerIndex\((\d+),(.*)\);\n", one.text, re.DOTALL)
    assert match is not None
    assert int(match[1]) == one.batch
    found: dict[str, Any] = json.loads(match[2])
    return found


def test_the_index_has_each_layer_with_its_time_or_why_it_has_none() -> None:
    run = sample_run("alpha", 2)
    one = data(index(run)[2])
    assert one["models"] == [["alpha", "alpha"]]
    assert one["layers"]["name"] == [layer.name for layer in run.table.nodes]
    ops = [one["words"]["op"][place] for place in one["layers"]["op"]]
    assert ops == ["Conv", "Relu", "Gemm"]
    rows = {row.name: row for row in reconcile(run).rows}
    conv, relu, gemm = one["layers"]["name"]
    assert [one["ns"][0], one["ns"][2]] == [rows[conv].median_ns, rows[gemm].median_ns]
    assert WITHOUT[-1 - one["ns"][1]] is Status.FUSED
    assert rows[relu].status is Status.FUSED


def test_what_runs_share_is_said_once() -> None:
    same = [sample_run("alpha", 2, device=f"cpu:{i}") for i in range(4)]
    one = data(index(*same)[2])
    assert len(one["layers"]["name"]) == 3
    assert len(one["ns"]) == 12
    assert one["runs"]["set"] == [0, 0, 0, 0]
    assert len(one["words"]["shape"]) == 1


def test_totals_add_up_and_leave_out_published_bounds(tmp_path: Path) -> None:
    run = sample_run("alpha", 1)
    bounds = [bound for bound in published(tmp_path) if bound.request.batch == 1]
    alone, beside = index(run)[1], index(run, *bounds)[1]
    assert beside.totals[: len(alone.totals)] == alone.totals
    assert all(total.timed == 0 for total in beside.totals[len(alone.totals) :])
    assert beside.rows > alone.rows
    timed = [row for row in reconcile(run).rows if row.status is Status.TIMED]
    assert sum(total.ns for total in alone.totals) == sum(row.median_ns or 0 for row in timed)
    assert {total.operator: total.layers for total in alone.totals} == {
        "Conv": 1,
        "Relu": 1,
        "Gemm": 1,
    }


def test_the_page_opens_at_the_batch_of_the_most_runs() -> None:
    found = batches(
        map(part, catalogue([sample_run("a", 1), sample_run("a", 8), sample_run("b", 8)]))
    )
    shown = first(found)
    assert shown is not None
    assert shown.batch == 8
    assert first(()) is None


def test_names_cannot_end_the_script() -> None:
    run = hostile_run()
    text = index(run)[run.request.batch].text
    assert "</" not in text
    assert "\u2028" not in text


def test_a_site_without_runs_says_that_there_is_no_layer(tmp_path: Path) -> None:
    build_site([], tmp_path / "out")
    page = (tmp_path / "out" / "layers.html").read_text("utf-8")
    assert "There is no layer to list yet" in page
    assert "<table" not in page
    assert "layerlist.js" not in page
    assert not (tmp_path / "out" / "layers").exists()


def test_the_site_has_the_list_its_index_and_a_way_to_it(out: Path) -> None:
    page = (out / "layers.html").read_text("utf-8")
    for batch in re.findall(r'<option value="(\d+)"', page):
        assert (out / "layers" / f"batch-{batch}.js").is_file()
    assert 'href="layers.html"' in (out / "index.html").read_text("utf-8")
    assert "https://example.org/a/layers.html" in (out / "sitemap.xml").read_text("utf-8")


def test_published_bounds_have_pages_and_no_place_among_latencies(out: Path) -> None:
    index_text = (out / "index.html").read_text("utf-8")
    assert "MNIST" not in index_text
    assert 'href="bounds.html"' in index_text
    bounds = (out / "bounds.html").read_text("utf-8")
    assert bounds.count("<table") == 2
    folder = out / "models" / "mnist"
    for stem in ("mnist.cuda-0-tesla-k80.cudnn.b1", "mnist.cuda-0-tesla-k80.cudnn.b8"):
        assert (folder / "runs" / f"{stem}.csv").is_file()
        assert (folder / "runs" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    text = (folder / "index.html").read_text("utf-8")
    assert "As published in 2020: cuDNN primitives timed one by one" in text
    assert "lower bound" in text
    device = (out / "devices" / "cuda-0-tesla-k80.html").read_text("utf-8")
    assert "≥&nbsp;" in device
    assert not [path for path in (out / "pairs").glob("*.html") if "tesla" in path.name]


def test_models_have_a_picture_where_the_address_is_known(out: Path, tmp_path: Path) -> None:
    page = (out / "models" / "alpha" / "index.html").read_text("utf-8")
    picture = "https://example.org/a/models/alpha/card.png"
    assert f'<meta property="og:image" content="{picture}">' in page
    assert '<meta property="og:title" content="alpha · onnxprof">' in page
    data = (out / "models" / "alpha" / "card.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (1200, 630)
    assert '<a href="https://example.org/p"' in page
    plain = build_site([sample_run("alpha")], tmp_path / "out")
    assert "og:" not in (plain.index.parent / "models/alpha/index.html").read_text("utf-8")
    assert not list(plain.index.parent.rglob("card.png"))


def test_every_name_can_be_drawn(tmp_path: Path) -> None:
    build_site([hostile_run()], tmp_path / "out", base_url="https://example.org/")
    [picture] = (tmp_path / "out").rglob("card.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    [page] = (tmp_path / "out" / "models").glob("*/index.html")
    assert HOSTILE[:20] not in page.read_text("utf-8")


def test_a_site_of_bounds_alone_has_the_list_and_no_totals(tmp_path: Path) -> None:
    build_site(published(tmp_path / "dlperf"), tmp_path / "out")
    page = (tmp_path / "out" / "layers.html").read_text("utf-8")
    totals = page.split('id="ll-totals"')[1].split("</table>")[0]
    assert totals.count("<tr>") == 1
    assert 'href="bounds.html"' in (tmp_path / "out" / "index.html").read_text("utf-8")


# In a browser.


def rows(page: Any) -> int:
    return int(page.locator("#ll-rows tbody tr").count())


@pytest.fixture
def opened(page: Any, root: str, until: Callable[[str], None]) -> Callable[[str], Any]:
    def open_at(fragment: str = "") -> Any:
        page.goto(f"{root}/layers.html{fragment}")
        until("document.querySelector('#ll-rows tbody tr') !== null")
        return page

    return open_at


def test_which_layers_of_an_operator_are_slowest(opened: Callable[[str], Any]) -> None:
    page = opened("")
    every = rows(page)
    page.select_option("#ll-op", "Gemm")
    settled(page)
    assert 0 < rows(page) < every
    assert set(page.locator("#ll-rows tbody td:nth-child(3)").all_text_contents()) == {"Gemm"}
    times = [
        float(text) for text in page.locator("#ll-rows tbody td:nth-child(7)").all_text_contents()
    ]
    assert times == sorted(times, reverse=True)
    assert "op=Gemm" in page.url


def test_times_stand_on_their_points(opened: Callable[[str], Any]) -> None:
    page = opened("")
    for table in ("#ll-totals", "#ll-rows"):
        behind = page.locator(f"{table} td.ms").evaluate_all(
            "(all) => all.map((e) => (e.textContent + e.dataset.room).split('.')[1].length)"
        )
        assert len(behind) > 1
        assert len(set(behind)) == 1


def test_filters_stand_in_the_address_and_come_back(opened: Callable[[str], Any]) -> None:
    page = opened("#op=Gemm&q=alpha&sort=name")
    assert page.input_value("#ll-op") == "Gemm"
    assert page.input_value("#ll-q") == "alpha"
    assert page.get_attribute("#ll-rows th[data-key=name]", "aria-sort") == "ascending"
    page.select_option("#ll-op", "Conv")
    settled(page)
    page.go_back()
    settled(page)
    assert page.input_value("#ll-op") == "Gemm"


def test_published_bounds_are_listed_where_they_are_asked_for(
    opened: Callable[[str], Any],
) -> None:
    page = opened("#b=8")
    assert "MNIST" not in page.inner_text("#ll-rows")
    page.select_option("#ll-system", label="Tesla K80 · cudnn")
    settled(page)
    text = page.inner_text("#ll-rows")
    assert "≥" in text
    assert "never timed" in text


def test_an_operator_of_the_totals_is_a_filter(opened: Callable[[str], Any]) -> None:
    page = opened("")
    page.click("#ll-totals tbody button:has-text('Conv')")
    settled(page)
    assert page.input_value("#ll-op") == "Conv"
    page.click("button[type=reset]")
    settled(page)
    assert page.input_value("#ll-op") == ""


def test_a_row_leads_to_its_layer(opened: Callable[[str], Any]) -> None:
    page = opened("#q=alpha")
    link = page.locator("#ll-rows tbody th a").first
    assert "&l=" in link.get_attribute("href")
    link.click()
    page.wait_for_url("**/models/alpha/index.html**")


def test_totals_stand_there_without_scripts(plain: Any, root: str) -> None:
    plain.goto(f"{root}/layers.html")
    assert "Conv" in plain.inner_text("#ll-totals")


@over_http
@pytest.mark.parametrize("name", ["layers.html", "bounds.html", "models/mnist/index.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_a_reader_out(inspected: Any, root: str, name: str, scheme: Any) -> None:
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/{name}")
    inspected.wait_for_timeout(300)
    assert violations(inspected) == []


@pytest.mark.skipif(os.name == "nt", reason="one system is enough for a picture")
@pytest.mark.parametrize("name", ["layers.html", "bounds.html"])
def test_nothing_is_wider_than_a_phone(page: Any, root: str, name: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{root}/{name}")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
@pytest.mark.parametrize("root", ["http"], indirect=True)
def test_an_address_of_nothing_is_mended(page: Any, root: str) -> None:
    page.goto(f"{root}/layers.html#b=99&op=zzz&sort=nothing")
    page.wait_for_selector("#ll-rows tbody tr")
    assert "asked for zzz" in page.inner_text("#ll-said")
    assert page.input_value("#ll-op") == ""
    assert "#" not in page.url


def threaded(model: str, threads: int, backend: str = "fake", batch: int = 1, **more: int) -> Run:
    made = sample_run(model, batch, backend=backend)
    request = dataclasses.replace(made.request, threads=threads, dims=tuple(more.items()))
    return dataclasses.replace(made, request=request)


def test_a_system_has_one_name_for_all_models() -> None:
    found = index(threaded("a", 1), threaded("a", 2), threaded("b", 1))[1]
    assert data(found)["words"]["system"] == [
        "Fake CPU · fake · 1 thread",
        "Fake CPU · fake · 2 threads",
    ]
    assert found.system == "Fake CPU · fake · 1 thread"
    assert [total.timed for total in found.totals if total.operator == "Gemm"] == [2]


def test_other_sizes_than_those_of_most_runs_are_a_system_of_their_own() -> None:
    runs_ = [threaded("a", 1, batch=b, seq=128) for b in (1, 2)]
    found = index(*runs_, threaded("a", 1, seq=16))[1]
    assert data(found)["words"]["system"] == [
        "Fake CPU · fake · 1 thread · seq=16",
        "Fake CPU · fake · 1 thread",
    ]


def test_the_usual_system_is_that_of_most_runs_at_all_batch_sizes() -> None:
    many = [threaded("a", 2, batch=b) for b in (1, 2, 4)]
    found = index(*many, threaded("a", 1), threaded("b", 1))
    assert {batch: one.system for batch, one in found.items()} == dict.fromkeys(
        (1, 2, 4), "Fake CPU · fake · 2 threads"
    )


def test_one_system_is_shown_until_another_is_chosen(
    opened: Callable[[str], Any], out: Path
) -> None:
    page = opened("")
    chosen = page.input_value("#ll-system")
    assert chosen == page.inner_text("#ll-usual")
    assert set(page.locator("#ll-rows tbody td:nth-child(6)").all_text_contents()) == {chosen}
    assert chosen in page.inner_text("#ll-said")
    assert "system=" not in page.url
    one = rows(page)
    page.select_option("#ll-system", "all")
    settled(page)
    assert "system=all" in page.url
    assert rows(page) > one
    assert "all measured systems together" in page.inner_text("#ll-said")
    page.go_back()
    settled(page)
    assert page.input_value("#ll-system") == chosen
    assert rows(page) == one


def test_a_batch_size_that_the_system_lacks_has_its_own_usual_one(
    opened: Callable[[str], Any],
) -> None:
    page = opened("#system=Fake+GPU+%C2%B7+nothing")
    assert "nothing" in page.inner_text("#ll-said")
    assert page.input_value("#ll-system") == page.inner_text("#ll-usual")
    page.select_option("#ll-batch", "8")
    settled(page)
    usual = page.locator("#ll-batch option:checked").get_attribute("data-system")
    assert page.input_value("#ll-system") == usual
