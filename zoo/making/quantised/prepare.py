"""What comes before quantising: newer operators, and batch norms folded into convolutions."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from onnxprof.zoo.making.quantised.parts import Parts, Vector

#: The first version whose QuantizeLinear has a scale for each channel.
OPSET = 13


def modernise(model: ModelProto) -> None:
    """Bring a model of opset 9 to 13, as far as the zoo's networks need it; newer ones stay."""
    version = next(opset for opset in model.opset_import if not opset.domain)
    if version.version >= OPSET:
        return
    version.version = OPSET
    for node in model.graph.node:
        if node.op_type == "Dropout":
            del node.attribute[:]  # the ratio, which inference does not use
        if node.op_type == "Softmax" and not node.attribute:
            node.attribute.append(helper.make_attribute("axis", 1))
        if node.op_type == "Sum" and len(node.input) == 2:
            node.op_type = "Add"  # of two operands, as quantised kernels know it


def fold(parts: Parts) -> dict[str, Vector]:
    """Fold batch norms into their convolutions; returns the factor of each weight's channels.

    A convolution is left with its weight as it was, a bias of its own, and the output of its
    batch norm.
    """
    readers = parts.readers()
    makers = {node.output[0]: node for node in parts.nodes}
    factors: dict[str, Vector] = {}
    kept: list[NodeProto] = []
    for node in parts.nodes:
        conv = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type != "Conv" or readers[node.input[0]] > 1:
            kept.append(node)
            continue
        factors[conv.input[1]] = _folded(parts, conv, node)
    parts.nodes = kept
    return factors


def _folded(parts: Parts, conv: NodeProto, norm: NodeProto) -> Vector:
    _, scale, shift, mean, variance = norm.input
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    factor: Vector = parts.values(scale) / np.sqrt(parts.values(variance) + np.float32(epsilon))
    before = parts.values(conv.input[2]) if len(conv.input) > 2 else np.float32(0)
    bias = parts.values(shift) + (before - parts.values(mean)) * factor
    parts.store(shift, bias)
    del conv.input[2:]
    conv.input.append(shift)
    conv.output[0] = norm.output[0]
    return factor
