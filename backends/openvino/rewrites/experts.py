"""MoE and QMoE, mixtures of experts, as products of all experts with a weight for each token.

Experts that a token did not choose have the weight 0. OpenVINO knows this form: of gated experts,
as the models of today have them, it computes those that were chosen (its GatherMatmul), of others
each expert computes all tokens. The form is that of its pass ConvertTiledMoeBlockToGatherMatmuls,
node by node. That pass comes after another, which merges activations of known sizes; so the number
of tokens is hidden from it in here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprof.backends.openvino.rewrites.nodes import (
    MICROSOFT,
    Nodes,
    attributes_of,
    known_shape,
)
from onnxprof.backends.openvino.rewrites.weights import PACKED_TYPES, PackedMatrices, Weights
from onnxprof.records.elements.arrays import dtype_of
from onnxprof.records.elements.table import by_name
from onnxprof.records.layer import Tensor

#: The first version of ONNX's operators in which axes of sums are operands.
OLDEST = 13
_ACTIVATIONS = {"relu": "Relu", "identity": "Identity"}
#: How a gate and a value share one matrix: rows in turn; else a half each.
_IN_TURN = 1
_FLOAT = 1
_ALL = slice(None)
#: Operands of the three matrices and their biases; of QMoE also their scales and zero points.
_MATRICES = {"MoE": ((2, 3), (4, 5), (6, 7)), "QMoE": ((2, 4), (5, 7), (8, 10))}
_SCALES = {2: (3, 11), 5: (6, 12), 8: (9, 13)}
#: QMoE's weights of the results in place of the router's.
_MIXING = 14


def experts(node: Any, tensors: Mapping[str, Tensor], weights: Weights) -> list[Any] | None:
    """The nodes in place of one; None where it is left to the frontend."""
    given = attributes_of(node)
    shapes = [known_shape(tensors, node.input[place]) for place in (0, 1)]
    kind = given.get("activation_type", b"relu").decode("utf-8", "replace")
    if None in shapes or given.get("use_sparse_mixer") or any(node.input[_MIXING:]):
        return None
    if kind not in (*_ACTIVATIONS, "silu", "gelu", "swiglu") or not math.prod(shapes[0] or ()):
        return None
    made = Nodes(node)
    inner = _Inner(
        kind,
        int(given.get("swiglu_fusion", 0)) if kind == "swiglu" else 0,
        float(given.get("activation_alpha", 1.0)),
        float(given.get("activation_beta", 0.0)),
        float(given.get("swiglu_limit", math.inf)),
    )
    mixture = _Mixture(made, given, inner, shapes[0] or (), shapes[1] or (), tensors, weights)
    if not mixture.is_readable():
        return None
    mixture.nodes()
    return made.made


@dataclass(frozen=True, slots=True)
class _Inner:
    """What happens to a token inside of an expert.

    A gated activation is `gate · sigmoid(alpha · gate) · (value + beta)`.
    """

    kind: str
    fused: int
    alpha: float
    beta: float
    limit: float

    @property
    def is_plain(self) -> bool:
        """Whether it is the product of a value and of the gate's SiLU."""
        if self.kind == "silu":
            return True
        return self.alpha == 1.0 and self.beta == 0.0 and math.isinf(self.limit)


