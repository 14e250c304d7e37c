"""What changed: the page, earlier runs to choose, strips, what differs; each file read once."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.pages.repeated import at, day, failed, good, wrong
from support.sites import HOSTILE, hostile_run, settled, violations

from onnxprof.compare.systems import differences
from onnxprof.publish.site import build
from onnxprof.records.run import CORES, Run
from onnxprof.store import folder as store_folder
from onnxprof.store.folder import Store

pytest_plugins = ["support.browsing"]
browser = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)
Until = Callable[[str], None]


def on_other(run: Run, **facts: str) -> Run:
    """The run on another device."""
    asked = dataclasses.replace(run.request, device_id="cpu:other", threads=4)
    device = dataclasses.replace(run.device, id="cpu:other", name="Other CPU")
    environment = tuple((dict(run.environment) | facts).items())
    return dataclasses.replace(run, request=asked, device=device, environment=environment)


def history() -> list[Run]:
    """A model with four runs of one request, a failed one, and a single run on another device."""
    return [
        good(1, runtime="ort 1.22", cores="0-1; 2"),
        good(2, 1.4, runtime="ort 1.23", cores="0-1; 3"),
        failed(3),
        wrong(4, 0.1),
        good(5, 1.8, runtime="ort 1.23", kernel="Linux 6.8"),
        on_other(good(6), cores="4-7; 0"),
    ]


def runs() -> list[Run]:
    hostile = hostile_run()
    return [
        *history(),
        *(good(1, model="n"), failed(2, "n")),
        *(at(hostile, day(1)), at(hostile, day(2))),
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changed") / "sub path"
    build.build_site(runs(), folder, base_url="https://example.org/m")
    return folder


def text_of(out: Path, page: str) -> str:
    return (out / page).read_text("utf-8")


def test_every_page_links_to_what_changed_and_names_the_feed(out: Path) -> None:
    for page in out.rglob("*.html"):
        html = page.read_text("utf-8")
        assert re.search(r'<a href="(\.\./)*changes\.html"[^>]*>Changes</a>', html), page
        assert re.search(r'type="application/atom\+xml"[^>]* href="(\.\./)*feed\.xml"', html), page
    ElementTree.fromstring((out / "feed.xml").read_bytes())


def test_without_an_address_there_is_no_feed(tmp_path: Path) -> None:
    build.build_site([good(1), good(2, 1.5)], tmp_path / "site")
    assert not (tmp_path / "site" / "feed.xml").exists()
    assert "feed.xml" not in text_of(tmp_path / "site", "changes.html")


def test_addresses_of_the_page_and_the_feed_are_runs_of_the_model(out: Path) -> None:
    """Every run that a link names is in the page's list, or is the newest of its request."""
    html = text_of(out, "models/m/index.html")
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
    known = {stamp for _, stamp, _, _ in data["history"]["earlier"]} | set(
        data["history"]["stamps"]
    )
    linked = set(re.findall(r"@([\w.]+)", text_of(out, "changes.html").replace("&#64;", "@")))
    named = {address for address in linked if address.startswith("202601")}
    assert named
    assert named <= known


def test_each_earlier_run_has_a_file_and_no_page_has_its_rows(out: Path) -> None:
    html = text_of(out, "models/m/index.html")
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
    files = [name for _, _, name, _ in data["history"]["earlier"]]
    assert len(files) == 4
    for name in files:
        text = text_of(out, f"models/m/history/{name}.js")
        assert text.startswith(f'window.onnxprof.earlier("{name}",{{')
        assert "</" not in text
    assert len(data["runs"]) == 2


