"""One file to send: what it holds, what it may do, and what a hostile name cannot do to it."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from support.sites import called, hostile_run, long_run, runs
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.cli.main import app
from onnxprof.errors import UsageError
from onnxprof.publish.report.archive import packed, unpacked
from onnxprof.publish.report.write import report
from onnxprof.publish.site.worklist import of_runs
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


def page_of(*found: Run, title: str = "t") -> str:
    return report(of_runs(found), title).content.decode()


def held(page: str) -> dict[str, bytes]:
    archive = re.search(r'id="held">([^<]*)</script>', page)
    assert archive
    return unpacked(archive[1])


def allowed(page: str, what: str) -> set[str]:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    (listed,) = (part for part in policy[1].split("; ") if part.startswith(f"{what} "))
    return set(listed.split()[1:])


def hashed(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(sha256(content).digest()).decode()}'"


@pytest.fixture(scope="module")
def one() -> str:
    return page_of(*(run for run in runs() if run.request.model_name == "alpha"))


@pytest.fixture(scope="module")
def many() -> str:
    return page_of(*runs())


def test_an_archive_is_read_back() -> None:
    files = {"a/b.html": b"<b>\n\n", "c.bin": bytes(range(256)), "empty": b"", "é": "é".encode()}
    assert unpacked(packed(files)) == files
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed(files))


def test_nothing_of_the_file_refers_to_another(one: str, many: str) -> None:
    for page in (one, many):
        assert not re.findall(r"<link(?! rel=\"icon\" href=\"data:,\")", page)
        assert not re.findall(r"<(?:script|img)\b[^>]* src=\"(?!data:)", page)
        addresses = re.findall(r'<a\b[^>]* href="([^"]*)"', page)
        assert addresses
        assert not [a for a in addresses if not a.startswith(("#", "data:", "https://"))]


def test_only_scripts_and_styles_of_the_site_may_run(many: str) -> None:
    inline = re.findall(r"<script>(.*?)</script>", many, re.DOTALL)
    assets = {name: content for name, content in held(many).items() if name.startswith("assets/")}
    scripts = [content for name, content in assets.items() if name.endswith(".js")]
    assert len(inline) == 1
    assert allowed(many, "script-src") == {hashed(inline[0].encode()), *map(hashed, scripts)}
    styles = re.findall(r"<style>(.*?)</style>", many, re.DOTALL)
    assert {hashed(style.encode()) for style in styles} <= allowed(many, "style-src")
    assert "unsafe" not in many.split("</head>")[0].split("<style>")[0]
    assert "connect-src" not in many
    assert allowed(many, "default-src") == {"'none'"}


def test_data_is_calls_with_json(many: str) -> None:
    data = {
        name: content.decode()
        for name, content in held(many).items()
        if name.endswith(".js") and not name.startswith("assets/")
    }
    assert {"index.js", "models/alpha/plot/graph-0.js", "layers/batch-1.js"} <= data.keys()
    for name, text in data.items():
        assert re.fullmatch(r"(?:window\.)?onnxprof\.\w+\(.*\);\n", text, re.DOTALL), name
        assert json.loads(f"[{text[text.index('(') + 1 : -3]}]"), name


def test_of_one_model_its_page_is_first_and_of_several_the_board(one: str, many: str) -> None:
    assert "<h1><bdi>alpha</bdi></h1>" in one
    assert 'id="timing-table"' in one
    assert "index.html" in held(one)
    assert 'id="models"' in many
    assert {"models/alpha/index.html", "models/beta/index.html"} <= held(many).keys()


def test_neither_documents_nor_the_library_of_charts_are_held(one: str) -> None:
    names = held(one).keys()
    assert not [name for name in names if name.endswith(".pdf") or "plotly" in name]
    assert 'id="pdf"' not in one
    assert "plotly.min" not in one


def test_a_csv_is_that_of_the_run(one: str) -> None:
    run = next(run for run in runs() if run.request.batch == 2)
    files = held(one)
    assert files["models/alpha/runs/alpha.cpu-fake.fake.b2.csv"].decode() == timing_csv([run])
    saved = re.search(r'<a id="csv" href="data:text/csv;charset=utf-8;base64,([^"]*)" down', one)
    assert saved
    first = files["models/alpha/runs/alpha.cpu-fake.fake.b1.csv"]
    assert base64.b64decode(saved[1]) == first


def test_names_of_others_stay_texts() -> None:
    page = page_of(hostile_run(), title="</script><b>")
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page))
    assert page.count("<!--") == 0


def test_a_long_network_on_three_runtimes_is_small() -> None:
    # 180 layers are those of ResNet-50
    found = [
        dataclasses.replace(
            run := called(long_run(180), "resnet"),
            request=dataclasses.replace(run.request, backend=backend, model_name="resnet"),
        )
        for backend in ("ort", "openvino", "torch")
    ]
    assert len(page_of(*found)) < 2_000_000


def test_equal_runs_give_equal_bytes(one: str) -> None:
    assert page_of(*(run for run in runs() if run.request.model_name == "alpha")) == one


def test_a_function_takes_records_and_names(tmp_path: Path, many: str) -> None:
    loaded = op.Runs([sample_run(batch=1), sample_run(batch=8)])
    store = loaded.save(tmp_path / "store")
    ours = op.report(loaded, tmp_path / "ours.html").read_bytes()
    named = op.report(store, tmp_path / "named.html").read_bytes()
    assert ours == named
    assert op.report([sample_run()], str(tmp_path / "r.htm")).is_file()


@pytest.mark.parametrize("path", ["report.pdf", "report", "-"])
def test_another_ending_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="no format has files"):
        op.report([sample_run()], path)


def test_records_and_names_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either records or names"):
        op.report([sample_run(), tmp_path], tmp_path / "r.html")
    with pytest.raises(UsageError, match="no run to report"):
        op.report([], tmp_path / "r.html")


def test_a_command_writes_what_its_filters_leave(tmp_path: Path) -> None:
    store = op.Runs([sample_run("a", 1), sample_run("a", 8), sample_run("b", 1)]).save(
        tmp_path / "store"
    )
    out = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(store), "--model", "a", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("1 model, 2 runs, ")
    assert done.stdout.splitlines()[1] == str(out)
    assert "models/a/runs/a.cpu-fake.fake.b8.csv" in held(out.read_text("utf-8"))


def test_a_file_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    store = op.Runs([sample_run()]).save(tmp_path / "store")
    (whole,) = store.rglob("*.parquet")
    whole.with_name("b0002-damaged.parquet").write_bytes(whole.read_bytes()[:100])
    out = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(store), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "b0002-damaged.parquet" in done.stderr.replace("\n", "")
    assert out.is_file()


def test_nothing_to_report_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(tmp_path / "empty"), "-o", str(out)])
    assert done.exit_code != 0
    assert not out.exists()
