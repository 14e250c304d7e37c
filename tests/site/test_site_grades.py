"""How sure a figure is: grades on every page, folded warnings, whiskers; none for wrong outputs."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.pages.graded import THREE, graded_run
from support.sites import failed_run, hostile_run, settled, wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.drawing import bars
from onnxprof.publish.pages import embed, side_by_side
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.pair import pair_pages
from onnxprof.publish.pdf.timings import manuscript
from onnxprof.publish.site import build
from onnxprof.publish.text.grades import unchecked_text
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence
from onnxprof.records.warning import WarningKind
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
browser = pytest.mark.browser
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)

KINDS = (WarningKind.FEW_SAMPLES, WarningKind.WIDE_INTERVAL, WarningKind.BUSY_MACHINE)
NOISY = (400.0, 500.0, 300.0, 450.0, 399.0, 480.0, 290.0)


def graded_runs() -> list[Run]:
    """A model with a run of each grade, one that is fast and wrong, and an earlier run."""
    return [
        sample_run("m", 1),
        graded_run("m", THREE, *KINDS, batch=2),
        graded_run("m", NOISY, batch=8),
        graded_run("m", NOISY, batch=8, created="2025-01-01T00:00:00Z"),
        sample_run("m", 1, "cuda:0:x", "other", scale=0.5),
        graded_run("m", [0.5 * ms for ms in THREE], batch=2, device="cuda:0:x", backend="other"),
        failed_run("m", 4),
        wrong_run(),
        hostile_run(),
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded") / "sub path"
    build.build_site(graded_runs(), folder)
    return folder


def text_of(out: Path, page: str) -> str:
    return (out / page).read_text("utf-8")


def words(html: str) -> list[str]:
    return re.findall(r'class="grade (solid|rough|noise)"', html)


def row_of(html: str, model: str) -> str:
    """The first row of a table whose heading is a link to the model."""
    rows = (row for row in html.split("<tr") if row.count("</th>") == 1)
    return next(row for row in rows if f"models/{model}/index.html" in row.split("</th>")[0])


def test_each_page_wears_grades_and_wrong_outputs_have_none(out: Path) -> None:
    pages = [out / "index.html", *(out / "devices").glob("*.html")]
    pages = [page for page in pages if "liar/" in page.read_text("utf-8")]
    assert len(pages) == 2
    for page in pages:
        html = page.read_text("utf-8")
        assert "grades.css" in html
        assert "method.html#grades" in html
        body = html.split("<tbody>", 1)[1]
        assert words(row_of(body, "m"))
        assert words(row_of(body, "liar")) == []
        assert "<s>" in row_of(body, "liar")


def test_a_device_has_a_grade_a_batch_and_says_how_many_samples(out: Path) -> None:
    pages = [path.read_text("utf-8") for path in sorted((out / "devices").glob("*.html"))]
    (html,) = [page for page in pages if "Fake CPU (cpu:fake)" in page.split("</h1>")[0]]
    row = row_of(html, "m")
    assert words(row) == ["solid", "rough", "noise"]
    assert "ns, range 751–776, 3 samples" in row
    assert re.search(r"ns, ±0\.\d %, 80 samples", row)
    assert "±" not in row.split("range 751")[1].split("</td>")[0]


def test_a_ratio_has_the_worse_grade_and_a_mean_the_worst() -> None:
    ((pair, *_), _) = pair_pages([p for p in catalogue(graded_runs()) if p.slug == "m"])
    (row,) = pair.rows
    assert [cell.grade for cell in row.cells if not cell.why] == ["solid", "rough"]
    assert row.grade == "rough"


def test_a_pair_of_systems_shows_them(out: Path) -> None:
    (path,) = (out / "pairs").glob("*.html")
    row = row_of(path.read_text("utf-8"), "m")
    assert words(row) == ["rough", "solid", "rough"]
    assert "range 751–776, 3 samples" in row


def test_all_runs_have_a_grade_with_its_word_and_a_spread(out: Path) -> None:
    table = text_of(out, "models/m/index.html").split('id="runs"')[1]
    told = re.findall(r'<span class="grade \w+">(\w+)</span>(?: <small>[^<]*</small>)?</td>', table)
    assert told == ["solid", "rough", "noise", "noise", "solid", "rough"]
    assert '<td class="w">751–776</td>' in table
    assert re.search(r'<td class="w">±\d+\.\d %</td>', table)
    wrong = text_of(out, "models/liar/index.html").split('id="runs"')[1]
    assert "grade" not in wrong.split("<tbody>")[1].split("</tbody>")[0]


def test_a_range_stands_in_the_unit_of_the_median_beside_it(tmp_path: Path) -> None:
    build.build_site([graded_run("slow", (1130.0, 1136.0, 1143.0))], tmp_path)
    table = text_of(tmp_path, "models/slow/index.html").split('id="runs"')[1]
    assert '<td class="w">1130–1143</td>' in table
    assert "± or range, ms" in table


def test_runtimes_side_by_side_mark_what_their_note_says_is_marked() -> None:
    runs = [inferred(sample_run("m", 1, backend=backend)) for backend in ("a", "b")]
    (page,) = catalogue(runs)
    ((_, text),) = side_by_side.scripts(page)
    found = json.loads(text.partition(",")[2].removesuffix(");\n"))
    assert any("~ marks steps" in remark for remark in found["remarks"])
    marks = {tuple(cell[3:]) for row in found["rows"] for cell in row[3] if cell[0] is not None}
    assert ("~",) in marks


def inferred(run: Run) -> Run:
    steps = (dataclasses.replace(s, confidence=Confidence.INFERRED) for s in run.steps)
    return dataclasses.replace(run, steps=tuple(steps))


def test_the_first_sentence_of_three_samples_has_a_range(out: Path) -> None:
    run = graded_run("only", THREE, *KINDS)
    (page,) = catalogue([run])
    data = embed.page_data(page)["runs"][0]
    assert "(range 751–776, 3 samples)" in data["text"]
    assert (data["grade"], data["few"], data["known"]) == ("rough", 1, "range 751–776, 3 samples")
    assert data["kinds"] == "3 warnings: few samples, wide interval, busy machine"
    assert not any("±" in text.replace("±1 %", "") for text in data["warn"])
    (sure,) = catalogue([sample_run()])
    assert "few" not in embed.page_data(sure)["runs"][0]


def checked(run: Run) -> Run:
    """The run as one whose outputs were right and whose first step was verified."""
    first, *others = run.steps
    steps = (dataclasses.replace(first, verdict="verified"), *others)
    parity = Parity("onnxruntime", (OutputParity("y", passed=True),))
    return dataclasses.replace(run, steps=steps, parity=parity)


def test_what_was_not_checked_is_said_beside_the_grade(tmp_path: Path) -> None:
    both = "outputs not compared, steps not checked"
    runs = [unchecked_run("m", 1), checked(unchecked_run("m", 8))]
    build.build_site(runs, tmp_path)
    (page,) = catalogue(runs)
    assert [entry.unchecked for entry in page.entries] == [both, ""]
    assert [run.get("unchecked") for run in embed.page_data(page)["runs"]] == [both, None]
    html = text_of(tmp_path, "models/m/index.html")
    assert f'href="../../method.html#unchecked">{both}</a>' in html
    assert html.split('id="runs"')[1].count(f"<small>{both}</small>") == 1
    assert f"samples; {both}" in text_of(tmp_path, "index.html")
    assert f"samples; {both}" in text_of(tmp_path, "index.js")
    assert both in (manuscript(runs[0], reconcile(runs[0])).data)
    assert both not in (manuscript(runs[1], reconcile(runs[1])).data)
    assert 'id="unchecked"' in text_of(tmp_path, "method.html")


def unchecked_run(model: str, batch: int) -> Run:
    run = sample_run(model, batch)
    steps = tuple(dataclasses.replace(step, verdict="") for step in run.steps)
    return dataclasses.replace(run, steps=steps, parity=None)


def test_only_what_was_measured_can_be_unchecked() -> None:
    run = unchecked_run("m", 1)
    compared = dataclasses.replace(run, parity=checked(run).parity)
    assert unchecked_text(compared) == "steps not checked"
    assert unchecked_text(dataclasses.replace(checked(run), parity=None)) == "outputs not compared"
    silent = dataclasses.replace(run, parity=Parity(reason="no reference"))
    assert unchecked_text(silent).startswith("outputs not compared")
    assert "outputs" not in unchecked_text(wrong_run())
    assert unchecked_text(failed_run()) == ""


def test_warnings_are_one_line_that_opens(out: Path) -> None:
    html = text_of(out, "models/m/index.html")
    assert '<details id="caveats" hidden>' in html, "the first run has none"
    html = text_of(out, "models/liar/index.html")
    assert '<summary id="caveats-kinds">1 warning: parity failed</summary>' in html
    assert '<a id="grade" class="grade" hidden' in html


def test_the_method_explains_what_the_pages_link_to(out: Path) -> None:
    html = text_of(out, "method.html")
    section = html.split('id="grades"')[1].split("<h2")[0]
    assert words(section) == ["solid", "rough", "noise"]
    for part in ("few samples", "±2 %", "±10 %", "never gets better"):
        assert part in section


def test_whiskers_reach_from_p5_to_p95_and_stay_inside() -> None:
    result = reconcile(sample_run())
    most = embed.reach(result)
    for row in embed.slowest(result):
        assert row.p5_ns is not None
        assert row.p95_ns is not None
        drawn = bars.whiskers((row.median_ns or 0) / most, (row.p5_ns / most, row.p95_ns / most))
        low, high = map(float, re.findall(r"M([\d.]+) 5H([\d.]+)", drawn)[0])
        width = float(re.findall(r'rect width="([\d.]+)"', drawn)[0])
        assert low <= width <= high <= 100
    assert high < 100, "the longest alone reaches the end"
    assert "path" not in bars.whiskers(0.5, None)


@browser
@over_http
def test_how_sure_is_answered_for_each_run_that_is_chosen(page: Any, root: str, until: Any) -> None:
    page.goto(f"{root}/models/m/index.html")
    assert page.inner_text("#grade") == "solid"
    assert not page.is_visible("#caveats")
    page.check("#batches input[value='2']")
    until("document.querySelector('#grade').textContent === 'rough'")
    assert page.inner_text("#caveats-kinds").startswith("3 warnings: few samples")
    assert not page.is_visible("#warnings li")
    page.focus("#caveats-kinds")
    page.keyboard.press("Enter")
    assert page.locator("#warnings li").first.is_visible()
    assert "too few" in page.inner_text("#warnings")
    assert "(range 751–776, 3 samples)" in page.inner_text("#sentence")
    page.click("#grade")
    page.wait_for_url("**/method.html#grades")


@browser
@over_http
def test_the_script_writes_what_the_builder_wrote(page: Any, root: str, plain: Any) -> None:
    plain.goto(f"{root}/models/m/index.html")
    wanted = {part: plain.inner_html(part) for part in ("#trust", "#slowest")}
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake/8")
    assert page.inner_text("#grade") == "noise"
    page.check("#batches input[value='1']")
    page.wait_for_url("**/1")
    settled(page)
    for part, html in wanted.items():
        made = page.inner_html(part)
        assert re.sub(r"\s+", "", made) == re.sub(r"\s+", "", html), part


@browser
@over_http
def test_a_failed_and_a_wrong_run_have_no_grade(page: Any, root: str) -> None:
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake/4")
    assert not page.is_visible("#grade")
    page.goto(f"{root}/models/liar/index.html")
    assert not page.is_visible("#grade")
    assert "parity failed" in page.inner_text("#caveats-kinds")


@browser
@over_http
def test_two_runs_are_not_told_apart_by_three_samples(page: Any, root: str) -> None:
    page.goto(f"{root}/models/m/index.html#cpu-fake.fake/2~cuda-0-x.other/2")
    told = page.inner_text("#verdict")
    assert "range 751–776, 3 samples" in told
    assert "With so few samples" in told


@browser
@over_http
def test_a_dot_is_drawn_and_its_word_is_for_screen_readers(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    dot = page.locator("td .grade").first
    box = dot.bounding_box()
    assert box["width"] < 20, "the word takes no room"
    assert dot.text_content() in ("solid", "rough", "noise")
    drawn = "getComputedStyle(document.querySelector('td .grade'), '::before').borderRadius"
    assert page.evaluate(drawn) == "50%"
