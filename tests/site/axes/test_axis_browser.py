"""The charts of a model's page over the axis that its reader chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.pages.graded import with_latencies
from support.sites import called, settled, violations
from test_axis_charts import every, in_phases, phased

from onnxprof.publish.site import build
from onnxprof.records.run import Run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
Until = Callable[[str], None]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
DECODE = "tokens in the cache (decode)"
OVER = ("latency", "throughput", "speedup", "scaling", "stack", "gain")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("axes") / "sub path"
    named = [called(run, "phases") for run in in_phases()]
    build.build_site([*every(), *named, *_noisy()], folder)
    return folder


def _noisy() -> list[Run]:
    noise = with_latencies(phased("decode:64"), [1.0, 2.0, 3.0])
    return [called(run, "noisy") for run in (phased("decode:32"), noise)]


def opened(page: Any, root: str, fragment: str = "", model: str = "phases") -> None:
    page.goto(f"{root}/models/{model}/index.html{fragment}")
    settled(page)


def made(page: Any, key: str) -> Any:
    return page.evaluate(f"window.onnxprof.charts.of(document.querySelector('[data-chart={key}]'))")


def title(page: Any, key: str) -> str:
    return str(page.locator(f"[data-chart={key}] .title").text_content())


@over_http
def test_the_choice_is_in_the_address_and_back_undoes_it(
    page: Any, root: str, until: Until
) -> None:
    opened(page, root)
    assert page.input_value("#over") == "decode:"
    assert title(page, "latency") == f"Latency over {DECODE}, ms"
    page.select_option("#over", "prefill:")
    assert "&x=prefill" in page.evaluate("location.hash")
    assert title(page, "throughput") == "Throughput over tokens of a prompt (prefill), tokens/s"
    assert made(page, "latency")["layout"]["xaxis"]["ticktext"] == ["16", "32", "64"]
    page.go_back()
    until("document.querySelector('#over').value === 'decode:'")
    assert title(page, "latency") == f"Latency over {DECODE}, ms"
    opened(page, root, "#&x=prefill:")
    assert page.input_value("#over") == "prefill:"
    opened(page, root, "#&x=nothing")
    assert page.input_value("#over") == "decode:", "an axis that is not there is the first"


@over_http
def test_every_chart_is_drawn_over_each_axis(page: Any, root: str) -> None:
    for model, axis in (("phases", "prefill:"), ("gpt", "past"), ("gpt", "batch"), ("gpt", "new")):
        opened(page, root, f"#&x={axis}", model)
        for key in OVER:
            figure = page.locator(f"[data-chart={key}]")
            figure.scroll_into_view_if_needed()
            page.wait_for_selector(f"[data-chart={key}].drawn .main-svg")
            assert made(page, key)["traces"][0]["x"], (model, axis, key)


@over_http
def test_sizes_of_zero_are_on_a_linear_scale_and_have_no_gain(page: Any, root: str) -> None:
    opened(page, root, "#&x=past", "gpt")
    latency = made(page, "latency")
    assert latency["layout"]["xaxis"]["type"] == "linear"
    assert latency["layout"]["xaxis"]["ticktext"] == ["0", "128", "512"]
    assert len(latency["traces"]) == 8
    _, *lines = made(page, "gain")["traces"]
    assert {tuple(line["x"]) for line in lines} == {(128, 512)}


@over_http
def test_the_gain_is_the_size_over_the_time(page: Any, root: str) -> None:
    opened(page, root, "#&x=prefill:")
    latency, (guide, *gains) = made(page, "latency")["traces"], made(page, "gain")["traces"]
    assert guide["y"] == [1, 1]
    assert len(gains) == len(latency) == 2
    for line, gain in zip(latency, gains, strict=True):
        wanted = [
            size / line["x"][0] * line["y"][0] / ms
            for size, ms in zip(line["x"], line["y"], strict=True)
        ]
        assert gain["y"] == pytest.approx(wanted, rel=2e-3)


@over_http
def test_parts_add_up_to_the_latency(page: Any, root: str, until: Until) -> None:
    opened(page, root, "#&x=decode:")
    for by in ("operator", "step"):
        page.select_option("#stacked-by", by)
        until(f"document.querySelector('#stacked-by').value === '{by}'")
        stack = made(page, "stack")
        number = [t["name"] for t in made(page, "latency")["traces"]].index(stack["which"])
        latency = made(page, "latency")["traces"][number]["y"]
        sums = [sum(column) for column in zip(*(t["y"] for t in stack["traces"]), strict=True)]
        assert sums == pytest.approx(latency, rel=2e-3)
    assert "by=step" in page.evaluate("location.hash")


@over_http
@pytest.mark.parametrize("axis", ["prefill:", "decode:"])
@pytest.mark.parametrize("threads", ["1-thread", "2-threads"])
def test_growth_is_that_of_the_system_that_is_shown(
    page: Any, root: str, axis: str, threads: str
) -> None:
    opened(page, root, f"#cpu-fake.fake.{threads}.prefill-32/1&x={axis}")
    for key in ("scaling", "stack"):
        assert made(page, key)["which"] == f"fake · {threads.replace('-', ' ')}"


@over_http
def test_like_lines_are_set_against_each_other(page: Any, root: str) -> None:
    opened(page, root, "#&x=past", "gpt")
    names = [page.locator(f"#{end} option:checked").inner_text() for end in ("faster", "slower")]
    assert page.inner_text("#unlike") == ""
    held = [name.partition(" · ")[2] for name in names]
    assert held[0] == held[1]


@over_http
def test_points_are_graded_over_any_axis(page: Any, root: str) -> None:
    opened(page, root, "", "noisy")
    for key in ("latency", "throughput", "scaling"):
        assert made(page, key)["traces"][0]["meta"]["grades"][1] == "noise"


@over_http
def test_charts_over_an_axis_are_printed(page: Any, root: str) -> None:
    opened(page, root, "#&x=prefill:")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for key in OVER:
        assert page.locator(f"[data-chart={key}] .paper svg :is(rect, circle)").count() >= 2, key
    heights = page.locator("[data-chart=stack] .paper rect").evaluate_all(
        "(all) => all.map((e) => Number(e.getAttribute('height')))"
    )
    assert min(heights) >= 0
    assert max(heights) > 50
    page.emulate_media(media="screen")


@over_http
def test_the_dot_of_the_run_that_is_shown_is_marked(page: Any, root: str) -> None:
    opened(page, root)
    dots = page.locator(".panel .line a")
    href = dots.nth(2).get_attribute("href")
    page.evaluate(f"location.hash = '{href}'")
    settled(page)
    marked = page.locator(".panel .line a.on").evaluate_all(
        "(all) => all.map((e) => e.getAttribute('href'))"
    )
    assert set(marked) == {href}
    assert len(marked) == 2, "in both panels"


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str, width: int) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/models/phases/index.html#&x=prefill:")
    inspected.locator("[data-chart=stack]").scroll_into_view_if_needed()
    inspected.wait_for_selector("[data-chart=stack].drawn")
    assert inspected.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(inspected) == []