def test_a_site_of_a_store_reads_each_run_once_and_again_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    store = Store(tmp_path / "runs")
    for number in range(1, 9):
        store.save(good(number, 1 + number / 10))
    read: Counter[Path] = Counter()
    load = store_folder.load

    def counted(path: Path) -> Run:
        read[path] += 1
        return load(path)

    monkeypatch.setattr(store_folder, "load", counted)
    build.build_from_stores([store.root], tmp_path / "site")
    assert len(read) == 8
    assert set(read.values()) == {1}
    first = text_of(tmp_path / "site", "changes.html")
    (tmp_path / "site" / "changes.csv").unlink()
    build.build_from_stores([store.root], tmp_path / "site")
    assert sum(read.values()) == 8
    assert text_of(tmp_path / "site", "changes.html") == first


def test_two_runs_of_one_second_are_in_the_order_they_were_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    first, second = good(1), at(good(2, 2.0), day(1))
    store.save(first)
    store.save(second)
    found, _ = store_folder.scan([store.root])
    medians = [each.median_ns or 0 for each in found]
    assert medians == sorted(medians)
    build.build_from_stores([store.root], tmp_path / "site")
    assert "@20260101T030405Z.2" in text_of(tmp_path / "site", "changes.html")


def test_nothing_measured_twice_is_said_plainly(tmp_path: Path) -> None:
    build.build_site([good(1)], tmp_path / "once")
    assert "Nothing has been measured twice yet" in text_of(tmp_path / "once", "changes.html")
    assert "was made once, so it has no history" in text_of(
        tmp_path / "once", "models/m/index.html"
    )
    build.build_site([], tmp_path / "none")
    assert "Nothing is measured yet" in text_of(tmp_path / "none", "changes.html")


@browser
def test_since_when_is_it_slower_and_what_differs(page: Any, root: str, until: Until) -> None:
    """The question of the page: from the index to the two runs and what differs between them."""
    page.goto(f"{root}/index.html")
    page.click("nav >> text=Changes")
    row = page.locator("#table-changed tbody tr").first
    assert "slower" in row.inner_text()
    assert "kernel" in row.inner_text()
    row.locator("td a").first.click()
    until("document.getElementById('differs-table')?.tBodies[0].rows.length > 0")
    rows = page.locator("#differs-table tbody tr").all_text_contents()
    assert any("kernel" in each and "Linux 6.8" in each for each in rows)
    assert page.locator("#compared").is_visible()
    assert page.locator("#history-section svg a.on").count() == 1


@browser
def test_an_earlier_run_is_read_when_it_is_chosen(
    page: Any, root: str, asked: list[str], until: Until
) -> None:
    page.goto(f"{root}/models/m/index.html")
    settled(page)
    assert not any("/history/" in address for address in asked)
    newest = page.inner_text("#sentence")
    assert page.locator("#when option").count() == 5
    page.select_option("#when", label="2026-01-01 03:04:05")
    until("location.hash.includes('@20260101T030405Z')")
    until(f"document.getElementById('sentence').innerText !== {json.dumps(newest)}")
    assert sum("/history/" in address for address in asked) == 1
    assert page.is_hidden("#csv")
    assert page.locator("#batches input:checked").get_attribute("value") == "1"
    assert page.locator("#timing-table tbody tr").count() > 0
    page.go_back()
    settled(page)
    assert page.inner_text("#sentence") == newest
    assert page.is_visible("#csv")


@browser
def test_an_earlier_runs_address_opens_it(page: Any, root: str, until: Until) -> None:
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake.2-threads/1@20260103T030405Z")
    until("!document.getElementById('failure').hidden")
    assert "killed <by> signal 9" in page.inner_text("#failure")
    page.goto("about:blank")
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake.2-threads/1@20260104T030405Z")
    until("!document.getElementById('wrong').hidden")
    page.goto("about:blank")
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake.2-threads/1@20200101T000000Z")
    settled(page)
    assert page.locator("#history-section svg a.on").count() == 1


