"""Files that make no run: damaged, too big, of another model, batch or engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.runs.imported_runs import DATA, TENSORRT, made, models_in, refused, trtexec

from onnxprof.errors import UsageError
from onnxprof.imports import files
from onnxprof.store.encoding import run_to_json


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return models_in(tmp_path)


def test_files_of_another_model_are_refused_with_counts(models: Path) -> None:
    assert "the files name 9 ONNX layers, of which this model has 0" in refused(
        models / "attention.onnx", *trtexec("residual"), "--batch", "2"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"{}", "not a profile of trtexec"),
        (b"[]", "not a profile of trtexec"),
        (b'{"Layers": []}', "for --engine-layers"),
        (b'[{"computeMs": 1}]', "for --times"),
        (b'[{"dur": 1, "name": "model_run"}]', "for --ort-profile"),
        (
            b"layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\n",
            "for --benchmark-app",
        ),
        (b'[{"count": 1}, {"name": "a", "averageMs": 1e999}]', "not a time in milliseconds"),
        (b'[{"count": 1}, {"name": "a", "averageMs": "1"}]', "not a time in milliseconds"),
        (b'[{"count": 1' + b"0" * 5000 + b"}]", "is no JSON"),
    ],
)
def test_a_wrong_or_damaged_file_is_one_line(
    models: Path, tmp_path: Path, content: bytes, text: str
) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(content)
    assert text in refused(models / "residual.onnx", "--profile", path, "--batch", "2")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "content", "text"),
    [
        ("--ort-profile", '{"a": 1}', "not a profile of onnxruntime"),
        (
            "--ort-profile",
            '[{"cat": "Node", "name": "a_kernel_time"}]',
            "not a profile of onnxruntime",
        ),
        ("--ort-profile", '[{"cat": "Session", "name": "x"}]', "no complete inference"),
        ("--benchmark-app", "a;b\n", "is no JSON"),
        (
            "--benchmark-app",
            '{"report_type": "detailed"}',
            "not a counters report of benchmark_app",
        ),
        ("--benchmark-app", "HEADER\nConv;Status.EXECUTED\n", "a row has 2 columns"),
        (
            "--benchmark-app",
            "HEADER\na;S.EXECUTED;Conv;x;nan;0\nb;S.NOT_RUN;C;x;0;0\n",
            "not a time",
        ),
        ("--benchmark-app", "HEADER\na;S.NOT_RUN;Conv;x;0;0\nb;S.NOT_RUN;C;x;0;0\n", "executed"),
    ],
)
def test_other_forms_too(
    models: Path, tmp_path: Path, option: str, content: str, text: str
) -> None:
    path = tmp_path / "given"
    header = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"
    path.write_text(content.replace("HEADER", header))
    assert text in refused(models / "residual.onnx", option, path, "--batch", "2")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "no profile: one profile makes a run"),
        (["--engine-layers"], "no profile: one profile makes a run"),
        (["--profile", "--ort-profile"], "--profile and --ort-profile: one profile"),
        (["--ort-profile", "--times"], "--times: only trtexec writes that"),
    ],
)
def test_options_that_make_no_run(models: Path, given: Sequence[str], text: str) -> None:
    path = str(TENSORRT / "residual.profile.json")
    assert text in refused(
        models / "residual.onnx", *(word for option in given for word in (option, path))
    )


def test_a_file_that_is_not_there_or_too_big(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        assert "cannot be read" in refused(models / "residual.onnx", "--profile", path)
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(UsageError, match="more than 0 MiB"):
        files.read(TENSORRT / "residual.profile.json")


def test_layers_and_profile_of_two_engines_are_refused(models: Path) -> None:
    given = trtexec("residual")
    given[1] = given[1].replace("residual", "branches")
    assert "Export both from one engine" in refused(
        models / "residual.onnx", *given, "--batch", "2"
    )


def test_nothing_of_this_machine_is_recorded(models: Path) -> None:
    import platform

    run = made(models)
    told = json.dumps(run_to_json(run))
    assert str(models) not in told
    assert platform.node() not in told or len(platform.node()) < 4
    assert [key for key, _ in run.environment] == ["imported by"]


def test_recorded_files_hold_nothing_of_a_machine() -> None:
    for path in (*TENSORRT.glob("*.json"), *(DATA / "benchmark_app").iterdir()):
        text = path.read_text()
        assert "/home" not in text
        assert "/tmp" not in text
        assert "/root" not in text
