"""`--save-optimized`: what is written, where, and what is never overwritten."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.networks import models
from support.runs.ort_runs import workload

from onnxprof.errors import UsageError
from onnxprof.jobs.job import Job
from onnxprof.jobs.optimised.save import check_target, save_optimised
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.plugins import registry
from onnxprof.processes.limits import Limits
from onnxprof.testing import FakeBackend

ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

WIDE = 600


def job(path: Path, backend: str = "ort", batch: int = 2, **options: Any) -> Job:
    asked = Options(
        (str(path),), backend=backend, batches=(batch,), threads=1, limits=Limits(), **options
    )
    return plan(asked)[0]


def outputs(path: Path, feeds: dict[str, Any]) -> list[Any]:
    plain = ort.SessionOptions()
    plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return list(ort.InferenceSession(path, plain).run(None, feeds))


def test_onnxruntimes_graph_runs_as_it_was_optimised(tmp_path: Path) -> None:
    source = models.save(models.lenet(), tmp_path)
    made = job(source, optimization_level="extended")
    [written] = save_optimised(made, tmp_path / "lenet.optimised.onnx")
    graph = onnx.load(written).graph
    assert "FusedConv" in {node.op_type for node in graph.node}
    assert "Relu" not in {node.op_type for node in graph.node}
    feeds = dict(workload(source, 2).inputs)
    for ours, theirs in zip(outputs(written, feeds), outputs(source, feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert sorted(os.listdir(tmp_path)) == ["lenet.optimised.onnx", "model.onnx"]


def test_large_weights_lie_beside_the_graph(tmp_path: Path) -> None:
    from onnxprof.backends.ort.graphs.exported import save

    source = models.save(models.linear(width=WIDE), tmp_path)
    folder = tmp_path / "made"
    folder.mkdir()
    save(workload(source), folder / "net.onnx", beside_bytes=1000)
    assert sorted(os.listdir(folder)) == ["net.onnx", "net.onnx.data"]
    assert (folder / "net.onnx").stat().st_size < 4 * WIDE
    assert (folder / "net.onnx.data").stat().st_size >= 4 * 3 * WIDE
    feeds = dict(workload(source).inputs)
    [ours], [theirs] = outputs(folder / "net.onnx", feeds), outputs(source, feeds)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_weights_beside_the_model_are_beside_the_graph(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    source = models.save(models.linear(width=WIDE), given)
    onnx.save(onnx.load(source), source, save_as_external_data=True, location="weights.bin")
    files = save_optimised(job(source), tmp_path / "net.onnx")
    assert [file.name for file in files] == ["net.onnx", "net.onnx.data"]
    feeds = dict(workload(source, 2).inputs)
    (given / "weights.bin").rename(given / "elsewhere.bin")
    assert outputs(files[0], feeds)[0].shape[0] == 2


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs onnxprof[openvino]")
def test_openvinos_graph_is_the_description_that_its_tools_read(tmp_path: Path) -> None:
    source = models.save(models.lenet(), tmp_path)
    [written] = save_optimised(job(source, "openvino"), tmp_path / "lenet.xml")
    text = written.read_text("utf-8")
    assert text.startswith("<?xml")
    assert 'type="Convolution"' in text
    assert "execOrder=" in text
    assert sorted(os.listdir(tmp_path)) == ["lenet.xml", "model.onnx"]


@pytest.mark.skipif(find_spec("torch") is None, reason="needs onnxprof[torch]")
@pytest.mark.parametrize(
    ("provider", "why"), [("", "runs the model as it is"), ("compile", "TORCH_LOGS=output_code")]
)
def test_torch_has_no_graph_to_write(provider: str, why: str, tmp_path: Path) -> None:
    source = models.save(models.lenet(), tmp_path)
    with pytest.raises(UsageError) as caught:
        save_optimised(job(source, "torch", provider=provider), tmp_path / "x.onnx")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model.onnx", "is there already"),
        ("taken.onnx", "taken.onnx.data is there already"),
        ("link.onnx", "is there already"),
        ("graph.txt", "Name it graph.onnx"),
        ("none/graph.onnx", "there is no folder"),
    ],
)
def test_nothing_of_the_users_is_overwritten(name: str, why: str, tmp_path: Path) -> None:
    source = models.save(models.linear(), tmp_path)
    (tmp_path / "taken.onnx.data").write_text("mine")
    (tmp_path / "link.onnx").symlink_to(tmp_path / "nowhere")
    before = source.read_bytes()
    with pytest.raises(UsageError) as caught:
        save_optimised(job(source), tmp_path / name)
    assert why in str(caught.value)
    assert source.read_bytes() == before
    assert (tmp_path / "taken.onnx.data").read_text() == "mine"


def test_a_backend_without_the_verb_writes_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the fake backend writes no graph"):
        check_target(tmp_path / "x.onnx", FakeBackend(), "cpu")


def test_a_compiled_subgraph_cannot_be_written(tmp_path: Path) -> None:
    backend = registry.backend("ort")
    with pytest.raises(UsageError, match="the provider tensorrt has compiled"):
        check_target(tmp_path / "x.onnx", backend, "tensorrt")


def test_a_model_that_cannot_be_loaded_leaves_nothing(tmp_path: Path) -> None:
    source = models.save(models.linear(), tmp_path)
    made = job(source)
    broken = replace(made, options=replace(made.options, provider="odd"))
    with pytest.raises(UsageError):
        save_optimised(broken, tmp_path / "x.onnx")
    assert os.listdir(tmp_path) == ["model.onnx"]
