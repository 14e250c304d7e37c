"""Small float networks, and what onnxruntime's quantisation tool makes of them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from support.networks import models

#: Forms that the tool writes.
FORMS = ("qdq", "qoperator", "dynamic")


def convolutions() -> ModelProto:
    """Convolutions with BatchNorm and Relu, a residual, twin branches, a pool and a classifier."""
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []

    def conv(x: str, name: str, shape: tuple[int, int, int], relu: bool = True) -> str:
        before, after, size = shape
        weights.append(models.weight(f"{name}.w", after, before, size, size, seed=len(weights)))
        pads = [size // 2] * 4
        out = [f"{name}.conv"]
        nodes.append(models.node("Conv", [x, f"{name}.w"], out, name, pads=pads))
        for part, mean in (("scale", 1.0), ("shift", 0.0), ("mean", 0.0), ("var", 1.0)):
            noise = np.random.default_rng(len(weights)).uniform(0, 0.1, after)
            values = (mean + noise).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"{name}.{part}"))
        given = [f"{name}.conv", *(f"{name}.{p}" for p in ("scale", "shift", "mean", "var"))]
        nodes.append(models.node("BatchNormalization", given, [f"{name}.norm"], f"{name}/norm"))
        if relu:
            nodes.append(models.node("Relu", [f"{name}.norm"], [f"{name}.relu"], f"{name}/relu"))
        return f"{name}.relu" if relu else f"{name}.norm"

    x = conv("x", "first", (3, 8, 3))
    y = conv(conv(x, "second", (8, 8, 3)), "third", (8, 8, 3), relu=False)
    nodes.append(models.node("Add", [y, x], ["sum"], "residual"))
    nodes.append(models.node("Relu", ["sum"], ["rectified"], "residual/relu"))
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes.append(models.node("MaxPool", ["rectified"], ["pooled"], "pool", **pool))
    twins = [conv("pooled", name, (8, 8, 1)) for name in ("left", "right")]
    nodes.append(models.node("Concat", twins, ["joined"], "join", axis=1))
    nodes.append(models.node("GlobalAveragePool", ["joined"], ["means"], "average"))
    nodes.append(models.node("Flatten", ["means"], ["flat"], "flatten"))
    weights += [models.weight("fc.w", 10, 16), models.weight("fc.b", 10, seed=1)]
    nodes.append(models.node("Gemm", ["flat", "fc.w", "fc.b"], ["logits"], "fc", transB=1))
    nodes.append(models.node("Softmax", ["logits"], ["y"], "softmax", axis=1))
    ends = models.value("x", [1, 3, 16, 16]), models.value("y", [1, 10])
    return models.model(nodes, [ends[0]], [ends[1]], weights)


def attention(width: int = 16, heads: int = 2, length: int = 6) -> ModelProto:
    """A transformer block: attention over projections of equal size, LayerNorm, and an MLP."""
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = [models.ints("split", 1, length, heads, width // heads)]
    weights.append(models.ints("merge", 1, length, width))
    weights.append(numpy_helper.from_array(np.array(0.35, np.float32), "factor"))

    def linear(x: str, name: str, before: int, after: int) -> str:
        weights.append(models.weight(f"{name}.w", before, after, seed=len(weights)))
        weights.append(models.weight(f"{name}.b", after, seed=len(weights)))
        nodes.append(models.node("MatMul", [x, f"{name}.w"], [f"{name}.mm"], f"{name}/MatMul"))
        nodes.append(
            models.node("Add", [f"{name}.mm", f"{name}.b"], [f"{name}.out"], f"{name}/Add")
        )
        return f"{name}.out"

    def norm(a: str, b: str, name: str) -> str:
        weights.append(models.weight(f"{name}.w", width, seed=len(weights)))
        nodes.append(models.node("Add", [a, b], [f"{name}.in"], f"{name}/Add"))
        given = [f"{name}.in", f"{name}.w"]
        nodes.append(models.node("LayerNormalization", given, [f"{name}.out"], name))
        return f"{name}.out"

    parts = {}
    for name, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        made = linear("x", name, width, width)
        nodes.append(models.node("Reshape", [made, "split"], [f"{name}.split"], f"{name}/Reshape"))
        given, parts[name] = [f"{name}.split"], f"{name}.turned"
        nodes.append(models.node("Transpose", given, [parts[name]], f"{name}/turn", perm=perm))
    nodes.append(models.node("MatMul", [parts["query"], parts["key"]], ["raw"], "scores"))
    nodes.append(models.node("Mul", ["raw", "factor"], ["scaled"], "scale"))
    nodes.append(models.node("Softmax", ["scaled"], ["p"], "softmax", axis=-1))
    nodes.append(models.node("MatMul", ["p", parts["value"]], ["mixed"], "mix"))
    nodes.append(models.node("Transpose", ["mixed"], ["back"], "back", perm=[0, 2, 1, 3]))
    nodes.append(models.node("Reshape", ["back", "merge"], ["merged"], "merge"))
    first = norm("x", linear("merged", "projection", width, width), "norm1")
    wide = linear(first, "up", width, 2 * width)
    nodes.append(models.node("Relu", [wide], ["active"], "activation"))
    last = norm(first, linear("active", "down", 2 * width, width), "norm2")
    ends = models.value("x", [1, length, width]), models.value(last, [1, length, width])
    return models.model(nodes, [ends[0]], [ends[1]], weights)


NETWORKS = {"convolutions": convolutions, "attention": attention}


@functools.cache
def quantised(network: str, form: str, prepared: bool = True, per_channel: bool = False) -> bytes:
    """The file of a network in a form; `prepared` by the tool's own preparation (BatchNorm)."""
    with tempfile.TemporaryDirectory() as folder:
        source = models.save(NETWORKS[network](), Path(folder))
        shape = [d.dim_value for d in onnx.load(source).graph.input[0].type.tensor_type.shape.dim]
        normal = np.random.default_rng(0).standard_normal
        feeds = [{"x": normal(shape).astype(np.float32)} for _ in range(3)]
        target = Path(folder) / "quantised.onnx"
        quantise(source, form, target, feeds, prepared=prepared, per_channel=per_channel)
        return target.read_bytes()