@over_http
@browser
def test_what_differs_is_the_rule_of_compare(page: Any, root: str, until: Until) -> None:
    """The script's differences of any two runs are those that `compare` prints."""
    first = "cpu-fake.fake.2-threads/1"
    given = history()
    addresses = {
        f"{first}@20260101T030405Z": given[0],
        f"{first}@20260102T030405Z": given[1],
        f"{first}@20260103T030405Z": given[2],
        "cpu-other.fake.4-threads/1": given[5],
    }
    assert any(key == CORES for key, _ in given[0].environment)
    for a, run_a in addresses.items():
        for b, run_b in addresses.items():
            page.goto("about:blank")
            page.goto(f"{root}/models/m/index.html#{a}~{b}")
            until(f"location.hash === '#{a}~{b}'")
            until(f"[window.onnxprof.model.current(), window.onnxprof.model.other()].map("
                  f"window.onnxprof.model.spelled).join('~') === '{a}~{b}'")  # fmt: skip
            settled(page)
            rows = page.locator("#differs-table tbody tr").evaluate_all(
                "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
            )
            expected = [[each.what, each.a, each.b] for each in differences(run_a, run_b)]
            assert sorted(rows) == sorted(expected), (a, b)


@over_http
@browser
def test_an_earlier_run_shows_what_a_site_of_it_alone_shows(
    page: Any, root: str, plain: Any, until: Until, tmp_path: Path
) -> None:
    build.build_site([history()[0]], tmp_path / "alone")
    plain.goto((tmp_path / "alone" / "models" / "m" / "index.html").as_uri())
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake.2-threads/1@20260101T030405Z")
    until("window.onnxprof.model.current().stamp === '20260101T030405Z'")
    settled(page)
    for part in ("#timing-table tbody tr", "#timing-table tfoot tr", "#sentence", "#slowest li"):
        assert page.locator(part).all_inner_texts() == plain.locator(part).all_inner_texts()
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn .node")


@over_http
@browser
def test_the_strip_is_one_stop_of_the_tab_key_and_arrows_go_from_run_to_run(
    page: Any, root: str, until: Until
) -> None:
    page.goto(f"{root}/models/m/index.html")
    settled(page)
    stops = page.locator("#history-section svg a[tabindex='0']:visible")
    assert stops.count() == 1
    stops.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    until("location.hash.includes('@20260102T030405Z')")
    until("window.onnxprof.model.current().stamp === '20260102T030405Z'")
    page.select_option("#system", "cpu-other.fake.4-threads")
    settled(page)
    assert page.is_visible("#history-once")
    assert page.locator("figure.past:visible").count() == 0


@over_http
@browser
def test_a_hostile_model_has_a_history_too(page: Any, root: str, out: Path, until: Until) -> None:
    [slug] = [each.name for each in (out / "models").iterdir() if each.name not in ("m", "n")]
    page.goto(f"{root}/models/{slug}/index.html")
    settled(page)
    page.locator("#history-section svg a").first.focus()
    page.evaluate(
        "location.hash = document.querySelector('#history-section svg a').getAttribute('href')"
    )
    until("window.onnxprof.model.current().stamp === '20260101T030405Z'")
    page.goto(f"{root}/changes.html")
    assert "<script>alert" not in text_of(out, "changes.html")
    assert HOSTILE not in text_of(out, "feed.xml")


@over_http
@browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: str, width: int) -> None:
    inspected.emulate_media(color_scheme=scheme)
    inspected.set_viewport_size({"width": width, "height": 900})
    for address in ("changes.html", "models/m/index.html#cpu-fake.fake.2-threads/1"):
        inspected.goto(f"{root}/{address}")
        settled(inspected)
        assert violations(inspected) == []


@browser
def test_without_scripts_there_are_strips_and_changes(plain: Any, root: str) -> None:
    plain.goto(f"{root}/models/m/index.html")
    assert plain.locator("figure.past svg a").count() == 5
    plain.goto(f"{root}/changes.html")
    assert plain.locator("#table-changed tbody tr").count() == 1
    assert "slower" in plain.inner_text("#table-changed")
