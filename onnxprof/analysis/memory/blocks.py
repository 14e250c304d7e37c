"""onnxruntime's blocked layout on the CPU: padded channels, and copies into and out of it.

Images are kept in blocks of 8 or 16 channels. A convolution writes whole blocks, and pools, sums
and activations behind it keep them; everything else reads a copy in the usual layout, which is made
once. A convolution that reads the usual layout gets a copy in blocks, unless it has fewer channels
than a block. A Transpose is made together with such a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnxprof.analysis.memory.liveness import Execution, Written
from onnxprof.analysis.memory.sharing import is_elementwise
from onnxprof.analysis.memory.sizes import tensor_bytes
from onnxprof.analysis.memory.tensors import Tensors
from onnxprof.records.layer import Layer, Tensor

_KEEPS = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize"}
    | {"BatchNormalization", "Concat"}
)
_EITHER = frozenset({"Transpose"})


class Layouts:
    """Which tensors are in blocks, and the sizes that they then have."""

    def __init__(self, tensors: Tensors, block: int) -> None:
        self._tensors, self._block = tensors, block
        self._tensor: dict[str, Tensor] = {}
        self._blocked: set[str] = set()
        self._copied: dict[str, str] = {}

    def padded(self, group: Sequence[Layer]) -> tuple[Tensor, ...]:
        """A group's outputs that are in blocks, with the shapes that they have there."""
        found = []
        for layer in group:
            for name, tensor in self._tensors.outputs(layer):
                self._tensor[name] = tensor
            if self._is_blocked(group[0] if group[0].op_type == "Conv" else layer):
                name, tensor = self._tensors.outputs(layer)[0]
                self._blocked.add(name)
                found.append(_padded(tensor, self._block))
        return tuple(found)

    def with_copies(
        self, executions: Sequence[Execution], groups: Sequence[tuple[Layer, ...]]
    ) -> list[Execution]:
        """The executions with the copies that they need in front of them."""
        made: list[Execution] = []
        place: list[int] = []
        for execution, group in zip(executions, groups, strict=True):
            renamed = {}
            for name in execution.reads:
                copy = self._copy(name, group)
                if copy is not None:
                    if name not in self._copied:
                        self._copied[name] = copy.name
                        made.append(copy)
                    renamed[name] = copy.name
            place.append(len(made))
            made.append(_reading(execution, renamed))
        return [
            replace(each, until=place[each.until]) if each.until >= 0 else each for each in made
        ]

    def _copy(self, name: str, group: tuple[Layer, ...]) -> Execution | None:
        """What copies a tensor into the layout that the group wants; None where it has it."""
        first, tensor = group[0], self._tensor.get(name)
        if tensor is None or first.op_type in _EITHER or tensor.shape is None:
            return None
        if name in self._blocked:
            wanted = None if self._is_blocked(first) else tensor
        else:
            wanted = self._entering(name, first, tensor)
        if wanted is None or len(tensor.shape) != 4:
            return None
        copy = f"{name}\0copy"
        written = Written(copy, tensor_bytes(wanted), (wanted.shape, wanted.dtype))
        return Execution(copy, (name,), (written,))

    def _entering(self, name: str, layer: Layer, tensor: Tensor) -> Tensor | None:
        """The tensor in blocks, for a convolution that reads it in the usual layout."""
        writer = self._tensors.writer(name)
        channels = tensor.shape[1] if tensor.shape is not None and len(tensor.shape) == 4 else None
        if layer.op_type != "Conv" or layer.domain or not isinstance(channels, int):
            return None
        if channels < self._block or (writer is not None and writer.op_type in _EITHER):
            return None
        return _padded(tensor, self._block)

    def _is_blocked(self, layer: Layer) -> bool:
        if layer.domain or not layer.outputs:
            return False
        if layer.op_type == "Conv":
            return True
        reads = self._tensors.reads(layer)
        if layer.op_type == "Concat":
            whole = all(self._fills_blocks(tensor) for tensor in layer.inputs)
            return whole and all(name in self._blocked for name in reads)
        if layer.op_type in ("Add", "Sub", "Div", "Sum"):  # with a constant it is not
            return all(name in self._blocked for name in reads)
        keeps = layer.op_type in _KEEPS or is_elementwise(layer)
        return keeps and bool(reads) and reads[0] in self._blocked

    def _fills_blocks(self, tensor: Tensor) -> bool:
        shape = tensor.shape
        if shape is None or len(shape) != 4 or not isinstance(shape[1], int):
            return False
        return shape[1] % self._block == 0


def _reading(execution: Execution, renamed: dict[str, str]) -> Execution:
    if not renamed:
        return execution
    reads = tuple(renamed.get(name, name) for name in execution.reads)
    overwrites = tuple(renamed.get(name, name) for name in execution.overwrites)
    return replace(execution, reads=reads, overwrites=overwrites)


def _padded(tensor: Tensor, block: int) -> Tensor:
    shape = tensor.shape
    if shape is None or len(shape) != 4 or not isinstance(shape[1], int):
        return tensor
    channels = -(-shape[1] // block) * block
    return replace(tensor, shape=(shape[0], channels, *shape[2:]))