def quantise(
    source: Path,
    form: str,
    target: Path,
    feeds: Sequence[dict[str, Any]],
    *,
    prepared: bool = True,
    per_channel: bool = False,
) -> None:
    """Write a model in a form, calibrated with these inputs."""
    from onnxruntime import quantization as tool
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = source
    if prepared:
        ready = target.with_suffix(".ready.onnx")
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    if form == "dynamic":
        kind = tool.QuantType.QUInt8
        tool.quantize_dynamic(str(ready), str(target), weight_type=kind, per_channel=per_channel)
    else:
        tool.quantize_static(
            str(ready),
            str(target),
            _reader(feeds),
            quant_format=tool.QuantFormat.QDQ if form == "qdq" else tool.QuantFormat.QOperator,
            activation_type=tool.QuantType.QUInt8,
            weight_type=tool.QuantType.QInt8,
            per_channel=per_channel,
        )
    if ready != source:
        ready.unlink()


def _reader(feeds: Sequence[dict[str, Any]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[dict[str, Any]] = iter(feeds)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    return Reader()


def nameless(model: ModelProto) -> ModelProto:
    """Give a model other names of nodes and tensors, inputs and outputs included; changes it."""
    renamed: dict[str, str] = {"": ""}

    def other(name: str) -> str:
        return renamed.setdefault(name, f"t{len(renamed)}")

    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = other(value.name)
    del graph.value_info[:]
    for node in graph.node:
        node.name = ""
        node.input[:] = [other(name) for name in node.input]
        node.output[:] = [other(name) for name in node.output]
    return model
