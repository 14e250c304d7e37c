"""How do I repeat it, and may I use it: a model's page and the page of downloads, in a browser."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.sites import HOSTILE, failed_run, hostile_run, runs, settled, violations

from onnxprof.errors import UsageError
from onnxprof.publish.pages import downloads
from onnxprof.publish.repeating.lines import repeat
from onnxprof.publish.site.build import build_site
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.publish.text.csv import for_spreadsheets
from onnxprof.records.run import Origin, Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

pytest_plugins = ["support.browsing"]
over_http = pytest.mark.parametrize("root", ["http"], indirect=True)

SOURCE = (
    "onnxruntime cannot load the model: failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:149"
    " onnxruntime::Model::Model(onnx::ModelProto&&, const PathString&) Unsupported IR version"
)


def imported() -> Run:
    """What another program measured."""
    run = sample_run("foreign", 1)
    return dataclasses.replace(run, origin=Origin("trtexec", "IProfiler"))


def formula() -> Run:
    """A run with a layer that a spreadsheet would compute."""
    run = sample_run("formula", 1)
    first = dataclasses.replace(run.table.layers[2], name="=SUM(A1:A9)")
    table = dataclasses.replace(
        run.table, layers=(*run.table.layers[:2], first, *run.table.layers[3:])
    )
    steps = (dataclasses.replace(run.steps[0], layers=(first.name,)), *run.steps[1:])
    return dataclasses.replace(run, table=table, steps=steps)


def measured() -> list[Run]:
    """The runs of the site."""
    placed = dataclasses.replace(
        sample_run("placed", 1), warnings=(RunWarning(WarningKind.BATCH_UNPROVEN, subject=SOURCE),)
    )
    failed = dataclasses.replace(failed_run("placed", 2), failure=SOURCE)
    return [*runs(), imported(), formula(), placed, failed]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's folder."""
    folder = tmp_path_factory.mktemp("repeat") / "sub path"
    build_site(measured(), folder, licence=" CC-BY-4.0 ")
    return folder


def lines(page: Any) -> list[str]:
    """The three lines as a reader copies them."""
    return [page.text_content(f"#repeat-{part}") for part in ("install", "model", "command")]


