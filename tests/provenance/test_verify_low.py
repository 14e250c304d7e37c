"""Quantised networks as others make them: signed activations, depthwise weights, an Identity."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import models
from support.networks.models import node, value, weight
from support.runs.verified import assert_true, opened, share

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
quantization = pytest.importorskip("onnxruntime.quantization")


class Feeds:
    """Calibration data."""

    def __init__(self) -> None:
        self._left = [np.random.default_rng(i).normal(size=(1, 48, 8, 8)) for i in range(2)]

    def get_next(self):
        return {"x": self._left.pop().astype(np.float32)} if self._left else None

    def set_range(self, *_: int) -> None:
        """All of it is one range."""


def classifier() -> onnx.ModelProto:
    """A depthwise convolution of many weights, and an Identity behind the Softmax."""
    nodes = [
        node("Conv", ["x", "w0"], ["a"], "depthwise", group=48, pads=[2] * 4),
        node("HardSigmoid", ["a"], ["b"], "squash"),
        node("Mul", ["a", "b"], ["c"], "gate"),
        node("Conv", ["c", "w1"], ["d"], "pointwise"),
        node("GlobalAveragePool", ["d"], ["e"], "pool"),
        node("Flatten", ["e"], ["f"], "flat"),
        node("MatMul", ["f", "w2"], ["g"], "product"),
        node("Add", ["g", "w3"], ["h"], "bias"),
        node("Softmax", ["h"], ["i"], "soft"),
        node("Identity", ["i"], ["y"], "last"),
    ]
    stored = [
        weight("w0", 48, 1, 5, 5), weight("w1", 32, 48, 1, 1), weight("w2", 32, 10),
        weight("w3", 10),
    ]  # fmt: skip
    apart = 20 * numpy_helper.to_array(stored[2])  # a Softmax of small numbers is nearly linear
    stored[2].CopyFrom(numpy_helper.from_array(apart, "w2"))
    return models.model(nodes, [value("x", [1, 48, 8, 8])], [value("y", [1, 10])], stored)


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_quantised_networks_of_others_are_verified(kind: str, tmp_path: Path) -> None:
    logging.disable(logging.WARNING)  # the quantiser advises on the root logger
    source, target = models.save(classifier(), tmp_path), tmp_path / "int8.onnx"
    quantization.quantize_static(
        source,
        target,
        Feeds(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType[kind],
        per_channel=True,
    )
    with opened(target) as checked:
        steps = checked.steps()
        assert_true(checked, steps)
        assert share(checked.job, steps) >= 0.97
