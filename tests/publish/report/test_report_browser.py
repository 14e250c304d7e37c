"""A report as its receiver opens it: from disk, in a Chromium that reaches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pages.repeated import good
from support.sites import hostile_run, runs, settled, violations

from onnxprof.publish.report.write import report
from onnxprof.publish.site.worklist import of_runs
from onnxprof.publish.tables.timings import timing_csv

pytest_plugins = ["support.browsing"]
pytestmark = pytest.mark.browser
ALPHA = tuple(run for run in runs() if run.request.model_name == "alpha")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report") / "sub path"
    made.mkdir()
    given = {"one": ALPHA, "many": runs(), "hostile": [hostile_run()]}
    given["history"] = [good(1), good(2, 1.5), good(3, 1.2)]
    for name, found in given.items():
        (made / f"{name}.html").write_bytes(report(of_runs(found), "a title").content)
    return made


class Desk:
    """Opens reports with the network blocked, and notes what they ask for and complain of."""

    def __init__(self, browser: Any, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.troubles: list[str] = []
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))

    def _route(self, route: Any) -> None:
        """The file itself is opened; all else is refused and counted."""
        if route.request.url.split("?")[0].startswith(self.folder.as_uri()):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def open(self, name: str, rest: str = "") -> Any:
        self.page.goto(f"{(self.folder / name).as_uri()}.html{rest}")
        return self.page


@pytest.fixture
def desk(browser: Any, folder: Path) -> Iterator[Desk]:
    opened = Desk(browser, folder)
    yield opened
    opened.context.close()
    assert (opened.asked, opened.troubles) == ([], [])


@pytest.fixture
def bare(browser: Any, folder: Path) -> Iterator[Any]:
    """The same without scripts."""
    opened = Desk(browser, folder, java_script_enabled=False)
    yield opened
    opened.context.close()
    assert opened.asked == []


def ready(page: Any, selector: str = "html.js #timing-table tbody tr") -> None:
    page.locator(selector).first.wait_for()
    settled(page)


def test_a_model_is_shown_with_its_plot_and_charts(desk: Desk) -> None:
    page = desk.open("one")
    ready(page)
    assert page.title() == "alpha · a title"
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")
    page.locator("[data-chart=latency]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart=latency] .canvas .picture circle")
    assert page.evaluate("typeof Plotly") == "undefined"
    page.locator("#aligned").scroll_into_view_if_needed()
    page.wait_for_selector("#aligned-table tbody tr")


def test_any_two_runs_are_compared(desk: Desk) -> None:
    page = desk.open("one")
    ready(page)
    choices = page.locator("#other option").evaluate_all("all => all.map((o) => o.value)")
    assert {"cpu-fake.fake/8", "cuda-0-x.other/1"} <= set(choices)
    page.select_option("#other", "cuda-0-x.other/1")
    page.wait_for_selector("#compare-table tbody tr")
    assert "1.50 times as long" in page.locator("#verdict").inner_text()
    assert page.locator("#differs-table tbody tr").count()


def test_an_earlier_run_is_there(desk: Desk) -> None:
    page = desk.open("history")
    ready(page)
    assert page.locator("#when option").count() == 3
    newest = page.locator("#sentence").inner_text()
    page.select_option("#when", index=2)
    page.wait_for_selector("#past:not([hidden])")
    assert page.locator("#sentence").inner_text() != newest


def test_a_table_is_saved_as_it_is(desk: Desk) -> None:
    page = desk.open("one")
    ready(page)
    for batch in (1, 8):
        page.locator(f"#batches label:has(input[value='{batch}'])").click()
        settled(page)
        with page.expect_download() as saving:
            page.click("#csv")
        kept = saving.value
        assert kept.suggested_filename == f"alpha.cpu-fake.fake.b{batch}.csv"
        named = [run for run in ALPHA if run.request.batch == batch and run.timings]
        ours = max((r for r in named if r.device.id == "cpu:fake"), key=lambda r: r.created)
        assert Path(kept.path()).read_bytes().decode() == timing_csv([ours])


def test_links_lead_to_pages_of_the_file(desk: Desk) -> None:
    page = desk.open("many")
    ready(page, "html.js #models tbody tr")
    page.locator("#models th a", has_text="alpha").first.click()
    ready(page)
    assert page.title() == "alpha · a title"
    page.click("nav a:has-text('Method')")
    page.wait_for_selector("h1:has-text('Method')")
    page.go_back()
    ready(page)
    assert page.locator("h1").inner_text() == "alpha"
    page.click("nav a.home")
    ready(page, "html.js #models tbody tr")


def test_every_page_opens_and_its_links_stay(desk: Desk) -> None:
    page = desk.open("many")
    ready(page, "html.js #models tbody tr")
    seen, waiting = set(), {"?page=index.html"}
    while waiting - seen:
        address = min(waiting - seen)
        seen.add(address)
        desk.open("many", address)
        page.locator("html.js").wait_for()
        settled(page)
        assert page.locator("h1").count() == 1
        found = page.locator("a[href^='?page=']").evaluate_all(
            "all => all.map((a) => a.getAttribute('href').split('#')[0])"
        )
        waiting |= set(found)
    assert {"?page=layers.html", "?page=downloads.html", "?page=models/beta/index.html"} <= seen


def test_all_layers_come_from_the_file(desk: Desk) -> None:
    page = desk.open("many", "?page=layers.html")
    page.locator("html.js table tbody tr").first.wait_for()
    settled(page)
    assert page.locator("h1").inner_text() == "Layers of all models"


def test_an_unknown_page_is_the_first(desk: Desk) -> None:
    page = desk.open("one", "?page=../../etc/passwd")
    ready(page)
    assert page.locator("h1").inner_text() == "alpha"


def test_an_address_that_is_none_harms_nothing(desk: Desk) -> None:
    page = desk.open("one", "#cpu-fake.fake/1&l=%E0%A4%A")
    ready(page)
    assert page.locator("h1").inner_text() == "alpha"


def test_hostile_names_are_texts(desk: Desk) -> None:
    page = desk.open("hostile")
    ready(page)
    assert page.locator("img").count() == 0
    assert "</script><img" in page.locator("#timing-table").inner_text()
    desk.open("hostile", "?page=index.html")
    ready(page, "html.js #models tbody tr")
    assert page.locator("img").count() == 0


def test_without_scripts_the_run_is_there(bare: Any) -> None:
    page = bare.open("one")
    assert page.locator("#timing-table tbody tr").count() > 2
    assert page.locator("img.still").evaluate("image => image.naturalWidth") > 0
    dead = page.locator("a[href]").evaluate_all(
        "all => all.map((a) => a.getAttribute('href')).filter((h) => !/^(#|data:|https:)/.test(h))"
    )
    assert dead == []
    with page.expect_download() as saving:
        page.click("#csv")
    first = next(run for run in ALPHA if run.request.batch == 1)
    assert Path(saving.value.path()).read_bytes().decode() == timing_csv([first])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(inspected: Any, folder: Path, scheme: str) -> None:
    inspected.emulate_media(color_scheme=scheme)
    for name, rest in (("one", ""), ("many", ""), ("many", "?page=models/beta/index.html")):
        inspected.goto(f"{(folder / name).as_uri()}.html{rest}")
        inspected.locator("html.js").wait_for()
        settled(inspected)
        assert violations(inspected) == []


def test_paper_has_the_charts(desk: Desk) -> None:
    page = desk.open("one")
    ready(page)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".paper .picture").count() == page.locator("[data-chart]").count()
    assert page.locator(".canvas:visible").count() == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
