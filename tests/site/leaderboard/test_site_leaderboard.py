"""The best system at a batch size across models, as a visitor finds it, over http and from disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.boards import board_runs, crowd_site
from support.sites import settled, violations

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.site import build
from onnxprof.publish.text.numbers import three
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
Until = Callable[[str], None]

#: Columns of the table by their runtime; the CPU's device has a hostile name, too.
CPU, OTHER, GPU = "Fake CPU (cpu:fake) · fake", "Fake CPU (cpu:fake) · other", "cuda:0:x) · other"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board") / "sub path"
    build.build_site(board_runs(), folder)
    return folder


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crowd") / "out"
    crowd_site(folder, 70)
    return folder


def latency(batch: int, **options: Any) -> int:
    return reconcile(sample_run("alpha", batch, **options)).total_ns


def row(page: Any, model: str) -> dict[str, str]:
    """The cells of a model's row by the heads of their columns, as text."""
    heads = page.locator("#models thead th").all_text_contents()
    cells = page.locator("#models tbody tr", has_text=model).first.locator("th, td")
    return {
        " ".join(head.split()): cell
        for head, cell in zip(heads, cells.all_inner_texts(), strict=True)
    }


def figure(page: Any, model: str, column: str) -> str:
    found = [text for head, text in row(page, model).items() if head.endswith(column)]
    return found[0].split("\n")[0].split("solid")[0].strip()


def winner(page: Any, model: str) -> str:
    return page.locator("#models tbody tr", has_text=model).locator("td.win > a").inner_text()


def names(page: Any) -> list[str]:
    return page.locator("#models tbody tr th a").all_inner_texts()


def check(page: Any, name: str, value: str) -> None:
    page.check(f"#controls input[name={name}][value='{value}']")
    settled(page)


