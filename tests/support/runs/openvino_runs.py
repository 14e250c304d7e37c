"""Models as workloads of OpenVINO, and what it traces and computes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Backend, Trace, Workload
from support.networks import models

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def workload(path: Path, batch: int = 1, threads: int = 1, **options) -> Workload:
    model = open_model(str(path))
    table = inspect(model, batch)
    return Workload(prepare(model, batch, {}), table, generate(table), threads, **options)


def trace_of(job: Workload, inferences: int = 3) -> Trace:
    with OpenvinoBackend().open_traced(job) as session:
        for _ in range(inferences):
            session.infer()
        return session.trace()


def values_of(backend: Backend, job: Workload) -> dict[str, np.ndarray]:
    with backend.open(job) as session:
        for _ in range(3):
            session.infer()
        return dict(session.values())


def assert_same_values(job: Workload) -> None:
    ours, theirs = values_of(OpenvinoBackend(), job), values_of(OrtBackend(), job)
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype
        assert ours[name].shape == expected.shape
        np.testing.assert_allclose(ours[name], expected, rtol=1e-3, atol=1e-4)


def covered(trace: Trace) -> dict[str, str]:
    layers = [name for step in trace.steps for name in step.layers]
    assert len(layers) == len(set(layers)), "a layer is claimed twice"
    assert not set(layers) & set(trace.folded)
    return {layer: step.name for step in trace.steps for layer in step.layers}


def residual() -> onnx.ModelProto:
    """Conv, BatchNorm, Relu, a grouped Conv, then Conv, Add, Relu with a skip, then pooling."""
    statistics = [models.weight(name, 16) for name in "sbm"] + [
        onnx.numpy_helper.from_array(np.ones(16, np.float32), "v")
    ]
    nodes = [
        models.node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        models.node("BatchNormalization", ["c1", "s", "b", "m", "v"], ["n1"], "bn1"),
        models.node("Relu", ["n1"], ["r1"], "relu1"),
        models.node("Conv", ["r1", "wg"], ["cg"], "grouped", pads=[1] * 4, group=4),
        models.node("Conv", ["cg", "w2"], ["c2"], "conv2", pads=[1] * 4),
        models.node("Add", ["c2", "r1"], ["a"], "add"),
        models.node("Relu", ["a"], ["r2"], "relu2"),
        models.node("GlobalAveragePool", ["r2"], ["g"], "pool"),
        models.node("Identity", ["c1"], ["unused"], "dead"),
    ]
    weights = [
        *(models.weight("w1", 16, 3, 3, 3), models.weight("w2", 16, 16, 3, 3)),
        *(models.weight("wg", 16, 4, 3, 3), *statistics),
    ]
    image = models.value("x", ["N", 3, 16, 16])
    return models.model(nodes, [image], [models.value("g", ["N", 16, 1, 1])], weights)
