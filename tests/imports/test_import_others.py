"""Runs made of profiles by onnxruntime and of reports by benchmark_app."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.networks.branchy import gated, inception
from support.runs.imported_runs import (
    DATA,
    imported_warning,
    models_in,
    ort_profile,
    ort_run,
    refused,
)

from onnxprof.analysis.reconcile import reconcile
from onnxprof.errors import UsageError
from onnxprof.imports import build as importing
from onnxprof.imports import files
from onnxprof.imports.build import Facts
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.step import Confidence
from onnxprof.store.folder import Store, load


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return models_in(tmp_path)


def test_a_profile_of_onnxruntime_keeps_every_inference(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    run = ort_run(models, path)
    assert "tells the batch" not in imported_warning(run), "its shapes do"
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
    reader = files.chosen({"--benchmark-app": str(path)})
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
    assert "tells the batch: 2 as it was given" in imported_warning(run)


def test_the_report_that_holds_one_node_names_the_way_out(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "average.json"
    node = {"name": "x", "node_type": "Parameter", "status": "Status.NOT_RUN", "real_time": "0.000"}
    path.write_text(json.dumps({"report_type": "average", "avg_performance": {"nodes": [node]}}))
    assert "detailed_counters" in refused(
        models / "residual.onnx", "--benchmark-app", path, "--batch", "2"
    )


#: Without what reports its use to its makers.
BENCHMARK_APP = """
import sys
sys.modules["openvino_telemetry"] = None
from openvino.tools.benchmark.main import main
main()
"""


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_report_made_here_ties_as_the_backend_does(tmp_path: Path, form: str) -> None:
    pytest.importorskip("openvino", reason="needs onnxprof[openvino]")
    from onnxprof.backends.openvino.backend import OpenvinoBackend

    path = tmp_path / "inception.onnx"
    path.write_bytes(inception().SerializeToString())
    kind = "average" if form == "csv" else "detailed"
    words = [sys.executable, "-c", BENCHMARK_APP, "-m", path, "-niter", "8"]
    words += ["-nireq", "1", "-hint", "none", "-nstreams", "1", "-infer_precision", "f32"]
    words += ["-shape", "x[2,3,16,16]", "-report_type", f"{kind}_counters"]
    words += ["-report_folder", tmp_path, *(["-json_stats"] if form == "json" else [])]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    report = tmp_path / f"benchmark_{kind}_counters_report.{form}"
    opened = open_model(str(path))
    run = importing.build(opened, files.chosen({"--benchmark-app": str(report)}), Facts(batch=2))
    table = inspect(opened, 2)
    work = Workload(prepare(opened, 2, {}), table, generate(table), 1)
    with OpenvinoBackend().open_traced(work) as session:
        session.infer()
        measured = session.trace()
    assert {s.layers for s in run.steps if s.layers} == {
        s.layers for s in measured.steps if s.layers
    }
    assert len([s for s in run.steps if s.layers]) == 6
    assert all(step.op_type in ("Reorder", "Subgraph") for step in run.steps if not step.layers)


def test_a_node_of_less_than_a_microsecond_is_a_step_all_the_same(models: Path) -> None:
    """The first request of the file lists `/head/Gemm` as not run, the second as executed."""
    reader = files.chosen({"--benchmark-app": str(DATA / "benchmark_app" / "residual.csv")})
    run = importing.build(open_model(str(models / "residual.onnx")), reader, Facts(batch=2))
    owner = {name: step for step in run.steps for name in step.layers}
    assert owner["/head/Gemm"].op_type == "FullyConnected"
    assert owner["/head/Softmax"].op_type == "Softmax"


@pytest.mark.parametrize("build", [inception, gated])
def test_a_profile_made_here_ties_as_the_backend_does(tmp_path: Path, build: Any) -> None:
    from onnxprof.backends.ort.backend import OrtBackend

    path = tmp_path / "model.onnx"
    path.write_bytes(build().SerializeToString())
    profile = ort_profile(path, tmp_path)
    opened = open_model(str(path))
    run = importing.build(opened, files.chosen({"--ort-profile": str(profile)}), Facts(batch=2))
    table = inspect(opened, 2)
    work = Workload(prepare(opened, 2, {}), table, generate(table), 1)
    with OrtBackend().open_traced(work) as session:
        session.infer()
        measured = session.trace()
    assert {s.layers for s in run.steps} == {s.layers for s in measured.steps}