@dataclass(slots=True)
class _Mixture:
    """The nodes of one mixture."""

    all: Nodes
    given: Mapping[str, Any]
    inner: _Inner
    shape: tuple[int, ...]
    router: tuple[int, ...]
    tensors: Mapping[str, Tensor]
    weights: Weights

    @property
    def packed(self) -> bool:
        return bool(self.all.node.op_type == "QMoE")

    @property
    def dtype(self) -> str:
        return self.tensors[self.all.operand(0)].dtype

    @property
    def _kind(self) -> int:
        """ONNX's number of that type."""
        element = by_name(self.dtype)
        return _FLOAT if element is None else element.number

    def is_readable(self) -> bool:
        """Whether the weights are here, in a form and size that can be handed on."""
        if not self._shape_of(0):
            return False
        if not self.packed:
            return True
        plain = self.given.get("quant_type", b"int") == b"int"
        bits = self.given.get("expert_weight_bits", 4)
        if not plain or bits not in PACKED_TYPES or self.given.get("weights_prepacked", 0) > 0:
            return False
        places = [p for matrix, _ in _MATRICES["QMoE"] for p in (matrix, *_SCALES[matrix])]
        names = [name for place in places if (name := self.all.operand(place))]
        if any(self.weights.shape(name) is None for name in names):
            return False
        return not self._splits() or self.weights.may_copy(self.all.operand(2))

    def _shape_of(self, matrix: int) -> tuple[int, ...] | None:
        """[experts, out, in or bytes] of one of the three."""
        name = self.all.operand(_MATRICES[self.all.node.op_type][matrix][0])
        return self.weights.shape(name) or known_shape(self.tensors, name)

    def _bias(self, matrix: int) -> str:
        return self.all.operand(_MATRICES[self.all.node.op_type][matrix][1])

    def _third(self) -> bool:
        return bool(self.all.operand(_MATRICES[self.all.node.op_type][2][0]))

    def _splits(self) -> bool:
        """Whether gate and value are products with a part each of the first matrix."""
        return bool(self.inner.fused) and self.inner.is_plain and not self._bias(0)

    def _is_gathered(self) -> bool:
        """Whether this is a form of which the runtime computes the chosen experts alone."""
        gated = self.inner.kind == "swiglu" or (self.inner.kind == "silu" and self._third())
        places = [place for pair in _MATRICES[self.all.node.op_type] for place in pair]
        names = [name for place in places if (name := self.all.operand(place))]
        if not gated or any(self.weights.shape(name) is None for name in names):
            return False
        if self.inner.is_plain:
            return not any(self._bias(matrix) for matrix in range(3))
        return bool(self.inner.fused and self._bias(0) and self._bias(1))

    def nodes(self) -> None:
        tokens, count = self.router
        width = self.shape[-1]
        best, which = self._chosen()
        flat = self._hidden(which) if self._is_gathered() else self._flat(tokens)
        tiled = self.all.add("Tile", [flat, self.all.ints(count, 1)])
        each = self.all.add("Reshape", [tiled, self.all.ints(count, -1, width)])
        done = self._product(self._activated(each), 1)
        apart = self.all.add("Reshape", [done, self.all.ints(count, 1, -1, width)])
        weighted = self.all.add("Mul", [apart, self._shares(best, which)])
        summed = self.all.add("ReduceSum", [weighted, self.all.ints(0)], keepdims=0)
        output = self.all.node.output[0]
        self.all.add("Reshape", [summed, self.all.ints(*self.shape)], output)

    def _flat(self, tokens: int) -> str:
        """[tokens, width]."""
        return self.all.add("Reshape", [self.all.operand(0), self.all.ints(tokens, self.shape[-1])])

    def _hidden(self, which: str) -> str:
        """The same, as many as a sum says that is known when it runs: all of them."""
        tokens, width = self.router[0], self.shape[-1]
        zero, one = self.all.ints(0, 0), self.all.ints(1, 1)
        first = self.all.add("Slice", [which, zero, one, self.all.ints(0, 1), one])
        number = self.all.add("Reshape", [first, self.all.ints(1)])
        end = self.all.add("Add", [number, self.all.ints(tokens)])
        rows = self.all.add("Reshape", [self.all.operand(0), self.all.ints(1, tokens, width)])
        taken = self.all.add("Slice", [rows, self.all.ints(0), end, self.all.ints(1)])
        return self.all.add("Reshape", [taken, self.all.ints(-1, width)])

    def _activated(self, rows: str) -> str:
        inner = self.inner
        if inner.kind == "swiglu":
            return self._swiglu(rows)
        done = self._product(rows, 0)
        if inner.kind == "silu":
            done = self._silu(done)
        elif inner.kind == "gelu":
            done = self.all.add("Gelu", [done], domain=MICROSOFT)
        else:
            done = self.all.add(_ACTIVATIONS[inner.kind], [done])
        return self.all.add("Mul", [done, self._product(rows, 2)]) if self._third() else done

    def _silu(self, name: str) -> str:
        return self.all.add("Mul", [name, self.all.add("Sigmoid", [name])])

    def _swiglu(self, rows: str) -> str:
        if not self.inner.fused:
            return self._gate(self._product(rows, 0), self._product(rows, 2))
        height = (self._shape_of(0) or (0, 0))[1]
        halves = slice(0, height // 2), slice(height // 2, height)
        parts = (slice(0, height, 2), slice(1, height, 2)) if self._in_turn() else halves
        if self._splits():
            gate, value = (self._times(rows, self._matrix(0, part)) for part in parts)
        else:
            both = self._product(rows, 0)
            gate, value = (self._part(both, 2, part) for part in parts)
        return self._gate(gate, value)

    def _in_turn(self) -> bool:
        return self.inner.fused == _IN_TURN

    def _gate(self, gate: str, value: str) -> str:
        inner = self.inner
        if not math.isinf(inner.limit):
            value = self.all.add("Clip", [value, self._one(-inner.limit), self._one(inner.limit)])
            gate = self.all.add("Min", [gate, self._one(inner.limit)])
        if inner.beta:
            value = self.all.add("Add", [value, self._one(inner.beta)])
        if inner.alpha == 1.0:
            return self.all.add("Mul", [self._silu(gate), value])
        turned = self.all.add("QuickGelu", [gate], domain=MICROSOFT, alpha=inner.alpha)
        return self.all.add("Mul", [value, turned])

    def _part(self, name: str, axis: int, part: slice) -> str:
        ends = (part.start, part.stop, axis, part.step or 1)
        return self.all.add("Slice", [name, *(self.all.ints(end) for end in ends)])

    def _product(self, rows: str, matrix: int) -> str:
        """With a matrix [experts, out, in] and perhaps a bias [experts, out]."""
        done = self._times(rows, self._matrix(matrix))
        bias = self._bias(matrix)
        if not bias:
            return done
        shape = self.all.ints(self.router[1], 1, -1)
        return self.all.add("Add", [done, self.all.add("Reshape", [bias, shape])])

    def _matrix(self, matrix: int, rows: slice = _ALL) -> str:
        place = _MATRICES[self.all.node.op_type][matrix][0]
        name = self.all.operand(place)
        if not self.packed:
            return name if rows == _ALL else self._part(name, 1, rows)
        scales, zeros = (self.all.operand(other) for other in _SCALES[place])
        bits = int(self.given.get("expert_weight_bits", 4))
        held = PackedMatrices(name, scales, zeros, bits)
        return held.scaled(self.all, self.weights, rows, self._kind)

    def _times(self, rows: str, matrix: str) -> str:
        return self.all.add("FusedMatMul", [rows, matrix], domain=MICROSOFT, transB=1)

    def _one(self, value: float) -> str:
        return self.all.constant(np.array(value, dtype_of(self.dtype)))

    def _chosen(self) -> tuple[str, str]:
        """Weights and numbers of the experts of each token [tokens, k]."""
        scores = self.all.add("Cast", [self.all.operand(1)], to=_FLOAT)
        spread = self.all.add("Softmax", [scores], axis=-1)
        kept = self.all.ints(int(self.given.get("k", 1)))
        best, which = self.all.several("TopK", [spread, kept], 2, axis=-1)
        # onnxruntime's kernel of QMoE divides by the sum, asked to or not
        if self.given.get("normalize_routing_weights") or self.packed:
            whole = self.all.add("ReduceSum", [best, self.all.ints(-1)], keepdims=1)
            best = self.all.add("Div", [best, whole])
        return self.all.add("Cast", [best], to=self._kind), which

    def _shares(self, best: str, which: str) -> str:
        """The weight of each expert for each token [experts, 1, tokens, 1], 0 of others."""
        tokens, count = self.router
        none = self.all.constant(np.zeros((tokens, count), dtype_of(self.dtype)))
        all_of = self.all.add("ScatterElements", [none, which, best], axis=1)
        turned = self.all.add("Transpose", [all_of], perm=[1, 0])
        return self.all.add("Reshape", [turned, self.all.ints(count, 1, tokens, 1)])
