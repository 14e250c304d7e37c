"""How many parameters a model has: the elements of all weights in any storage type.

Counted are floating-point initializers and Constant tensors, and integers of 8 bits or fewer,
which quantisers make of weights; int32 where a convolution or product reads them as its bias.
Left out are scales and zero points of quantised operators, shapes, indices, scalars (tensors
without axes) and Constants of a single element: operands of an operator, and no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from onnxprof.model.graph import weights
from onnxprof.model.graph.outline import Outline, Step, outline, steps

_NARROW = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
#: Positions of scales and zero points among an operator's inputs.
_QUANTISERS: Mapping[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulNBits": (2, 3, 4),
    "MatMulBnb4": (2,),
    "GatherBlockQuantized": (2, 3),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QAttention": (3, 4, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "QLinearWhere": (2, 3, 5, 6, 7, 8),
    "QLinearSigmoid": (1, 2, 3, 4),
    "QLinearLeakyRelu": (1, 2, 3, 4),
    "QLinearSoftmax": (1, 2, 3, 4),
    "QLinearReduceMean": (1, 2, 3, 4),
    "QLinearAveragePool": (1, 2, 3, 4),
    "QLinearGlobalAveragePool": (1, 2, 3, 4),
    "DynamicQuantizeLSTM": (8, 9, 10, 11),
    "QEmbedLayerNormalization": tuple(range(8, 18)),
    "QMoE": (3, 6, 9),
}
#: Positions of int32 biases.
_BIASES: Mapping[str, tuple[int, ...]] = {
    "DequantizeLinear": (0,),
    "QLinearConv": (8,),
    "QGemm": (6,),
}
#: Positions of packed weights, which hold several elements a byte, and the attribute that has
#: an element's bits.
PACKED: Mapping[str, tuple[tuple[int, ...], str]] = {
    "MatMulNBits": ((1,), "bits"),
    "GatherBlockQuantized": ((0,), "bits"),
    "QMoE": ((2, 5, 8), "expert_weight_bits"),
}
_SPECIAL = frozenset((*_QUANTISERS, *_BIASES, *PACKED))
#: Nodes through which a scale or a bias passes on its way to the operator.
_PASSING = ("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")


class Use(NamedTuple):
    """One node and the tensors that it reads and writes; an input that is left out is empty."""

    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    bits: int = 4
    """Bits of a packed weight."""


def parameters(model: ModelProto, nodes: Outline | None = None) -> int:
    """Elements of all weights, those of subgraphs and local functions included.

    `nodes` are those of the graph, where they were read before.
    """
    bodies = [Outline(GraphProto(), steps(function.node)) for function in model.functions]
    outlines = [nodes or outline(model.graph), *bodies]
    every = [step for each in outlines for step in each.walk()]
    roles = Roles([_use(step) for step in every])
    graphs = (inner.graph for each in outlines for inner in each.all())
    stored = (t for graph in graphs for t in _initializers(graph))
    held = (t for step in every if step.op_type == "Constant" for t in _constants(step.node))
    constants = (t for t in held if math.prod(t.dims) > 1)
    return sum(
        roles.weight(t.name, weights.dtype_name(t.data_type), t.dims) for t in (*stored, *constants)
    )


def _use(step: Step) -> Use:
    if step.op_type not in PACKED:
        return Use(step.op_type, step.inputs, step.outputs)
    name = PACKED[step.op_type][1]
    bits = next((a.i for a in step.node.attribute if a.name == name), 4)
    return Use(step.op_type, step.inputs, step.outputs, bits)


def _initializers(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    yield from (sparse.values for sparse in graph.sparse_initializer)


def _constants(node: NodeProto) -> Iterator[TensorProto]:
    """Tensors of a Constant node (without data), named after the node's output."""
    if node.op_type != "Constant" or not node.output:
        return
    for attribute in node.attribute:
        held = attribute.t if attribute.name == "value" else None
        if attribute.name == "sparse_value":
            sparse: SparseTensorProto = attribute.sparse_tensor
            held = sparse.values
        count = len(attribute.floats)
        if held is not None:
            yield TensorProto(name=node.output[0], data_type=held.data_type, dims=held.dims)
        elif count:
            yield TensorProto(name=node.output[0], data_type=TensorProto.FLOAT, dims=[count])


class Roles:
    """Names of stored tensors by role: scales, biases, packed weights, other operands."""

    def __init__(self, uses: Sequence[Use]) -> None:
        self._scales: set[str] = set()
        self._biases: set[str] = set()
        self._read: set[str] = set()
        self._packed: dict[str, int] = {}
        for use in reversed(uses):  # readers first, so that roles pass upwards
            self._note(use)

    def _note(self, use: Use) -> None:
        if use.op_type in _PASSING and use.inputs and use.outputs:
            for names in (self._scales, self._biases, self._read):
                if use.outputs[0] in names:
                    names.add(use.inputs[0])
            return
        if use.op_type not in _SPECIAL:
            self._read.update(use.inputs)
            return
        scales, biases = _QUANTISERS.get(use.op_type, ()), _BIASES.get(use.op_type, ())
        for position, name in enumerate(use.inputs):
            held = self._scales if position in scales else self._read
            held.add(name)
            if position in biases:
                self._biases.add(name)
        positions, _ = PACKED.get(use.op_type, ((), ""))
        for at in positions:
            if at < len(use.inputs):
                self._packed[use.inputs[at]] = use.bits

    def weight(self, name: str, dtype: str, dims: Sequence[int]) -> int:
        """How many of a tensor's elements count as parameters; dtypes have NumPy's names."""
        count = int(math.prod(dims))
        if not dims or (name in self._scales and name not in self._read):
            return 0
        if "float" in dtype:
            return count
        if dtype in _NARROW:
            bits = self._packed.get(name, 8)
            packed = dtype == "uint8" and 0 < bits < 8
            return count * 8 // bits if packed else count
        return count if dtype == "int32" and name in self._biases else 0
