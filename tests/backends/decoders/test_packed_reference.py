"""The reference of outputs rounds inputs of four-bit products as the measured session does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from support.networks.models import model, node, save, value

from onnxprof.backends.ort.check.observe import reference_values
from onnxprof.checks.reference import check
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend
from onnxprof.records.step import Granularity

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

INNER, COLUMNS, BLOCK = 256, 128, 32


def weights() -> list[TensorProto]:
    """Four bits each, in blocks of 32."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 256, (COLUMNS, INNER // BLOCK, BLOCK // 2), np.uint8)
    scales = rng.uniform(0.005, 0.02, COLUMNS * INNER // BLOCK).astype(np.float32)
    return [numpy_helper.from_array(bits, "bits"), numpy_helper.from_array(scales, "scales")]


def packed(accuracy_level: int) -> onnx.NodeProto:
    return node(
        "MatMulNBits",
        ["x", "bits", "scales"],
        ["y"],
        "product",
        domain="com.microsoft",
        K=INNER,
        N=COLUMNS,
        bits=4,
        block_size=BLOCK,
        accuracy_level=accuracy_level,
    )


def product(accuracy_level: int) -> onnx.ModelProto:
    x, y = value("x", [1, 3, INNER]), value("y", [1, 3, COLUMNS], TensorProto.FLOAT)
    return model([packed(accuracy_level)], [x], [y], weights(), domains=["com.microsoft"])


@pytest.mark.parametrize("accuracy_level", [0, 4])
def test_the_checked_values_are_those_of_the_measured_session(
    accuracy_level: int, tmp_path: Path
) -> None:
    made = product(accuracy_level)
    file = open_model(str(save(made, tmp_path)))
    table = inspect(file, 1)
    job = Workload(prepare(file, 1, {}), table, generate(table), 1, "cpu")
    [values] = reference_values(job, made, [job.inputs])
    with backend("ort").open(replace(job, granularity=Granularity.WRITTEN)) as session:
        session.infer()
        measured = dict(session.values())
    assert np.allclose(values["y"], measured["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unread", [False, True], ids=["empty", "not read"])
def test_a_cache_that_moves_nothing_tells_no_noise(unread: bool, tmp_path: Path) -> None:
    """Then 10 % stand for what rounding explains, as for networks that read tokens alone."""
    table = np.random.default_rng(4).standard_normal((50, INNER)).astype(np.float32)
    nodes = [
        node("Gather", ["table", "ids"], ["tokens"], "embed"),
        node("Mul", ["past", "zero"], ["nothing"], "nothing"),
        node("Concat", ["nothing" if unread else "past", "tokens"], ["x"], "join", axis=1),
        packed(4),
    ]
    inputs = [value("ids", ["batch", "n"], TensorProto.INT64), value("past", ["batch", "p", INNER])]
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    held = [numpy_helper.from_array(table, "table"), zero, *weights()]
    y = value("y", ["batch", "total", COLUMNS])
    made = model(nodes, inputs, [y], held, domains=["com.microsoft"])
    file, dims = open_model(str(save(made, tmp_path))), {"n": 4, "p": 2 if unread else 0}
    layers = inspect(file, 1, dims)
    job = Workload(prepare(file, 1, dims), layers, generate(layers), 1, "cpu")
    with backend("ort").open(job) as session:
        session.infer()
        [right] = session.values().values()
    noise = np.random.default_rng(5).uniform(-1, 1, right.shape)
    for part, passes in ((0.05, True), (0.5, False)):
        found = {"y": (right * (1 + part * noise)).astype(np.float32)}
        assert check(job, found).passed is passes