def test_which_system_is_best_at_batch_eight(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    assert winner(page, "alpha") == three(latency(1, scale=0.5) / 1e6, 4)
    check(page, "batch", "8")
    fastest = latency(8, scale=0.25)
    assert winner(page, "alpha") == three(fastest / 1e6, 4)
    assert "at batch 8, 2 threads" in page.inner_text("#caption-models")
    check(page, "metric", "throughput")
    assert winner(page, "alpha") == three(8e9 / fastest)
    check(page, "metric", "relative")
    assert winner(page, "alpha") == "1.00"
    assert figure(page, "alpha", CPU) == three(latency(8) / fastest)
    assert figure(page, "bert", CPU) == "only batch 1"


def test_the_best_batch_is_that_of_the_least_time_per_item(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    check(page, "batch", "best")
    cells = row(page, "alpha")
    assert all("b8" in text for head, text in cells.items() if "·" in head and "co" not in head)
    assert winner(page, "alpha") == three(latency(8, scale=0.25) / 8 / 1e6, 4)
    assert "per item" in page.inner_text("#caption-models")


def test_energy_has_a_winner_of_its_own(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    check(page, "metric", "energy")
    assert winner(page, "lenet") == "4.00"
    assert figure(page, "lenet", CPU) == "5.00"
    assert figure(page, "alpha", CPU) == "not measured"


def test_cells_of_other_settings_say_so_and_lead_to_their_run(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    assert figure(page, "many", CPU) == "only 16 threads"
    assert "seq=128" in page.locator("#models tbody tr th", has_text="bert").inner_text()
    check(page, "threads", "16")
    assert figure(page, "many", CPU).replace(".", "").isdigit()
    assert figure(page, "many", OTHER) == "only 2 threads"
    page.locator("#models tr", has_text="many").get_by_text("only 2 threads").click()
    page.wait_for_url("**/models/many/index.html#*/1")


@over_http
def test_the_name_of_a_model_leads_to_what_its_row_shows(page: Any, root: str) -> None:
    def leads() -> str:
        link = page.locator("#models tbody tr", has_text="alpha").locator("th a")
        return str(link.get_attribute("href")).removeprefix("models/alpha/index.html")

    page.goto(f"{root}/index.html")
    assert leads() == ""
    check(page, "batch", "8")
    winner = page.locator("#models tbody tr", has_text="alpha").locator("td.win > a")
    assert leads() == "#" + winner.get_attribute("href").partition("#")[2] != "#"
    page.select_option("#runtime", "fake")
    settled(page)
    assert leads() == "#cpu-fake.fake/8"
    page.locator("#models tbody tr th a", has_text="alpha").click()
    page.wait_for_selector("#timing-table")
    settled(page)
    assert page.locator("#batches input:checked").get_attribute("value") == "8"
    assert page.input_value("#system") == "cpu-fake.fake"


@over_http
@pytest.mark.parametrize("width", [1280, 390])
def test_a_whole_bar_is_as_long_in_each_column(page: Any, root: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{root}/index.html")
    bars = page.locator("#models td .bar")
    lengths = {round(bar.bounding_box()["width"], 1) for bar in bars.all()}
    columns = {round(bar.bounding_box()["x"]) for bar in bars.all()}
    assert len(lengths) == 1
    assert len(columns) > 1


@over_http
def test_no_match_says_so_and_clears(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html#batch=8")
    settled(page)
    all_of_them = names(page)
    assert not page.is_visible("#no-match")
    page.fill("#search", "zzz")
    settled(page)
    assert names(page) == []
    page.click("#no-match button")
    settled(page)
    assert names(page) == all_of_them
    assert not page.is_visible("#no-match")
    assert "batch=8" in page.url


@over_http
def test_what_the_choice_does_not_change_says_whose_it_is(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    cell = page.locator("#models tbody tr", has_text="alpha").locator("td:has(.spark)")
    assert "fake" in cell.get_attribute("title")
    assert "whatever is chosen" in page.inner_text("#caption-models")
    assert "do not narrow this table" in page.inner_text("[aria-labelledby=compared] .note")


def test_sizes_are_chosen_for_the_models_that_have_several(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.select_option("#sizes", label="seq=16")
    settled(page)
    assert "seq=16" in page.locator("#models tbody tr th", has_text="bert").inner_text()
    assert figure(page, "bert", OTHER) == "only seq=128"
    assert figure(page, "alpha", CPU).replace(".", "").isdigit(), "it has no such axis"


def test_all_of_it_is_in_the_address_and_comes_back(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/index.html")
    check(page, "batch", "8")
    check(page, "metric", "throughput")
    page.fill("#search", "a")
    page.click(f'#models thead th[data-by="{CPU}"] button')
    page.wait_for_url("**#batch=8&show=throughput&*sort=*")
    link, shown = page.url, page.inner_text("#models")
    assert "find=a" in link
    page.click("#models tbody tr th a >> nth=0")
    page.wait_for_selector("#timing-table")
    page.go_back()
    page.wait_for_selector("#models")
    until("document.querySelector('#search').value === 'a'")
    settled(page)
    assert page.inner_text("#models") == shown, "filters are not lost on Back"
    page.go_back()
    until("!document.querySelector('thead [aria-sort]')")
    page.go_back()
    until("document.querySelector('#by-metric input').checked")
    page.go_forward()
    until("document.querySelector('#by-metric [value=throughput]').checked")
    page.goto("about:blank")
    page.goto(link)
    settled(page)
    assert page.inner_text("#models") == shown, "a copied link shows the same"


@over_http
def test_a_heading_in_the_address_changes_nothing(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html#batch=8")
    before = page.inner_text("#models")
    page.evaluate("location.hash = 'compared'")
    settled(page)
    assert page.inner_text("#models") == before
    page.goto(f"{root}/index.html#batch=77&show=beauty&sort=nothing&rows=-3&sizes=x")
    settled(page)
    assert "at batch 1, 2 threads" in page.inner_text("#caption-models"), "nonsense is the default"
    assert page.url.partition("#")[2] == "batch=1&show=latency&threads=2"


@over_http
def test_columns_sort_best_first_and_those_without_a_figure_stay_last(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    button = f'#models thead th[data-by="{CPU}"] button'
    page.click(button)
    up = names(page)
    assert up[0] == "alpha", "the fastest; runs on other threads and wrong ones do not count"
    page.click(button)
    down = names(page)
    known = 3
    assert down[:known] == up[:known][::-1]
    assert down[known:] == up[known:]


@over_http
def test_the_script_writes_what_the_builder_wrote(page: Any, root: str, plain: Any) -> None:
    plain.goto(f"{root}/index.html")
    page.goto(f"{root}/index.html")
    check(page, "batch", "8")
    check(page, "batch", "1")
    for part in ("#models", "#versus", "#versus-said"):
        written, made = (
            re.sub(r"\s+", " ", re.sub(r">\s+<", "><", tab.inner_html(part).strip()))
            for tab in (plain, page)
        )
        assert made.replace(' hidden=""', "") == written, part


@over_http
def test_without_scripts_there_is_one_documented_choice(plain: Any, root: str) -> None:
    plain.goto(f"{root}/index.html")
    assert "one choice: batch 1, 2 threads" in plain.inner_text("noscript")
    assert not plain.is_visible("#controls")
    assert plain.locator("#models tbody tr").count() == 7
    assert plain.locator("#models td.win").count() > 0


def test_systems_against_each_other_say_which_way(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")

    def ratio(mine: str, other: str) -> str:
        heads = page.locator("#versus thead th").all_inner_texts()
        line = page.locator("#versus tbody tr", has=page.locator("th", has_text=mine))
        place = next(i for i, head in enumerate(heads) if head.endswith(other))
        return line.first.locator("th, td").nth(place).inner_text()

    assert "times as fast as the column" in page.inner_text("#caption-versus")
    forth, back = ratio(OTHER, CPU).split(), ratio(CPU, OTHER).split()
    assert float(forth[0]) == pytest.approx(1 / float(back[0]), rel=0.02)
    assert forth[1:] == ["3", "models"]
    check(page, "batch", "8")
    assert ratio(OTHER, CPU).split()[1:] == ["1", "model"]
    page.locator("#versus td a").first.click()
    page.wait_for_url("**/pairs/*.html")


@over_http
def test_what_was_typed_on_a_pair_is_there_on_back(page: Any, root: str, out: Path) -> None:
    (first, *_) = sorted((out / "pairs").glob("*.html"))
    page.goto(f"{root}/pairs/{first.name}")
    page.fill("#search", "zzz")
    assert page.locator("#lines tbody tr:visible").count() == 0
    page.goto(f"{root}/method.html")
    page.go_back()
    settled(page)
    assert page.input_value("#search") == "zzz"
    assert page.locator("#lines tbody tr:visible").count() == 0


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str, width: int) -> None:
    inspected.set_viewport_size({"width": width, "height": 900})
    inspected.emulate_media(color_scheme=scheme)
    for choice in ("", "#batch=best&show=relative&sort=model"):
        inspected.goto("about:blank")
        inspected.goto(f"{root}/index.html{choice}")
        settled(inspected)
        assert violations(inspected) == []


@over_http
def test_by_keyboard_alone(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.focus("#by-batch input:checked")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert "at batch 8" in page.inner_text("#caption-models")
    page.focus("#models thead th:first-child button")
    page.keyboard.press("Enter")
    assert page.locator("#models thead th[aria-sort=ascending]").count() == 1


@over_http
def test_the_first_column_stays_on_a_phone(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{root}/index.html")
    page.evaluate("document.querySelector('#models').closest('.scroll').scrollLeft = 300")
    settled(page)
    box = page.locator("#models tbody th").first.bounding_box()
    assert box["x"] >= 0
    assert box["width"] < 390 / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@over_http
def test_many_models_come_in_pages(inspected: Any, root: str, crowd: Path) -> None:
    page = inspected
    page.goto(f"{crowd.as_uri()}/index.html")
    assert len(names(page)) == 50
    assert "first 50 of 70 models" in page.inner_text("#more")
    page.click("#more button >> nth=0")
    assert len(names(page)) == 70
    assert not page.is_visible("#more")
    page.go_back()
    settled(page)
    assert len(names(page)) == 50
    page.fill("#search", "model-069")
    assert names(page) == ["model-069"]
    assert page.inner_text("output[data-count=models]") == "1 of 70"
