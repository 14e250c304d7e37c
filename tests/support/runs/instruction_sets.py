"""Graphs that onnxruntime rewrites differently on CPUs with and without AVX-512."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from support.networks import models
from support.networks.models import model, node, value, weight
from support.places import DATA

FOLDER = DATA / "instruction_sets"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
#: Constants up to this size are kept in the saved graphs.
KEPT_BYTES = 1024


def blocks() -> onnx.ModelProto:
    """Convolutions of 8, 24, 16 and 20 channels: multiples of 8, of 16, of neither."""
    nodes, before, weights = [], "x", []
    for i, (read, made) in enumerate([(3, 8), (8, 24), (24, 16), (16, 20), (20, 32), (32, 24)]):
        weights.append(weight(f"w{i}", made, read, 3, 3, seed=i))
        nodes += [
            node("Conv", [before, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1] * 4),
            node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"),
        ]
        before = f"r{i}"
    nodes += [
        node("MaxPool", ["r1"], ["p"], "pool", kernel_shape=[3, 3], pads=[1] * 4),
        node("Add", ["r5", "p"], ["s"], "sum"),
        node("Concat", ["s", "r2"], ["cat"], "cat", axis=1),
        node("GlobalAveragePool", ["cat"], ["y"], "gap"),
    ]
    image, out = value("x", [1, 3, 16, 16]), value("y", [1, 40, 1, 1])
    return model(nodes, [image], [out], weights)


def half() -> onnx.ModelProto:
    """Three convolutions in float16, which the CPU provider computes in float32."""
    made = [weight(f"w{i}", 24, 24, 3, 3, seed=i) for i in range(3)]
    arrays = [numpy_helper.to_array(tensor).astype(np.float16) for tensor in made]
    weights = [numpy_helper.from_array(a, t.name) for a, t in zip(arrays, made, strict=True)]
    nodes = []
    for i, before in enumerate(("x", "r0", "r1")):
        nodes += [
            node("Conv", [before, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1] * 4),
            node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"),
        ]
    nodes += [node("GlobalAveragePool", ["r2"], ["y"], "gap")]
    image, out = (value(n, d, models.HALF) for n, d in (("x", [1, 24, 8, 8]), ("y", [1, 24, 1, 1])))
    return model(nodes, [image], [out], weights)


def lenet() -> onnx.ModelProto:
    """At batch 1."""
    return models.lenet(1)


def shufflenet() -> onnx.ModelProto:
    """As the onnx package has it."""
    return onnx.load(LIGHT / "light_shufflenet.onnx")


GRAPHS = {
    "blocks": blocks,
    "half": half,
    "int8": models.quantised_convolution,
    "lenet": lenet,
    "shufflenet": shufflenet,
}
CPUS = ("avx2", "avx512")


def saved(name: str, cpu: str, level: str) -> onnx.ModelProto:
    """What the runtime made of a graph on such a CPU."""
    data = lzma.decompress((FOLDER / f"{name}.{cpu}.{level}.onnx.xz").read_bytes())
    return onnx.load_model_from_string(data)
