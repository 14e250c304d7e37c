from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from support.exporters import site  # noqa: F401

from onnxprof.cli.main import _run
from onnxprof.zoo import entry

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("site")


def run(*arguments: str) -> int:
    return _run(["export", *arguments])


def test_report_in_a_few_lines(tmp_path, capsys):
    out = tmp_path / "n.onnx"
    assert run("good.fake", "-o", str(out)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{out}: 2 nodes, 0 parameters, opset 20 (fake 1.0)"
    assert lines[1] == "inputs   x: float32[batch, 2, 3]"
    assert lines[2] == "outputs  y: float32[batch, 6]"
    assert [line[:9] for line in lines[3:]] == ["batch 1  ", "batch 4  "]
    assert all("agrees with the framework: largest error 0.0e+00" in line for line in lines[3:])


def test_difference_from_the_framework_is_exit_code_1(tmp_path, capsys):
    out = tmp_path / "n.onnx"
    assert run("wrong.fake", "-o", str(out)) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("not written: ")
    assert "DIFFERS from the framework: largest error 5.0e-01" in shown
    assert not out.exists()
    assert run("wrong.fake", "-o", str(out), "--keep") == 1
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hard.fake",), "the batch is hard-coded: layer flat (Reshape)"),
        (("unknown.fake",), "operator Frobnicate"),
        (("mystery",), "no exporter knows what it is"),
        (("good.fake", "--input", "x"), "is not NAME:dtype[shape]"),
        (("good.fake", "--opset", "3"), "opset 3"),
        (("good.fake", "--dim", "x"), "--dim 'x' is not NAME=SIZE"),
        (("zoo:nosuch",), "the zoo has no such network"),
        (("zoo:lenet", "--input", "x:float32[1]"), "has its own inputs"),
    ],
)
def test_trouble_is_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    out = tmp_path / "n.onnx"
    assert run(*arguments, "-o", str(out)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert "noise of the framework" not in told
    assert not out.exists()


@pytest.mark.parametrize("name", ["lenet", "zoo:lenet"])
def test_network_of_the_zoo_is_copied(name, tmp_path, capsys):
    out = tmp_path / "n.onnx"
    assert run(name, "-o", str(out)) == 0
    assert onnx.load(out).graph.name == "lenet"
    assert entry("lenet").sha256 in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "exporter"), [("nosuch.keras", "keras"), ("nosuch_module:net", "torch")]
)
def test_built_in_exporters_fail_in_one_line_with_or_without_their_framework(
    target, exporter, tmp_path, capsys
):
    assert run(target, "-o", str(tmp_path / "n.onnx"), "--exporter", exporter) == 2
    told = capsys.readouterr().err
    assert "onnxprof[export]" in told or "nosuch" in told


def test_debug_shows_what_the_framework_said(tmp_path):
    command = [sys.executable, "-m", "onnxprof", "--debug", "export", "bug.fake"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "n.onnx")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "noise of the framework" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert list(Path(tmp_path).iterdir()) == []
