"""Channels that a blocked layout adds: onnxruntime keeps images in blocks of 8 or 16 channels.

A convolution writes whole blocks, and element-wise operators, pools and resizes behind it keep
them; everything else reads a copy in the usual layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from onnxprof.analysis.memory.sharing import is_elementwise
from onnxprof.analysis.memory.tensors import Tensors
from onnxprof.records.layer import Layer, Tensor

_KEEPS = frozenset({"MaxPool", "AveragePool", "Resize", "BatchNormalization"})


def blocked(
    groups: Sequence[tuple[Layer, ...]], tensors: Tensors, block: int
) -> Iterator[tuple[Tensor, ...]]:
    """For each group the outputs that are larger than the table says, with their true shapes."""
    wide: set[str] = set()
    for group in groups:
        found = []
        for layer in group:
            if not _is_blocked(layer, tensors, wide):
                continue
            for name, tensor in tensors.outputs(layer)[:1]:
                wide.add(name)
                found.append(_padded(tensor, block))
        yield tuple(found)


def _is_blocked(layer: Layer, tensors: Tensors, wide: set[str]) -> bool:
    if layer.domain or not layer.outputs:
        return False
    if layer.op_type == "Conv":
        return True
    keeps = layer.op_type in _KEEPS or is_elementwise(layer)
    return keeps and any(name in wide for name in tensors.reads(layer))


def _padded(tensor: Tensor, block: int) -> Tensor:
    shape = tensor.shape
    if shape is None or len(shape) != 4 or not isinstance(shape[1], int):
        return tensor
    channels = -(-shape[1] // block) * block
    return replace(tensor, shape=(shape[0], channels, *shape[2:]))
