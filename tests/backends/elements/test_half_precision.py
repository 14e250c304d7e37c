"""Half precision on each runtime: what the graph that runs says it is computed in."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper
from support.networks import models
from support.networks.models import HALF, node, value

from onnxprof.analysis.widened import computed_in, widening
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend

PACKAGES = {"ort": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def half(name: str, *dims: int):
    data = np.random.default_rng(0).normal(0, 0.1, dims).astype(np.float16)
    return numpy_helper.from_array(data, name)


def network():
    """Two convolutions and a softmax, all in float16."""
    return models.model(
        [node("Conv", ["x", "w1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
         node("Relu", ["a"], ["b"], "relu"),
         node("Conv", ["b", "w2"], ["c"], "conv2", pads=[1, 1, 1, 1]),
         node("Softmax", ["c"], ["y"], "softmax", axis=1)],
        [value("x", ["N", 8, 16, 16], HALF)], [value("y", None, HALF)],
        [half("w1", 8, 8, 3, 3), half("w2", 8, 8, 3, 3)],
    )  # fmt: skip


def traced(name: str, folder: Path):
    if find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs {PACKAGES[name]}")
    model = open_model(str(models.save(network(), folder)))
    table = inspect(model, 1, {})
    workload = Workload(prepare(model, 1, {}), table, generate(table), 1, "cpu")
    with backend(name).open_traced(workload) as session:
        for _ in range(3):
            session.infer()
        return session.trace(), table


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_convolutions_in_float32_are_shown_as_such(name: str, tmp_path: Path) -> None:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("processors of other makers have kernels of half precision")
    trace, table = traced(name, tmp_path)
    wide = {la for step in trace.steps if computed_in(step, table) for la in step.layers}
    assert wide >= {"conv1", "conv2"}
    found = widening(trace.steps, table, np.ones(len(trace.steps)))
    assert found is not None
    assert (found.declared, found.computed) == ("float16", "float32")
    if name == "ort":  # casts around them are steps of their own
        assert found.cast_share > 0


def test_torch_computes_in_the_declared_type(tmp_path: Path) -> None:
    trace, table = traced("torch", tmp_path)
    assert widening(trace.steps, table, np.ones(len(trace.steps))) is None
    assert {step.outputs[0].dtype for step in trace.steps} == {"float16"}