def test_three_lines_repeat_the_run_that_is_shown(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/8")
    assert lines(page) == list(repeat(sample_run("alpha", 8, seed=8)).lines)
    assert "--batch 8 --threads 2" in lines(page)[2]
    page.select_option("#system", label="Fake CPU (cuda:0:x) · other")
    assert "--backend other" in lines(page)[2]
    assert page.text_content("#repeat-differs").startswith("Your CPU may differ: Fake CPU, 2 cores")


def test_each_line_the_link_and_markdown_are_copied(page: Any, root: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/2")

    def copied(button: str, said: str) -> str:
        page.click(button)
        page.get_by_text(f"{said} copied.").wait_for()
        return str(page.evaluate("navigator.clipboard.readText()"))

    assert copied("[data-copies=repeat-command]", "Measure") == lines(page)[2]
    assert copied("[data-copies=repeat-install]", "Install") == lines(page)[0]
    link = copied("#copy-link", "Link")
    assert link.endswith("/models/alpha/index.html#cpu-fake.fake/2")
    text = copied("#copy-markdown", "Markdown")
    assert text.startswith("**alpha**, Fake CPU")
    assert f"```sh\n{chr(10).join(lines(page))}\n```" in text
    assert f"<{link}>" in text
    assert page.text_content("#sentence").strip().rstrip(".").replace("_", "\\_") in text


def test_keys_alone_copy_a_line(page: Any, root: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{root}/models/alpha/index.html")
    page.focus("[data-copies=repeat-model]")
    page.keyboard.press("Enter")
    page.get_by_text("The model copied.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.copies") == "repeat-command"


def test_a_failed_run_is_repeated_too(page: Any, root: str) -> None:
    page.goto(f"{root}/models/alpha/index.html#cpu-fake.fake/4")
    assert "--batch 4" in lines(page)[2]


def test_what_another_program_measured_has_no_lines(page: Any, root: str) -> None:
    page.goto(f"{root}/models/foreign/index.html")
    assert not page.is_visible("#repeat-lines")
    assert "Measured by trtexec" in page.inner_text("#repeat-note")


def test_hostile_names_are_text_in_the_lines_and_in_markdown(
    page: Any, root: str, out: Path
) -> None:
    (folder,) = [p.name for p in (out / "models").iterdir() if "script" in p.name]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{root}/models/{folder}/index.html")
    assert shlex.split(lines(page)[2])[:2] == ["onnxprof", "profile"]
    page.click("#copy-markdown")
    page.get_by_text("Markdown copied.").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    prose = text.split("```")[0]
    assert "<script" not in prose
    assert "&lt;script>" in prose
    assert HOSTILE not in text


def test_without_scripts_the_first_run_can_be_repeated(plain: Any, root: str) -> None:
    plain.goto(f"{root}/models/alpha/index.html")
    assert plain.inner_text("#repeat-command").startswith("onnxprof profile zoo:alpha")
    assert not plain.is_visible("#copy-link")


@over_http
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["models/alpha/index.html", "downloads.html"])
def test_axe_finds_nothing(inspected: Any, root: str, scheme: Any, where: str) -> None:
    inspected.emulate_media(color_scheme=scheme)
    inspected.goto(f"{root}/{where}")
    assert violations(inspected) == []


def test_nothing_is_wider_than_a_phone(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{root}/models/alpha/index.html")
    assert page.evaluate("document.querySelector('.repeat').scrollWidth") <= 390


def test_a_csv_for_spreadsheets_stands_where_it_differs(page: Any, root: str, out: Path) -> None:
    page.goto(f"{root}/models/formula/index.html")
    with page.expect_download() as download:
        page.click("#spreadsheet")
    assert download.value.suggested_filename == "formula.cpu-fake.fake.b1.spreadsheet.csv"
    made = Path(download.value.path()).read_bytes()
    assert made.startswith(b"\xef\xbb\xbfmodel,")
    assert b",'=SUM(A1:A9)," in made
    plain = (out / "models/formula/runs/formula.cpu-fake.fake.b1.csv").read_bytes()
    assert plain == timing_csv([formula()]).encode()
    plain_ones = [path for path in out.rglob("*.csv") if ".spreadsheet." not in path.name]
    for path in plain_ones:
        text = path.read_bytes().decode()
        same = text.isascii() and for_spreadsheets(text) == f"\ufeff{text}"
        assert path.with_name(f"{path.stem}.spreadsheet.csv").is_file() == (not same), path
    assert len(list(out.rglob("*.spreadsheet.csv"))) < len(plain_ones)


def test_no_page_offers_a_variant_that_is_not_there(page: Any, root: str, out: Path) -> None:
    page.goto(f"{root}/models/alpha/index.html")
    settled(page)
    assert page.locator("#spreadsheet").is_hidden()
    page.check("#batches input[value='8']", force=True)
    settled(page)
    assert page.locator("#csv").is_visible()
    assert page.locator("#spreadsheet").is_hidden()
    for path in out.rglob("*.html"):
        for name in re.findall(r'href="([^"]*\.spreadsheet\.csv)"', path.read_text("utf-8")):
            assert (path.parent / name).is_file(), (path, name)


def test_no_two_totals_of_a_device_look_alike(out: Path) -> None:
    for variant, encoding in (("", "utf-8"), (".spreadsheet", "utf-8-sig")):
        text = (out / f"devices/cpu-fake{variant}.csv").read_text(encoding)
        rows = list(csv.DictReader(io.StringIO(text)))
        totals = [tuple(row.items()) for row in rows if row["status"] == "total"]
        assert len(totals) == len(set(totals)) > 5
        assert len({(row["run"], row["created"]) for row in rows}) == len(totals)


def test_the_page_of_downloads_has_code_and_no_backticks(page: Any, root: str) -> None:
    page.goto(f"{root}/downloads.html")
    assert "`" not in page.inner_text("main")
    assert page.locator("#columns td code:has-text('(interruptions)')").count() == 1


def test_the_licence_is_on_the_page_and_in_the_file(page: Any, root: str, out: Path) -> None:
    page.goto(f"{root}/downloads.html")
    link = page.locator("a[rel=license]")
    assert link.inner_text() == "CC-BY-4.0"
    assert link.get_attribute("href") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert pq.read_schema(out / downloads.PARQUET).metadata[b"license"] == b"CC-BY-4.0"


def test_without_a_licence_none_is_claimed(tmp_path: Path) -> None:
    build_site([sample_run()], tmp_path / "out")
    assert "stated no licence" in (tmp_path / "out/downloads.html").read_text("utf-8")
    metadata = pq.read_schema(tmp_path / "out" / downloads.PARQUET).metadata or {}
    assert b"license" not in metadata


@pytest.mark.parametrize(
    ("licence", "address"),
    [
        ("CC0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("https://example.org/licence", "https://example.org/licence"),
        ("ours <b>alone</b>", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_where_a_licence_can_be_read(licence: str, address: str) -> None:
    assert downloads.licence_address(licence) == address


@pytest.mark.parametrize("licence", ["a\nb", "\u202ex", "x" * 201])
def test_a_licence_that_is_no_line_is_refused(licence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SPDX"):
        build_site([sample_run()], tmp_path / "out", licence=licence)
    assert not (tmp_path / "out").exists()


def test_no_place_in_a_runtimes_sources_is_on_a_page(out: Path) -> None:
    for path in out.rglob("*.html"):
        assert "onnxruntime_src" not in path.read_text("utf-8"), path
    page = (out / "models/placed/index.html").read_text("utf-8")
    assert "failed: Unsupported IR version" in page


def test_facts_of_a_device_are_those_of_a_good_run(tmp_path: Path) -> None:
    old = sample_run("m", 1, created="2026-01-01T00:00:00Z")
    bare = dataclasses.replace(old.device, features=(), name="half known")
    new = dataclasses.replace(
        failed_run("m", 2), device=bare, environment=(), created="2026-02-01T00:00:00Z"
    )
    build_site([old, new], tmp_path / "out")
    page = (tmp_path / "out/devices/cpu-fake.html").read_text("utf-8")
    assert "avx2" in page
    assert "half known" not in page
    assert "Python" in page or "python" in page


def test_hostile_runs_have_files_of_moderate_names(tmp_path: Path) -> None:
    run = hostile_run()
    dims = tuple((f"{i}" * 60, i) for i in range(1, 9))
    run = dataclasses.replace(run, request=dataclasses.replace(run.request, dims=dims))
    build_site([run], tmp_path / "out")
    names = [path.name for path in (tmp_path / "out").rglob("*.csv")]
    assert max(map(len, names)) <= 255


def test_it_says_where_onnxprof_is_from(tmp_path: Path) -> None:
    build_site([sample_run("m", 1)], tmp_path / "a", project_url="https://example.org/p")
    build_site([sample_run("m", 1)], tmp_path / "b")
    link = '<a href="https://example.org/p" rel="external">its project page</a>'
    with_url, without = (
        (tmp_path / name / "models/m/index.html").read_text("utf-8").split('class="repeat"')[1]
        for name in "ab"
    )
    assert link in with_url
    assert "project page" not in without


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_gallery_is_built_with_the_address_of_the_project() -> None:
    root = Path(__file__).parents[3]
    command = ["make", "-n", "gallery", "PROJECT_URL=https://example.org/p"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert '--project-url "https://example.org/p"' in shown
