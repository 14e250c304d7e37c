"""Weights of a model as other tensors: of fewer bits an element, of other shapes, of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.openvino.rewrites.nodes import Nodes
from onnxprof.model.graph.data_files import DataFolder, is_external
from onnxprof.model.graph.weights import size_bytes

#: The most bytes of weights that are copied, since they go into the model's own message.
_MOST = 1 << 30
Rows = slice
_ALL = slice(None)
#: ONNX's numbers of the types that hold packed weights, by their bits.
PACKED_TYPES: Mapping[int, int] = {4: 21, 8: 2}


@dataclass(slots=True)
class Weights:
    """The stored tensors of a model by name, and the files that hold their data."""

    stored: Mapping[str, Any]
    data: DataFolder
    made: list[Any] = field(default_factory=list)
    """New tensors, which are initializers of the main graph."""
    copied: int = 0
    """Bytes of them."""

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a stored tensor; None for any other."""
        return tuple(self.stored[name].dims) if name in self.stored else None

    def may_copy(self, name: str) -> bool:
        """Whether a stored tensor is small enough, with those before, to be copied."""
        return self.copied + size_bytes(self.stored[name], name) <= _MOST

    def array(self, name: str) -> NDArray[Any]:
        """The values of a stored tensor; of packed ones the bytes."""
        from onnx import TensorProto, numpy_helper

        tensor = self.stored[name]
        if is_external(tensor):
            read = TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
            read.raw_data = self.data.read(tensor, size_bytes(tensor, name))
            tensor = read
        return numpy_helper.to_array(tensor)

    def viewed(self, name: str, own: str, kind: int, dims: Sequence[int]) -> str:
        """The same bytes as a tensor of another type and shape; returns its name."""
        return self._add(self.stored[name], own, kind, dims)

    def held(self, own: str, values: NDArray[Any], kind: int, dims: Sequence[int]) -> str:
        """Values, or bytes of packed ones, as a new tensor; returns its name."""
        from onnx import TensorProto

        self.copied += values.nbytes
        return self._add(TensorProto(raw_data=values.tobytes()), own, kind, dims)

    def _add(self, tensor: Any, own: str, kind: int, dims: Sequence[int]) -> str:
        made = type(tensor).FromString(tensor.SerializeToString())
        made.name, made.data_type = own, kind
        made.ClearField("dims")
        made.dims.extend(dims)
        self.made.append(made)
        return own


@dataclass(frozen=True, slots=True)
class PackedMatrices:
    """Matrices [experts, out, in] of 4 or 8 bits an element, with a scale for each block of a row.

    The scales are [experts, out] or [experts, out, blocks]; zero points are packed along blocks.
    """

    matrix: str
    scales: str
    zeros: str
    bits: int

    def scaled(self, made: Nodes, weights: Weights, rows: Rows, to: int) -> str:
        """Nodes that yield some rows of each matrix as numbers of ONNX's type `to`."""
        own = f"{made.node.output[0]}~{len(made.made)}"
        dims = self._dims(weights, rows)
        kind = PACKED_TYPES[self.bits]
        if rows == _ALL:
            held = weights.viewed(self.matrix, f"{own}.w", kind, dims)
        else:
            part = np.ascontiguousarray(weights.array(self.matrix)[:, rows])
            held = weights.held(f"{own}.w", part, kind, dims)
        scales = self._scales(weights, rows, own, dims)
        scale_type = weights.stored[self.scales].data_type
        wide = made.add("Cast", [held], to=scale_type)
        wide = made.add("Sub", [wide, self._zeros(made, weights, rows, own, dims)])
        wide = made.add("Mul", [wide, scales])
        if len(dims) > 3:
            wide = made.add("Reshape", [wide, made.ints(*dims[:2], dims[2] * dims[3])])
        return made.add("Cast", [wide], to=to) if scale_type != to else wide

    def _dims(self, weights: Weights, rows: Rows) -> tuple[int, ...]:
        """[experts, out, in], with blocks apart where there is more than one."""
        experts, height, width = weights.stored[self.matrix].dims
        height = len(range(height)[rows])
        width = width * 8 // self.bits
        scales = weights.stored[self.scales].dims
        blocks = scales[2] if len(scales) > 2 else 1
        return (
            (experts, height, width) if blocks == 1 else (experts, height, blocks, width // blocks)
        )

    def _scales(self, weights: Weights, rows: Rows, own: str, dims: Sequence[int]) -> str:
        kind, shape = weights.stored[self.scales].data_type, (*dims[:-1], 1)
        if rows == _ALL:
            return weights.viewed(self.scales, f"{own}.s", kind, shape)
        part = np.ascontiguousarray(weights.array(self.scales)[:, rows])
        return weights.held(f"{own}.s", part, kind, shape)

    def _zeros(
        self, made: Nodes, weights: Weights, rows: Rows, own: str, dims: Sequence[int]
    ) -> str:
        """Zero points in the type of the scales: the middle where none are given."""
        kind = weights.stored[self.scales].data_type
        if not self.zeros:
            middle = np.array(1 << (self.bits - 1), weights.array(self.scales).dtype)
            return made.constant(middle)
        shape = (*dims[:-1], 1)
        zeros = weights.array(self.zeros).reshape(dims[0], -1, 1)
        zeros = zeros.reshape(dims[0], weights.stored[self.matrix].dims[1], -1)
        if self.bits == 4:
            zeros = np.stack([zeros & 15, zeros >> 4], -1).reshape(*zeros.shape[:2], -1)
        part = np.ascontiguousarray(zeros[:, rows, : dims[2] if len(dims) > 3 else 1])
        held = weights.held(f"{own}.z", part, PACKED_TYPES[8], shape)
        return made.add("Cast", [held], to=kind)
