"""`onnxprof profile --phase` as a user runs it, on tiny models with states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.decoders.cells import cell
from support.decoders.grouped import TOTAL, grouped_decoder
from support.decoders.merged import merged_decoder
from support.decoders.plain import NEW, PAST, Sizes, plain_decoder
from support.networks import models
from typer.testing import CliRunner, Result

import onnxprof as op
from onnxprof.analysis.reconcile import reconcile
from onnxprof.cli.main import app
from onnxprof.records.run import Run
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
QUICK = ("--budget", "0.1", "--threads", "1", "--no-telemetry")


def profile(folder: Path, *arguments: object) -> Result:
    store = ("--store", folder / "runs")
    words = ["profile", *map(str, (*arguments, *QUICK, *store))]
    return CliRunner().invoke(app, words, standalone_mode=False)


def stored(folder: Path) -> dict[str, Run]:
    runs, problems = load_all([folder / "runs"])
    assert not problems
    return {run.request.phase: run for run in runs}


def adds_up(run: Run) -> None:
    sums = reconcile(run)
    rows = sum(row.median_ns or 0 for row in sums.rows if row.layer or row.step)
    assert rows == sums.layer_sum_ns
    assert sums.layer_sum_ns + sums.overhead_ns + (sums.interruptions_ns or 0) == sums.total_ns


def test_a_prompt_and_tokens_behind_caches_of_two_lengths(tmp_path):
    path = models.save(plain_decoder(), tmp_path, "tiny.onnx")
    result = profile(tmp_path, path, "--phase", "prefill:8", "--phase", "decode:8..16")
    assert result.return_value == 0, result.output
    runs = stored(tmp_path)
    assert list(runs) == ["prefill:8", "decode:8", "decode:16"]
    assert dict(runs["prefill:8"].table.dims) == {NEW: 8, PAST: 0}
    assert dict(runs["decode:16"].table.dims) == {NEW: 1, PAST: 16}
    for phase, run in runs.items():
        adds_up(run)
        assert run.parity is not None
        assert run.parity.passed
        assert run.request.batch == 1
        assert run.request.dims == ()
        assert f"--phase {phase}" in run.command
    for text in ("Time to the first token", "Time per token", "decode:16", "Growth of decode"):
        assert text in result.output


def test_shared_caches_of_int4_weights(tmp_path):
    path = models.save(grouped_decoder(), tmp_path, "grouped.onnx")
    result = profile(tmp_path, path, "--phase", "prefill:6", "--phase", "decode:0,9")
    assert result.return_value == 0, result.output
    runs = stored(tmp_path)
    assert dict(runs["decode:9"].table.dims) == {NEW: 1, PAST: 10, TOTAL: 10}
    for run in runs.values():
        adds_up(run)
        assert run.parity is not None
        assert run.parity.passed
        attention = [layer for layer in run.table if layer.op_type == "GroupQueryAttention"]
        assert attention[0].outputs[1].shape == (1, 2, dict(run.table.dims)[TOTAL], 16)


def test_steps_of_a_cell(tmp_path):
    path = models.save(cell(), tmp_path, "cell.onnx")
    result = profile(tmp_path, path, "--phase", "steps:4")
    assert result.return_value == 0, result.output
    [run] = stored(tmp_path).values()
    assert run.request.phase == "steps:4"
    adds_up(run)
    assert run.parity is not None
    assert run.parity.passed


def test_two_files_have_a_phase_each(tmp_path):
    prompt = models.save(plain_decoder(past=False), tmp_path, "prompt.onnx")
    later = plain_decoder()
    for held in (*later.graph.input, *later.graph.output):
        for dim in held.type.tensor_type.shape.dim:
            if dim.dim_param == NEW:
                dim.dim_value = 1
            elif dim.dim_param == f"{PAST} + {NEW}":
                dim.dim_param = f"{PAST} + 1"
    behind = models.save(later, tmp_path, "behind.onnx")
    result = profile(tmp_path, prompt, behind, "--phase", "prefill:8", "--phase", "decode:8")
    assert result.return_value == 0, result.output
    runs = stored(tmp_path)
    assert {phase: run.request.model_name for phase, run in runs.items()} == {
        "prefill:8": "prompt",
        "decode:8": "behind",
    }
    assert "prompt + behind" in result.output


def test_unrelated_models_have_a_table_each(tmp_path):
    decoder = models.save(plain_decoder(), tmp_path, "tiny.onnx")
    recurrent = models.save(cell(), tmp_path, "cell.onnx")
    result = profile(tmp_path, decoder, recurrent, "--phase", "decode:8", "--phase", "steps:4")
    assert result.return_value == 0, result.output
    assert " + cell" not in result.output
    printed = CliRunner().invoke(app, ["phases", str(tmp_path / "runs")]).stdout
    heads = [line.split(" on ")[0] for line in printed.splitlines() if line.endswith("phases")]
    assert sorted(heads) == ["cell", "tiny"]


def test_a_merged_file_runs_the_branch_of_the_phase(tmp_path):
    path = models.save(merged_decoder(), tmp_path, "merged.onnx")
    result = profile(tmp_path, path, "--phase", "prefill:8", "--phase", "decode:8")
    assert result.return_value == 0, result.output
    executed = {
        phase: {layer for step in run.steps for layer in step.layers}
        for phase, run in stored(tmp_path).items()
    }
    assert any(name.endswith("then.concat") for name in executed["decode:8"])
    assert not any(name.endswith("then.concat") for name in executed["prefill:8"])
    for run in stored(tmp_path).values():
        assert run.parity is not None
        assert run.parity.passed


def test_a_phase_of_none_of_the_models_fails_with_the_reason(tmp_path):
    path = models.save(cell(), tmp_path, "cell.onnx")
    result = profile(tmp_path, path, "--phase", "decode:4", "-q")
    assert result.return_value == 2
    assert "none of its states grows" in result.output
    assert not (tmp_path / "runs").exists()


def test_a_bad_phase_is_refused_before_anything_is_read(tmp_path):
    result = profile(tmp_path, "missing.onnx", "--phase", "decode:many")
    assert "no size or range" in str(result.exception)


def test_the_document_has_the_phase(tmp_path):
    path = models.save(plain_decoder(), tmp_path, "tiny.onnx")
    result = profile(tmp_path, path, "--phase", "decode:4", "--json", "--no-verify")
    assert result.return_value == 0, result.output
    document = json.loads(result.stdout)
    assert "decode:4" in json.dumps(document)


def test_phases_in_python(tmp_path):
    path = models.save(plain_decoder(), tmp_path, "tiny.onnx")
    runs = op.profile(
        path, phases=("prefill:4", "decode:4"), threads=1, budget=0.05, verify=False,
        telemetry=False, progress=False,
    )  # fmt: skip
    assert [run.request.phase for run in runs] == ["prefill:4", "decode:4"]


def test_a_cache_that_will_not_fit_is_refused_before_it_is_allocated(tmp_path):
    path = models.save(grouped_decoder(Sizes(positions=1 << 17)), tmp_path, "long.onnx")
    result = profile(tmp_path, path, "--phase", "decode:131071", "--memory", "0.05")
    assert result.return_value == 2
    assert "decode:131071 will not fit" in result.output
    assert "smaller sizes than --phase decode:131071, or" in " ".join(result.output.split())
    assert not (tmp_path / "runs").exists()
