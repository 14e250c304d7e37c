"""The plan that `sweep init` writes is a plan for what works."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from onnxprof.plugins import registry
from onnxprof.records.device import Availability
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.read import read_plan
from onnxprof.sweeps.plans.written import written_plan

STATES = (
    Availability("ort", "cpu:x", True, "onnxruntime 1.32"),
    Availability("ort", "openvino", True, "1.32 with\nOpenVINO"),
    Availability("torch", "cuda:0:x", True, ""),
    Availability("tensorrt", "cuda", False, "No module named 'tensorrt' " * 9, "pip install it"),
    Availability("odd", "", False, 'it says "no"\n[[models]]', ""),
)


def test_what_works_is_a_table_and_the_rest_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "backend_names", lambda: ("odd", "ort", "tensorrt", "torch"))
    (tmp_path / "a.onnx").write_text("")
    text = written_plan(STATES, tmp_path)
    assert all(len(line) <= 80 for line in text.splitlines())
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    assert tomllib.loads(text)["backends"] == [
        {"name": "ort", "device": "cpu:x"},
        {"name": "ort", "provider": "openvino"},
        {"name": "torch", "device": "cuda:0:x", "threads": 1},
    ]
    found = expanded(read_plan(plan))
    assert {made.model for made in found.tasks} == {str(tmp_path / "a.onnx")}
    assert found.notes == ()


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ((), ["zoo:family=light", "zoo:resnet18"]),
        (("x.onnx",), "*.onnx"),
        (("deep/x.onnx",), "**/*.onnx"),
    ],
)
def test_it_names_the_models_of_the_folder(files, name, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    data = tomllib.loads(written_plan(STATES, tmp_path))
    assert data["models"] == [{"name": name}]


def test_quotes_and_backslashes_of_a_device_are_escaped(tmp_path: Path) -> None:
    odd = Availability("ort", 'cpu:a"b\\c', True, "")
    data = tomllib.loads(written_plan([odd], tmp_path))
    assert data["backends"][0]["device"] == odd.device
