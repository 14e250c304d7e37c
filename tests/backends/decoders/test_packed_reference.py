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
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.registry import backend
from onnxprof.records.step import Granularity

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

INNER, COLUMNS, BLOCK = 256, 128, 32


def product(accuracy_level: int) -> onnx.ModelProto:
    """A product with weights of four bits in blocks of 32."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 256, (COLUMNS, INNER // BLOCK, BLOCK // 2), np.uint8)
    scales = rng.uniform(0.005, 0.02, COLUMNS * INNER // BLOCK).astype(np.float32)
    weights = [numpy_helper.from_array(bits, "bits"), numpy_helper.from_array(scales, "scales")]
    made = node(
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
    x, y = value("x", [1, 3, INNER]), value("y", [1, 3, COLUMNS], TensorProto.FLOAT)
    return model([made], [x], [y], weights, domains=["com.microsoft"])


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
