"""An exporter without a framework: the target's stem says what it gets wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxprof.errors import ExportError
from onnxprof.plugins.exporter import InputSpec, Sample
from onnxprof.records.device import Availability


class FakeExporter:
    name = "fake"

    def availability(self):
        missing = os.environ.get("FAKE_MISSING")
        remedy = "pip install fake" if missing else ""
        return Availability("fake", "cpu", not missing, missing or "fake 1.0", remedy)

    def accepts(self, target):
        return target.endswith(".fake")

    def export(self, request):
        kind = Path(request.target).stem
        print("noise of the framework")
        if kind == "refused":
            raise ExportError("no such network", where=request.target, remedy="Name another")
        if kind == "bug":
            raise ZeroDivisionError("by nought\nsecond line")
        if kind == "crash":
            print("the last word", flush=True)
            os._exit(9)
        if kind == "slow":
            time.sleep(60)
        if kind != "nothing":
            onnx.save(graph(kind, request.batch), request.path)
        sizes = [n for n in request.batches if kind != "insists" or n == 1]
        return [sample(kind, n) for n in sizes]


def graph(kind, batch="batch"):
    """y = relu(x) of [batch, 2, 3], flattened by a Reshape called `flat`."""
    rows = {"hard": 1, "insists": 1}.get(kind, -1)
    operator = "Frobnicate" if kind == "unknown" else "Relu"
    nodes = [
        helper.make_node(operator, ["x"], ["r"], "activation"),
        helper.make_node("Reshape", ["r", "to"], ["y"], "flat"),
    ]
    free = batch or 1
    shape = {"hard": [1, "n"], "insists": [1, 6], "invalid": [7, 7]}.get(kind, [free, 6])
    first = 1 if kind == "insists" else free
    made = helper.make_graph(
        nodes,
        "fake",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [first, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("to", TensorProto.INT64, [2], [rows, 6 if rows < 0 else -1])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def sample(kind, batch):
    x = np.linspace(-1, 1, batch * 6, dtype=np.float32).reshape(batch, 2, 3)
    y = np.maximum(x, 0).reshape((1, -1) if kind == "hard" else (batch, 6))
    if kind == "wrong":
        y = y + 0.5
    if kind == "two":
        return Sample(batch, {"x": x}, (y, y))
    return Sample(batch, {"x": x}, (y,))


INPUT = InputSpec("x", "float32", ("batch", 2, 3))
