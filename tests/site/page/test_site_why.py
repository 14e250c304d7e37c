"""Why a run takes its time, as a visitor of a model's page finds it."""

from __future__ import annotations

import dataclasses
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.runs.ceilings import ceilings
from support.sites import hostile_run, long_run, settled, violations

from onnxprof.publish.site import build
from onnxprof.records.ceilings import Ceilings, CeilingsKey
from onnxprof.records.run import Origin, Run
from onnxprof.store.beside import ceilings as store_of_ceilings
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
Until = Callable[[str], None]
#: For what does not depend on where the files come from.
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)


def visited() -> list[Run]:
    """One model at two sizes on a bounded and an unbounded runtime, a hostile and a long one."""
    long = long_run(600, "Relu")
    return [
        *(sample_run("alpha", batch, fused=False, seed=batch) for batch in (1, 8)),
        sample_run("alpha", 1, backend="other", fused=False),
        hostile_run(),
        dataclasses.replace(long, request=dataclasses.replace(long.request, model_name="long")),
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("why") / "sub path"
    build.build_site(visited(), folder, ceilings=[ceilings()])
    return folder


def page_of(out: Path, model: str) -> str:
    return (out / "models" / model / "index.html").read_text("utf-8")


def test_the_first_sentence_has_the_latency_over_its_lower_bound(out: Path) -> None:
    sentence = re.search(r'id="sentence"[^>]*>(.*?)</p>', page_of(out, "alpha"), re.DOTALL)
    assert sentence is not None
    assert re.search(r"[\d,.]+ times the least possible on this machine;", sentence[1])


def test_macs_stand_at_the_size_shown(out: Path) -> None:
    page = page_of(out, "alpha")
    assert re.search(r'<span id="macs">[^<]+ MACs at batch 1</span>', page)
    index = (out / "index.html").read_text("utf-8")
    assert re.search(r'title="[\d,]+ at batch 1"', index)


def test_a_run_without_ceilings_says_which_command_measures_them(out: Path, tmp_path: Path) -> None:
    build.build_site([sample_run("alpha", backend="other")], tmp_path / "site")
    page = page_of(tmp_path / "site", "alpha")
    assert "onnxprof ceilings --backend other --threads 2" in page
    assert 'class="ceiling"' not in page
    assert "times the least possible" not in page
    assert '<svg class="roofs"' in page  # what steps attain is known all the same
    assert "onnxprof ceilings --backend" not in page_of(out, "alpha")


def test_an_imported_run_names_no_command(tmp_path: Path) -> None:
    run = dataclasses.replace(sample_run("alpha"), origin=Origin("trtexec", "IProfiler"))
    build.build_site([run], tmp_path / "site")
    [page] = (tmp_path / "site" / "models").glob("*/index.html")
    text = page.read_text("utf-8")
    assert "onnxprof ceilings" not in text
    assert "was imported" in text


def test_files_of_a_run_have_its_bounds(out: Path) -> None:
    bounded, free = (
        (out / "models" / "alpha" / "runs" / name).read_text("utf-8")
        for name in ("alpha.cpu-fake.fake.b1.csv", "alpha.cpu-fake.other.b1.csv")
    )
    assert ",overhead,0." in bounded
    assert ",overhead,0." not in free


def test_new_ceilings_make_the_pages_of_their_device_anew(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    Store(store).save(sample_run("alpha"))
    Store(store).save(sample_run("beta", device="cpu:else"))
    first = build.build_from_stores([store], tmp_path / "site")
    assert first.reused == 0
    assert "there are no ceilings yet" in page_of(tmp_path / "site", "alpha")
    store_of_ceilings.save(store, ceilings())
    again = build.build_from_stores([store], tmp_path / "site")
    assert again.reused == 1  # beta's page, whose device they do not bound
    assert "times the least possible" in page_of(tmp_path / "site", "alpha")
    assert build.build_from_stores([store], tmp_path / "site").reused == 2


def test_ceilings_that_cannot_be_read_cost_themselves(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    Store(store).save(sample_run("alpha"))
    store_of_ceilings.save(store, ceilings()).write_text("{")
    made = build.build_from_stores([store], tmp_path / "site")
    assert made.models == 1
    assert any("ceilings cannot be read" in problem for problem in made.problems)


def test_a_long_model_has_a_picture_of_its_longest_steps(out: Path) -> None:
    page = page_of(out, "long")
    picture = page[page.index('<svg class="roofs"') :].partition("</svg>")[0]
    assert 0 < picture.count("data-layer=") <= 150
    assert "since all others take longer" in page
    assert len(gzip.compress(page.encode())) < 150_000


def other_threads() -> Ceilings:
    return ceilings(key=CeilingsKey("cpu:fake", "fake", "cpu", 16))


def test_ceilings_of_other_threads_bound_nothing(tmp_path: Path) -> None:
    build.build_site([sample_run("alpha")], tmp_path / "site", ceilings=[other_threads()])
    assert "there are no ceilings yet" in page_of(tmp_path / "site", "alpha")


browser = pytest.mark.browser
COLUMNS = {"macs": 10, "moved": 11, "gflops": 12, "gbps": 13, "possible": 14, "bound": 15}


def column(page: Any, name: str) -> list[str]:
    cells = page.locator(f"#timing-table tbody td:nth-child({COLUMNS[name]})")
    return cells.all_inner_texts()


def opened(page: Any, root: str, model: str = "alpha", fragment: str = "") -> None:
    page.goto(f"{root}/models/{model}/index.html{fragment}")
    page.wait_for_selector("#timing-table tbody tr")
    settled(page)


@browser
def test_a_visitor_finds_why_the_slowest_step_is_slow(page: Any, root: str, until: Until) -> None:
    """Question two of the site: why."""
    opened(page, root)
    assert "times the least possible" in page.locator("#sentence").inner_text()
    binds = page.locator(".binds tbody th").all_inner_texts()
    assert binds
    assert set(column(page, "bound")) - {""} <= {"compute", "L1", "L2", "L3", "main", "overhead"}
    mark = page.locator(".roofs a").first
    mark.hover()
    until("document.querySelector('.said').textContent.includes('of possible')")
    name = mark.get_attribute("data-layer")
    assert page.locator(".said").inner_text().startswith(f"{name}: ")


@browser
def test_another_batch_has_its_own_picture_and_columns(page: Any, root: str, until: Until) -> None:
    opened(page, root)
    before = column(page, "macs"), page.locator(".roofs").inner_html()
    page.check("#batches input[value='8']", force=True)
    until("document.getElementById('macs').textContent.endsWith('at batch 8')")
    until(
        "[...document.querySelectorAll('#timing-table tbody td:nth-child(10)')]"
        ".some((cell) => cell.textContent)"
    )
    after = column(page, "macs"), page.locator(".roofs").inner_html()
    assert after[0] != before[0]
    assert after[1] != before[1]
    page.check("#batches input[value='1']", force=True)
    until("document.getElementById('macs').textContent.endsWith('at batch 1')")
    assert (column(page, "macs"), page.locator(".roofs").inner_html()) == before


@browser
def test_the_scripts_rows_are_the_builders(page: Any, root: str, until: Until) -> None:
    opened(page, root)
    until("Boolean(onnxprof.reasons.of(onnxprof.model.current(), 0))")
    html = "[...document.querySelectorAll('#timing-table tbody tr')].map((row) => row.innerHTML)"
    built = page.evaluate(html)
    page.evaluate("document.dispatchEvent(new Event('onnxprof:reasons'))")
    assert [without_gaps(row) for row in page.evaluate(html)] == [without_gaps(r) for r in built]


def without_gaps(html: str) -> str:
    """The markup without white space between tags."""
    return re.sub(r">\s+<", "><", html.strip())


@browser
@over_http
def test_rows_sort_by_what_they_attain_of_possible(page: Any, root: str, until: Until) -> None:
    opened(page, root)
    until("Boolean(onnxprof.reasons.of(onnxprof.model.current(), 0))")
    page.click("#timing-table th:has-text('Of possible') button")
    settled(page)
    shown = [float(text.strip("≥<")) for text in column(page, "possible") if text]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) > 1


@browser
@over_http
def test_the_picture_is_one_tab_stop_and_arrows_go_along_it(page: Any, root: str) -> None:
    opened(page, root)
    stops = "document.querySelectorAll('.roofs a:not([tabindex=\"-1\"])').length"
    assert page.evaluate(stops) == 1
    page.locator(".roofs a").first.focus()
    names = set()
    for key in ("Home", "Right", "Right", "Left", "Left", "Up", "Down"):
        page.keyboard.press(key if key == "Home" else f"Arrow{key}")
        names.add(page.evaluate("document.activeElement.dataset.layer"))
        assert page.evaluate(stops) == 1
    assert len(names) > 1
    assert page.locator(".said").inner_text() != ""


@browser
@over_http
def test_a_mark_leads_to_its_row(page: Any, root: str) -> None:
    opened(page, root)
    name = page.locator(".roofs a").first.get_attribute("data-layer")
    page.locator(".roofs a").first.focus()
    page.keyboard.press("Enter")
    settled(page)
    assert page.locator("#timing-table tbody tr:visible th").first.inner_text() == name


@browser
@over_http
def test_a_runtime_without_ceilings_says_so_and_has_no_empty_columns(
    page: Any, root: str, until: Until
) -> None:
    opened(page, root, fragment="#cpu-fake.other/1")
    until("document.getElementById('why-shown').textContent.includes('onnxprof ceilings')")
    assert page.locator("#timing-table th:has-text('Bound by')").is_hidden()
    assert page.locator("#timing-table th:has-text('GFLOP/s')").is_visible()


@browser
@over_http
@pytest.mark.parametrize("width", [1280, 390])
def test_the_table_fits_and_phones_have_the_essential_columns(
    page: Any, root: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, root)
    beyond = page.locator(".scroll:has(> #timing-table)").evaluate(
        "(e) => e.scrollWidth - e.clientWidth"
    )
    assert beyond <= (1 if width == 1280 else 100), "on a phone the status is a stroke away"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#timing-table th:has-text('Bound by')").is_visible()
    assert page.locator("#timing-table th:has-text('Of possible')").is_visible()
    assert page.locator("#timing-table th:has-text('MACs')").is_visible() == (width == 1280)


@browser
@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_finds_nothing_wrong(inspected: Any, root: str, scheme: str) -> None:
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/models/alpha/index.html")
    settled(inspected)
    assert violations(inspected) == []


@browser
@over_http
def test_without_scripts_the_picture_and_the_columns_are_there(plain: Any, root: str) -> None:
    plain.goto(f"{root}/models/alpha/index.html")
    assert plain.locator(".roofs a").count() > 1
    href = plain.locator(".roofs a").first.get_attribute("href")
    assert plain.locator(f"tr{href}").count() == 1
    assert any(plain.locator("#timing-table tbody td:nth-child(10)").all_inner_texts())


@browser
def test_hostile_names_stay_text(page: Any, root: str, out: Path, until: Until) -> None:
    [slug] = [p.name for p in (out / "models").iterdir() if p.name not in ("alpha", "long")]
    opened(page, root, slug)
    page.evaluate(
        "onnxprof.model.ask('why', onnxprof.model.current().stem,"
        " `why/${onnxprof.model.current().stem}.js`).then((held) => {"
        " const t = document.createElement('template'); t.innerHTML = held.html;"
        " document.getElementById('why-shown').replaceChildren(t.content); })"
    )
    settled(page)
    assert page.locator("#why-shown script, #why-shown img").count() == 0
    assert page.locator(".roofs a").count() > 0


@browser
@over_http
def test_on_a_phone_every_mark_is_in_the_window_and_the_lines_are_listed(
    page: Any, root: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    reaches = page.locator(".roofs a > :last-child").evaluate_all(
        "(all) => all.map((e) => [e.getBoundingClientRect().left, e.getBoundingClientRect().right])"
    )
    assert reaches
    assert all(0 <= left <= right <= 390 for left, right in reaches)
    assert page.locator(".roofs .roof:visible").count() == 0
    assert "GB/s" in page.inner_text(".roof-lines")
    page.set_viewport_size({"width": 1280, "height": 844})
    assert page.locator(".roof-lines").is_hidden()
    assert page.locator(".roofs .roof").count() > 1
