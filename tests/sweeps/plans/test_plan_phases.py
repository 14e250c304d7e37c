"""Phases of a plan: of several models each is measured in those that it has, as by `profile`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.decoders.cells import cell
from support.decoders.plain import plain_decoder
from support.habits.commands import inside
from support.networks import models

from onnxprof.store.folder import load_all
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.read import read_plan
from onnxprof.sweeps.tasks import Task

PLAN = """
[defaults]
budget = 0.05
threads = 1
telemetry = false
parity = false
phase = ["prefill:4", "steps:2"]

[[models]]
name = ["decoder.onnx", "cell.onnx", "plain.onnx"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.save(plain_decoder(), tmp_path, "decoder.onnx")
    models.save(cell(), tmp_path, "cell.onnx")
    models.save(models.linear(), tmp_path, "plain.onnx")
    (tmp_path / "plan.toml").write_text(PLAN)
    return tmp_path


def tasks(folder: Path, text: str) -> dict[str, bool]:
    """By the model's name whether its phase is optional."""
    path = folder / "other.toml"
    path.write_text(text)
    return {task.model_name: task.optional_phase for task in expanded(read_plan(path)).tasks}


def test_each_model_is_measured_in_the_phases_that_it_has_and_nothing_fails(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    foreseen = inside("sweep", "plan.toml", "--dry-run", folder=folder)
    assert foreseen.code == 0, foreseen.err
    assert "plain at batch 1, prefill:4: " in foreseen.err
    done = inside("sweep", "plan.toml", folder=folder)
    assert done.code == 0, done.err
    runs, _ = load_all([folder / "runs"])
    assert {(run.request.model_name, run.request.phase) for run in runs} == {
        *(("decoder", "prefill:4"), ("cell", "steps:2"))
    }
    again = inside("sweep", "plan.toml", "--json", folder=folder)
    assert again.code == 0, again.err
    events = [json.loads(line) for line in again.out.splitlines()]
    assert [each["cause"] for each in events if each["event"] == "skipped"] == ["phase"] * 4
    assert not [each for each in events if each["event"] in ("started", "failed")]


def test_a_phase_of_one_model_fails_with_the_reason(folder: Path) -> None:
    one = '[[models]]\nname = "cell.onnx"\nphase = "prefill:4"\n'
    (folder / "plan.toml").write_text(f"{one}[[models]]\nname = 'plain.onnx'\n")
    done = inside("sweep", "plan.toml", "--json", folder=folder)
    assert done.code == 2
    events = [json.loads(line) for line in done.out.splitlines()]
    [failed] = [each for each in events if each["event"] == "failed"]
    assert "no prefill: none of its states grows" in failed["reason"]


def test_a_phase_that_no_model_has_is_told(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    (folder / "plan.toml").write_text(PLAN.replace('"decoder.onnx", ', ""))
    for words in (("--dry-run",), (), ()):
        done = inside("sweep", "plan.toml", *words, folder=folder)
        assert done.code == 2
        assert "no model of the plan has prefill\n" in done.err
        assert "has steps" not in done.err


def test_whose_phase_it_is_decides(folder: Path) -> None:
    assert tasks(folder, PLAN) == dict.fromkeys(("decoder", "cell", "plain"), True)
    alone = PLAN.replace('["decoder.onnx", "cell.onnx", "plain.onnx"]', '"cell.onnx"')
    assert tasks(folder, alone) == {"cell": False}
    pair = '[[models]]\nname = ["a.onnx", "b.onnx"]\nphase = "prefill:4"\n'
    assert tasks(folder, pair) == {"a": True, "b": True}
    assert tasks(folder, pair.replace('phase = "prefill:4"\n', "")) == {"a": False, "b": False}


def test_a_task_travels_with_it(folder: Path) -> None:
    task = expanded(read_plan(folder / "plan.toml")).tasks[0]
    assert Task.from_json(task.to_json()).optional_phase
