"""Runs made of profiles by onnxruntime and of reports by benchmark_app."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from imported_runs import DATA, imported_warning, models_in, ort_profile, ort_run, refused

from onnxprof import importing, recordings
from onnxprof.contracts import UsageError
from onnxprof.importing import Facts
from onnxprof.modelfile import open_model
from onnxprof.reconcile import reconcile
from onnxprof.records import Confidence
from onnxprof.store import Store, load


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return models_in(tmp_path)


def test_a_profile_of_onnxruntime_keeps_every_inference(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    run = ort_run(models, path)
    assert run.timings is not None
    assert run.timings.step_ns.shape == (len(run.steps), 4), "the first is apart"
    assert run.timings.first_ns > 0
    assert run.timings.load_ns > 0
    assert run.timings.traced_ns.size == 4
    assert (run.timings.step_ns.sum(axis=0) <= run.timings.traced_ns).all()
    assert not reconcile(run).is_whole
    assert run.device.id == "cpu:unknown-device"
    covered = Counter(name for step in run.steps for name in step.layers)
    assert set(covered.values()) == {1}
    stem = next(step for step in run.steps if "/stem/Conv" in step.layers)
    assert "/stem/Relu" in stem.layers
    again = load(Store(models / "store").save(run))
    assert again.timings is not None
    assert again.timings.step_ns.tolist() == run.timings.step_ns.tolist()


def test_a_profile_of_another_batch_is_refused_with_the_right_one(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    with pytest.raises(UsageError, match=r"of batch 2, not 4.*--batch 2"):
        ort_run(models, path, batch=4)


def test_a_truncated_profile_says_so(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    events = [*json.loads(path.read_text()), {"name": "profile_truncated", "cat": "Session"}]
    path.write_text(json.dumps(events))
    assert "truncated" in imported_warning(ort_run(models, path))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_report_of_benchmark_app(models: Path, form: str) -> None:
    path = DATA / "benchmark_app" / f"residual.{form}"
    reader = recordings.chosen({"--benchmark-app": str(path)})
    run = importing.build(open_model(str(models / "residual.onnx")), reader, Facts(batch=2))
    assert run.timer == "imported: performance counters"
    owner = {name: step for step in run.steps for name in step.layers}
    assert owner["/stem/Conv"].name == "Multiply_3896", "batch norm took the convolution's name"
    assert owner["/stem/Conv"].confidence is Confidence.INFERRED
    assert owner["/stem/Conv"] is owner["/stem/Relu"]
    assert owner["/block[0]/Conv"].layers == ("/block[0]/Conv",)
    assert all(not step.layers for step in run.steps if step.op_type == "Reorder")
    covered = Counter(name for step in run.steps for name in step.layers)
    assert set(covered.values()) == {1}
    assert run.timings is not None
    assert run.timings.step_ns.sum() > 0
    assert "no latencies" in imported_warning(run)


def test_the_report_that_holds_one_node_names_the_way_out(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "average.json"
    node = {"name": "x", "node_type": "Parameter", "status": "Status.NOT_RUN", "real_time": "0.000"}
    path.write_text(json.dumps({"report_type": "average", "avg_performance": {"nodes": [node]}}))
    assert "detailed_counters" in refused(
        models / "residual.onnx", "--benchmark-app", path, "--batch", "2"
    )
