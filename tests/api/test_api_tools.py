"""`op.site`, `op.export` and `op.doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.api import exporting
from onnxprof.checks.exported import Agreement
from onnxprof.cli.main import app
from onnxprof.errors import ExportError, UsageError
from onnxprof.jobs.exporting.export import Exported
from onnxprof.records.parity import OutputParity
from onnxprof.testing import sample_run


def pages(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_site_is_that_of_the_command(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    op.Runs([sample_run()]).save(tmp_path / "runs")
    built = op.site(tmp_path / "runs", tmp_path / "ours", title="Mine", license="CC-BY-4.0")
    assert (built.models, built.runs, built.problems) == (1, 1, ())
    words = ["site", "build", "--store", tmp_path / "runs", "--out", tmp_path / "theirs"]
    words += ["--title", "Mine", "--license", "CC-BY-4.0"]
    result = CliRunner().invoke(app, [str(word) for word in words], standalone_mode=False)
    assert result.exception is None, result.exception
    assert pages(tmp_path / "ours") == pages(tmp_path / "theirs")
    assert b"Mine" in built.index.read_bytes()


def test_a_site_of_several_stores(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    for name in ("a", "b"):
        op.Runs([sample_run(name)]).save(tmp_path / name)
    built = op.site([tmp_path / "a", str(tmp_path / "b")], tmp_path / "public")
    assert built.models == 2


def test_a_site_is_built_by_a_script_without_a_guard(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    for name in ("a", "b", "c"):
        op.Runs([sample_run(name)]).save(tmp_path / "runs")
    script = tmp_path / "script.py"
    script.write_text("import onnxprof as op\nprint(op.site('runs', 'public').models)\n")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        op.site(tmp_path / "gone", tmp_path / "public")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "mine.txt").write_text("")
    op.Runs([sample_run()]).save(tmp_path / "runs")
    with pytest.raises(op.errors.OnnxprofError):
        op.site(tmp_path / "runs", tmp_path / "public")
    assert (tmp_path / "public" / "mine.txt").exists()


def test_a_damaged_file_is_left_out_and_said(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    op.Runs([sample_run(), sample_run("other")]).save(tmp_path / "runs")
    next((tmp_path / "runs" / "other").rglob("*.parquet")).write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="left out"):
        built = op.site(tmp_path / "runs", tmp_path / "public")
    assert built.models == 1
    assert len(built.problems) == 1


def test_a_network_of_the_zoo_is_copied(tmp_path: Path) -> None:
    made = op.export("zoo:lenet", tmp_path / "out.onnx")
    assert made.passed
    assert made.written
    assert made.nodes == len(onnx.load(made.path).graph.node)
    assert made.parameters == op.inspect(made.path).parameters
    with pytest.raises(UsageError, match="has its own inputs"):
        op.export("zoo:lenet", tmp_path / "out.onnx", inputs="x:float32[1]")


def test_orders_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    with pytest.raises(UsageError, match="no exporter knows"):
        op.export("what", out)
    with pytest.raises(UsageError, match=r"is not NAME:dtype\[shape\]"):
        op.export("package:network", out, inputs=["x"])
    with pytest.raises(UsageError, match="opset 3 is not supported"):
        op.export("package:network", out, opset=3)
    assert not out.exists()


def test_a_file_that_computes_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxprof.jobs.exporting import export as jobs

    worst = OutputParity("y", max_abs=1.0, max_rel=0.5, tolerance=1e-3, passed=False)
    wrong = Exported(
        *(tmp_path / "out.onnx", False, "torch 2", 3, 4, 20, ("x",), ("y",)),
        (Agreement(1, (worst,)),),
    )
    monkeypatch.setattr(jobs, "export", lambda order: wrong)
    with pytest.raises(ExportError, match="differs from the framework at batch 1") as error:
        op.export("package:network", tmp_path / "out.onnx")
    assert "keep=True" in str(error.value)
    assert exporting.is_of_zoo("lenet", "")


def test_the_doctor_says_what_the_command_says() -> None:
    found = op.doctor()
    result = CliRunner().invoke(app, ["doctor"], standalone_mode=False)
    usual = [line for line in str(found).splitlines() if "GB free" not in line]
    told = [line for line in result.stdout.splitlines() if "GB free" not in line]
    assert usual[:5] == told[:5]
    assert [line.strip() for line in usual if line and line[0] != " "] == [
        line.strip() for line in told if line and line[0] != " "
    ]
    assert found.works == any(each.usable for each in found.record.backends)
    document = json.loads(found.to_json())
    assert document["schema"] == "onnxprof.doctor/1"
    assert document["works"] == found.works
    assert found._repr_html_().startswith("<pre")
