"""A step that has states is written, and timed alone, as the network hands them on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.decoders.cells import cell
from support.decoders.grouped import grouped_decoder
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.jobs import sweep
from onnxprof.repro.script import Setting, text

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def invoked(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


def written(folder: Path, made: Any, phase: str, layer: str, monkeypatch: Any) -> tuple[str, Any]:
    """The script of a layer, and the job that timed it alone."""
    jobs: list[Any] = []

    def measured(job: Any, *rest: Any) -> Any:
        jobs.append(job)
        return measure(job, *rest)

    model = models.save(made, folder, "tiny.onnx")
    store = ("--store", folder / "runs")
    quick = ("--budget", 0.05, "--threads", 1, "--no-telemetry", "-q")
    invoked("profile", model, "--phase", phase, *quick, *store)
    measure = sweep.measured
    monkeypatch.setattr(sweep, "measured", measured)
    step = ("--layer", layer, "--model", model, "-o", folder / "step", "--budget", 0.05)
    invoked("repro", folder / "runs", *step)
    [job] = jobs
    return (folder / "step" / "run.py").read_text(), job


def test_a_cache_is_one_buffer_in_the_script_and_in_the_time_alone(tmp_path, monkeypatch):
    script, job = written(
        tmp_path, grouped_decoder(), "decode:9", "layers.0.attention", monkeypatch
    )
    [pairs] = re.findall(r"in (\[\(.*\)\])\}", script)
    assert pairs == "[(1, 3), (2, 4)]"
    assert [state.shared for state in job.states.states] == [True, True]
    assert job.options.phase == "decode:9"
    assert ", decode:9, on" in (tmp_path / "step" / "README.md").read_text()


def test_a_cell_goes_on_from_its_own_states(tmp_path, monkeypatch):
    script, job = written(tmp_path, cell(), "steps:4", "lstm", monkeypatch)
    assert "for output, read in []" in script
    assert [(s.input, s.output) for s in job.states.recurrent] == [("h", "hn"), ("c", "cn")]


def test_a_step_without_states_has_none(tmp_path, monkeypatch):
    script, job = written(tmp_path, grouped_decoder(), "decode:9", "lm_head", monkeypatch)
    assert "for output, read in []" in script
    assert job.states is None


def test_the_script_binds_an_output_where_its_input_is():
    setting = Setting("onnxruntime", 1, True, ("CPUExecutionProvider",))
    compile(text(replace(setting, shared=((1, 3),))), "run.py", "exec")
