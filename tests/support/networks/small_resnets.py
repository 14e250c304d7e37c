"""A small residual network, its twins in 8 bits and in float16, and faults for one layer of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from support.networks.models import model, node, save, value

SHAPE = (1, 3, 24, 24)
CLASSES = 40
_WIDTH = 16


def resnet(blocks: int = 4) -> ModelProto:
    """A stem, residual blocks of two convolutions with biases, a mean and a classifier."""
    rng = np.random.default_rng(7)
    nodes, stored = [], []

    def conv(given: str, made: str, channels: int, size: int = 3) -> None:
        scale = np.sqrt(2 / channels / size / size)
        weights = rng.normal(0, scale, (_WIDTH, channels, size, size)).astype(np.float32)
        bias = rng.normal(0, 0.3, _WIDTH).astype(np.float32)
        stored.append(numpy_helper.from_array(weights, f"{made}.weight"))
        stored.append(numpy_helper.from_array(bias, f"{made}.bias"))
        nodes.append(
            node("Conv", [given, f"{made}.weight", f"{made}.bias"], [made], made, pads=[1] * 4)
        )

    conv("x", "stem", 3)
    nodes.append(node("Relu", ["stem"], ["r0"], "relu0"))
    for index in range(blocks):
        conv(f"r{index}", f"b{index}.one", _WIDTH)
        nodes.append(node("Relu", [f"b{index}.one"], [f"b{index}.act"], f"b{index}.relu"))
        conv(f"b{index}.act", f"b{index}.two", _WIDTH)
        nodes.append(node("Add", [f"b{index}.two", f"r{index}"], [f"s{index}"], f"b{index}.add"))
        nodes.append(node("Relu", [f"s{index}"], [f"r{index + 1}"], f"relu{index + 1}"))
    head = rng.normal(0, 0.3, (_WIDTH, CLASSES)).astype(np.float32)
    stored.append(numpy_helper.from_array(head, "head.weight"))
    stored.append(
        numpy_helper.from_array(rng.normal(0, 1, CLASSES).astype(np.float32), "head.bias")
    )
    nodes += [
        node("GlobalAveragePool", [f"r{blocks}"], ["pooled"], "pool"),
        node("Flatten", ["pooled"], ["flat"], "flatten"),
        node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"], "head"),
    ]
    return model(nodes, [value("x", SHAPE)], [value("logits", [1, CLASSES])], stored)


def sample(seed: int = 3) -> np.ndarray:
    """One input."""
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def in_8_bits(made: ModelProto, folder: Path) -> ModelProto:
    """Quantised and dequantised around each layer, unsigned with 7 bits of weights.

    Full 8-bit weights saturate on CPUs without VNNI.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter([{"x": sample(seed)} for seed in range(4)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    source, target = save(made, folder, "float.onnx"), folder / "int8.onnx"
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(source, target, Reader(), reduce_range=True, **kinds)
    return onnx.load(target)


def in_halves(made: ModelProto) -> ModelProto:
    """float16 within, float32 outside."""
    half = ModelProto()
    half.CopyFrom(made)
    for tensor in half.graph.initializer:
        array = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for each in half.graph.node:
        each.input[:] = ["x.half" if name == "x" else name for name in each.input]
        each.output[:] = ["logits.half" if name == "logits" else name for name in each.output]
    half.graph.node.insert(0, node("Cast", ["x"], ["x.half"], "in", to=TensorProto.FLOAT16))
    half.graph.node.append(node("Cast", ["logits.half"], ["logits"], "out", to=TensorProto.FLOAT))
    return half


def faulty(made: ModelProto, fault: str, layer: str) -> ModelProto:
    """The same network with one fault in one layer."""
    wrong = ModelProto()
    wrong.CopyFrom(made)
    if fault == "zero point":
        _move_zero_point(wrong, layer)
        return wrong
    part = "bias" if fault == "no bias" else "weight"
    tensors = {t.name: t for t in wrong.graph.initializer}
    name = next(n for n in (f"{layer}.{part}", f"{layer}.{part}_quantized") if n in tensors)
    scale = f"{layer}.{part}_scale"
    if fault == "scaled weight" and scale in tensors:
        name = scale
    array = numpy_helper.to_array(tensors[name])
    changed = {
        "permuted channels": lambda: np.roll(array, 1, axis=0),
        "scaled weight": lambda: array * 1.5,
        "no bias": lambda: array * 0,
    }[fault]()
    tensors[name].CopyFrom(numpy_helper.from_array(changed.astype(array.dtype), name))
    return wrong


def _move_zero_point(wrong: ModelProto, layer: str) -> None:
    """What the layer reads is taken to have another zero."""
    data = next(n for n in wrong.graph.node if n.name == layer).input[0]
    reader = next(n for n in wrong.graph.node if data in n.output)
    tensors = {t.name: t for t in wrong.graph.initializer}
    zero = int(numpy_helper.to_array(tensors[reader.input[2]]))
    moved = zero + 12 if zero < 128 else zero - 12
    wrong.graph.initializer.append(numpy_helper.from_array(np.array(moved, np.uint8), "zero.moved"))
    reader.input[2] = "zero.moved"
