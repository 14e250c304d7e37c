"""Charts of a model's page: like systems, names that can be told apart, points by their grade."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.pages.graded import graded_run
from support.sites import called, scoped_run, settled

from onnxprof.publish.drawing.apart import apart
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.embed import page_data, short_labels
from onnxprof.publish.site import build
from onnxprof.records.run import Run
from onnxprof.records.timings import Concurrency

pytest_plugins = ["support.browsing"]
Until = Callable[[str], None]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)

SOLID = [2 + i / 1e4 for i in range(40)]
ROUGH = [2.0, 2.04, 1.96, 2.0]
NOISE = [1.0, 2.0, 3.0]
GRADES = {"solid": SOLID, "rough": ROUGH, "noise": NOISE}
#: A third of each shared prefix, as exporters name the layers of a transformer.
NAMES = [
    f"bert/encoder/layer_{layer}/{part}/dense/MatMul"
    for layer in (0, 3, 11)
    for part in ("intermediate", "attention/output")
]


def run(backend: str, threads: int, batch: int, times: Sequence[float], streams: int = 0) -> Run:
    """A run of one model; the more threads, the faster."""
    made = graded_run("net", [ms * batch / threads for ms in times], batch=batch, backend=backend)
    request = dataclasses.replace(made.request, threads=threads, streams=streams)
    return dataclasses.replace(made, request=request)


def loaded() -> Run:
    """Two inferences at a time after those one by one."""
    made = run("ort", 2, 1, SOLID, streams=2)
    return dataclasses.replace(
        made, concurrency=Concurrency(2, 1, ((1_300_000,) * 50, (1_400_000,) * 50))
    )


def every() -> list[Run]:
    """Two runtimes on one and on two threads: pairs of unlike threads have more batch sizes."""
    grades = list(GRADES.values())
    return [
        *(run("ort", 1, batch, grades[i % 3]) for i, batch in enumerate((1, 2, 4, 8))),
        *(run("ov", 2, batch, SOLID) for batch in (1, 2, 4, 8)),
        *(run("ov", 1, batch, SOLID) for batch in (1, 2)),
        loaded(),
    ]


def renamed() -> Run:
    """A run of layers with long names that begin alike."""
    made = scoped_run(len(NAMES), size=1, stages=1)
    old = [layer.name for layer in made.table.nodes]
    new = dict(zip(old, NAMES, strict=True))
    layers = tuple(
        dataclasses.replace(layer, name=new.get(layer.name, layer.name)) for layer in made.table
    )
    steps = tuple(
        dataclasses.replace(step, layers=tuple(new.get(name, name) for name in step.layers))
        for step in made.steps
    )
    table = dataclasses.replace(made.table, layers=layers)
    return called(dataclasses.replace(made, table=table, steps=steps), "long names")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charts") / "sub path"
    long = renamed()
    eight = dataclasses.replace(long, request=dataclasses.replace(long.request, batch=8))
    build.build_site([*every(), long, eight], folder)
    return folder


def opened(page: Any, root: str, fragment: str = "", model: str = "net") -> None:
    page.goto(f"{root}/models/{model}/index.html{fragment}")


def figures_of(page: Any, key: str) -> Any:
    """What a chart is drawn from."""
    return page.evaluate(f"window.onnxprof.charts.of(document.querySelector('[data-chart={key}]'))")


def test_systems_say_which_are_alike() -> None:
    (page,) = catalogue(every())
    systems = page_data(page)["systems"]
    assert {system["short"]: system["threads"] for system in systems} == {
        "ort · 1 thread": 1,
        "ort · 2 threads · 2 streams": 2,
        "ov · 1 thread": 1,
        "ov · 2 threads": 2,
    }
    assert len({system["like"] for system in systems}) == 1


def test_a_short_name_leaves_out_what_all_systems_share() -> None:
    sized = [
        dataclasses.replace(each, request=dataclasses.replace(each.request, dims=(("seq", 128),)))
        for each in every()
    ]
    (page,) = catalogue(sized)
    assert all("seq=128" in system.label for system in page.systems)
    assert not any("seq" in label for label in short_labels(page))
    (alone,) = catalogue([sized[0]])
    assert short_labels(alone) == ["ort · seq=128"]


@pytest.mark.browser
@over_http
def test_the_speed_up_sets_like_against_like(page: Any, root: str, until: Until) -> None:
    opened(page, root)
    settled(page)
    systems = page.evaluate("window.onnxprof.model.data.systems")
    lines = page.evaluate("window.onnxprof.model.data.axes[0].lines")
    runs = page.evaluate("window.onnxprof.model.data.runs")
    chosen = [
        systems[runs[lines[int(page.input_value(f"#{end}"))][2][0][1]]["sys"]]
        for end in ("faster", "slower")
    ]
    assert {system["threads"] for system in chosen} == {1}, "though the others share more batches"
    page.locator("[data-chart=speedup]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=speedup].drawn")
    assert page.inner_text("#unlike") == ""
    page.select_option("#faster", label="ov · 2 threads")
    page.select_option("#slower", label="ort · 1 thread")
    until("document.querySelector('#unlike').textContent === 'Unlike: 2 threads against 1 thread.'")
    grades = figures_of(page, "speedup")["traces"][0]["meta"]["grades"]
    assert grades == ["solid", "rough", "noise", "solid"], "the worse one of each pair"


@pytest.mark.browser
@over_http
@pytest.mark.parametrize("key", ["latency", "throughput", "scaling"])
def test_points_are_filled_half_or_hollow(page: Any, root: str, key: str) -> None:
    opened(page, root, "#cpu-fake.ort.1-thread/1")
    settled(page)
    traces = figures_of(page, key)["traces"]
    trace = next(t for t in traces if len(t["x"]) == 4 and "noise" in t["meta"]["grades"])
    assert trace["meta"]["grades"] == ["solid", "rough", "noise", "solid"]
    assert "noise" in trace["text"][2]
    marker = trace["marker"]
    solid, rough, noise, _ = marker["color"]
    assert solid == rough == trace["line"]["color"] != noise
    assert marker["gradient"]["type"] == ["none", "horizontal", "none", "none"]


@pytest.mark.browser
@over_http
def test_a_legend_says_what_hollow_is(page: Any, root: str, plain: Any) -> None:
    for tab in (plain, page):
        opened(tab, root)
        panel = tab.locator(".panel").first
        assert panel.locator("circle.noise").count() == 1
        assert panel.locator("circle.rough + path").count() == 1, "its half"
        assert tab.locator(".dots").first.inner_text().split() == [
            *("Points", "by", "grade:", "solid", "rough", "noise")
        ]
        fills = panel.locator("a > circle:first-child").evaluate_all(
            "(all) => all.map((e) => [e.classList[0], getComputedStyle(e).fill])"
        )
        hollow = {fill for grade, fill in fills if grade == "noise"}
        assert hollow.isdisjoint(fill for grade, fill in fills if grade == "solid")
        words = panel.locator("a:has(circle.noise)").get_attribute("aria-label")
        assert words.endswith(", noise")
    opened(page, root, model="long-names")
    assert page.locator(".strip .dots").count() == 0, "all of one grade that is solid"


@pytest.mark.browser
@over_http
@pytest.mark.parametrize("key", ["slowest", "scaling"])
def test_names_with_a_long_common_beginning_are_told_apart(page: Any, root: str, key: str) -> None:
    opened(page, root, model="long-names")
    settled(page)
    made = figures_of(page, key)
    labels = (
        made["layout"]["yaxis"]["ticktext"]
        if key == "slowest"
        else [trace["name"] for trace in made["traces"]]
    )
    assert len(set(labels)) == len(labels) == len(NAMES)
    assert all(label.endswith("MatMul") and "layer_" in label for label in labels)
    listed = page.locator("#slowest .name bdi").all_inner_texts()
    assert len(set(listed)) == len(listed) == 5


@pytest.mark.browser
@over_http
def test_the_scripts_labels_are_the_builders(page: Any, root: str) -> None:
    opened(page, root)
    lists = [
        NAMES,
        ["a/b", "a/b", "a/c"],
        [
            f"model.encoder.stages.{i}.layers.{k}.conv"
            for i, k in itertools.product((1, 12), (0, 3))
        ],
        [f"resnetv17_stage{i}_unit1_batchnorm_forward_convolution" for i in range(3)],
        ["x" * 80, "x" * 80 + "y", ""],
    ]
    for names in lists:
        for limit in (9, 34):
            made = page.evaluate(
                "([names, limit]) => window.onnxprof.figures.apart(names, limit)", [names, limit]
            )
            assert made == apart(names, limit)


@pytest.mark.browser
@over_http
def test_labels_on_paper_are_whole_and_axes_plain(page: Any, root: str) -> None:
    opened(page, root, model="long-names")
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    starts = page.locator("[data-chart=slowest] .paper text[text-anchor=end]").evaluate_all(
        "(all) => all.map((e) => e.getBBox().x)"
    )
    assert len(starts) == len(NAMES)
    assert min(starts) >= 0
    marks = page.locator("[data-chart] .paper text[text-anchor=middle]").all_text_contents()
    assert "0" in marks
    assert not [mark for mark in marks if "." in mark and mark.endswith("0")], "5, never 5.00"
    page.emulate_media(media="screen")


@pytest.mark.browser
@over_http
def test_percentiles_and_streams_are_those_of_the_run(page: Any, root: str, plain: Any) -> None:
    for tab in (plain, page):
        opened(tab, root)
        heads = tab.locator("#percentiles thead th").all_inner_texts()
        assert [head.split()[0] for head in heads][2:7] == ["p50", "p90", "p95", "p99", "p99.9"]
        (alone,) = tab.locator("#percentiles tbody tr").all()
        cells = [text.replace("\xa0", " ") for text in alone.locator("td").all_inner_texts()]
        assert cells[:3] == ["40", "2.00 ms", "2.00 ms"]
        assert cells[3:6] == ["", "", ""], "40 samples are too few for p95"
    page.select_option("#system", label="Fake CPU · ort · 2 threads · 2 streams")
    settled(page)
    rows = page.locator("#percentiles tbody tr")
    assert rows.locator("th").all_inner_texts() == ["one at a time", "2 at a time, 1 thread each"]
    cells = rows.nth(1).locator("td").all_inner_texts()
    assert cells[0] == "100"
    assert cells[3].endswith("ms")
    assert not cells[4], "100 samples are too few for p99"
    assert cells[6].startswith("1,484 (")
    page.select_option("#system", label="Fake CPU · ort · 1 thread")
    settled(page)
    assert rows.count() == 1


@pytest.mark.browser
@over_http
def test_nothing_is_blank_beside_the_slowest_steps(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    opened(page, root, model="long-names")
    panel, under, slow = (
        page.locator(f".strip > {part}").first.bounding_box()
        for part in (".panel", ".under", ".slow")
    )
    assert math.isclose(panel["y"], slow["y"], abs_tol=1)
    assert under["y"] - (panel["y"] + panel["height"]) < 30
    lines = page.locator("#slowest .name").evaluate_all(
        "(all) => all.map((e) => e.getBoundingClientRect().height"
        " / parseFloat(getComputedStyle(e).lineHeight))"
    )
    assert max(lines) < 2.5


@pytest.mark.browser
@over_http
def test_a_heading_is_not_covered_by_the_bar(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 1000, "height": 800})
    opened(page, root, "#cpu-fake.ort.1-thread/1&l=/block/conv_0")
    for _ in range(2):
        settled(page)
        page.evaluate("document.querySelector('#timing').scrollIntoView()")
        settled(page)
        bar = page.locator("#choice").bounding_box()
        heading = page.locator("#timing").bounding_box()
        assert heading["y"] >= bar["y"] + bar["height"]
        page.set_viewport_size({"width": 760, "height": 800})
