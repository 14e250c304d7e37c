"""Which recipe a weight gets, by the node that consumes it. Used when exporting only.

Weights are He-scaled normals (He et al. 2015, "Delving Deep into Rectifiers", eq. 10),
which keep the second moment of the activations from layer to layer. Batch-norm mean and
variance are 0 and 1. Biases and scales get a little noise around 0 and 1: a runtime drops
an addition of zeros or a product with ones, which no trained network has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from onnxprof.errors import ModelError
from onnxprof.zoo.making.recipe import Recipe, Values
from onnxprof.zoo.making.skeleton import RECIPE_KEY
from onnxprof.zoo.making.tables import NIBBLE_STD, Nibbles

#: Standard deviation of the noise on biases and scales.
NOISE = 0.02
#: A floating-point constant up to this size may stay in the skeleton as it is.
KEEP_BYTES = 1024

#: Spread of the scales of quantised blocks, as a part of their mean.
SCALE_SPREAD = 0.1

#: Bytes an element of the types that weights have; bytes hold packed ones.
_TYPES = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.UINT8: 1,
}
_VIEWS = {"Reshape", "Unsqueeze", "Squeeze", "Transpose", "Identity", "Flatten"}


@dataclass(frozen=True, slots=True)
class _Use:
    """The node that computes with a weight, after Reshapes and other views."""

    node: NodeProto
    index: int
    shape: tuple[int, ...]

    @property
    def transposed(self) -> bool:
        """Whether a Gemm reads the weight as [out, in]."""
        return any(a.name == "transB" and a.i for a in self.node.attribute)


def assign(
    model: ModelProto,
    network: str,
    gain: Callable[[str], float],
    shift: Callable[[str], float] = lambda _: 0.0,
) -> None:
    """Replace the data of every weight of a model by its recipe, in place.

    `gain` returns a factor on the values by tensor name, 1.0 for most, and `shift` a term added
    to them, 0.0 for most: a network's departures from the rules, which keep sums and softmax in
    range and outputs away from 0. Raises ModelError for a weight above `KEEP_BYTES` whose
    consumer no rule covers.
    """
    for tensor in model.graph.initializer:
        if tensor.data_type not in _TYPES or _is_settled(model.graph, tensor):
            continue
        use = _use(model.graph, tensor.name, tuple(tensor.dims))
        recipe = _rule(use, f"{network}/{tensor.name}") if use else None
        if isinstance(recipe, Recipe):
            recipe = recipe.scaled(gain(tensor.name)).shifted(shift(tensor.name))
        if recipe is not None:
            strip(tensor, recipe)
        elif math.prod(tensor.dims) * _TYPES[tensor.data_type] > KEEP_BYTES:
            consumer = f"{use.node.op_type} input {use.index}" if use else "nothing"
            raise ModelError(
                f"no recipe for weight {tensor.name!r}, consumed by {consumer}",
                where=network,
                remedy="Add a rule to onnxprof.zoo.making.rules",
            )


def _is_settled(graph: GraphProto, tensor: TensorProto) -> bool:
    """Whether a tensor is no weight, or has its recipe from the source of the graph."""
    return bool(tensor.metadata_props) or _is_operand(graph, tensor.name)


def _is_operand(graph: GraphProto, name: str) -> bool:
    """Whether a tensor is no weight: our torch exporter names it after the layer that reads it."""
    return any(name in node.input and name.startswith(f"{node.name}/") for node in graph.node)


def strip(tensor: TensorProto, recipe: Values) -> None:
    """Replace a tensor's data by a recipe, in place."""
    name, dims, data_type = tensor.name, list(tensor.dims), tensor.data_type
    tensor.Clear()
    tensor.name, tensor.data_type = name, data_type
    tensor.dims.extend(dims)
    tensor.metadata_props.add(key=RECIPE_KEY, value=recipe.to_json())


def _use(graph: GraphProto, name: str, shape: tuple[int, ...]) -> _Use | None:
    """The first node that computes with a tensor, past Reshapes and other views."""
    for node in graph.node:
        if name not in node.input:
            continue
        if node.op_type in _VIEWS:
            return _use(graph, node.output[0], _viewed(graph, node, shape))
        return _Use(node, list(node.input).index(name), shape)
    return None


def _viewed(graph: GraphProto, node: NodeProto, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape after a view, as far as fan-in needs it."""
    if node.op_type == "Reshape":
        operand = next(t for t in graph.initializer if t.name == node.input[1])
        target = [int(d) for d in numpy_helper.to_array(operand)]
        known = math.prod(d for d in target if d > 0)
        return tuple(math.prod(shape) // known if d < 0 else d for d in target)
    if node.op_type == "Transpose":
        order = next((list(a.ints) for a in node.attribute if a.type == AttributeProto.INTS), None)
        return tuple(shape[i] for i in order) if order else shape[::-1]
    return shape


def _rule(use: _Use, seed: str) -> Values | None:
    maker = _RULES.get((use.node.op_type, use.index))
    return maker(use, seed) if maker else None


def _he(fan_in: int, seed: str) -> Recipe:
    return Recipe(0.0, math.sqrt(2.0 / fan_in), seed)


def _convolution(use: _Use, seed: str) -> Recipe:
    """Shape [out, in / group, kernel...]."""
    return _he(math.prod(use.shape[1:]), seed)


def _transposed(use: _Use, seed: str) -> Recipe:
    """Shape [in, out / group, kernel...], without overlap: each input goes into an output once."""
    return _he(use.shape[0], seed)


def _gemm(use: _Use, seed: str) -> Recipe:
    return _he(use.shape[1] if use.transposed else use.shape[0], seed)


def _matmul(use: _Use, seed: str) -> Recipe:
    """Shape [..., in, out]."""
    return _he(use.shape[-2] if len(use.shape) > 1 else use.shape[0], seed)


def _experts(use: _Use, seed: str) -> Recipe:
    """Shape [experts, out, in]."""
    return _he(use.shape[-1], seed)


def _recurrent(use: _Use, seed: str) -> Recipe:
    """Shape [directions, gates × hidden, in], before a sigmoid or tanh: no factor for Relu."""
    return Recipe(0.0, math.sqrt(1.0 / use.shape[-1]), seed)


def _bias(_: _Use, seed: str) -> Recipe:
    return Recipe(0.0, NOISE, seed)


def _scale(_: _Use, seed: str) -> Recipe:
    return Recipe(1.0, NOISE, seed)


def _table(_: _Use, seed: str) -> Recipe:
    return Recipe(0.0, 1.0, seed)


def _nibbles(_: _Use, seed: str) -> Nibbles:
    return Nibbles(seed)


def _scales(use: _Use, seed: str) -> Recipe:
    """Shape [..., blocks], of `block_size` elements each: He-scaled weights once dequantised."""
    block = next(a.i for a in use.node.attribute if a.name == "block_size")
    mean = math.sqrt(2.0 / (use.shape[-1] * block)) / NIBBLE_STD
    return Recipe(mean, SCALE_SPREAD * mean, seed)


def _zero(_: _Use, __: str) -> Recipe:
    return Recipe(0.0)


def _one(_: _Use, __: str) -> Recipe:
    return Recipe(1.0)


_RULES: dict[tuple[str, int], Callable[[_Use, str], Values]] = {
    ("Conv", 1): _convolution,
    ("Conv", 2): _bias,
    ("ConvTranspose", 1): _transposed,
    ("ConvTranspose", 2): _bias,
    ("Gemm", 1): _gemm,
    ("Gemm", 2): _bias,
    ("MatMul", 1): _matmul,
    ("LSTM", 1): _recurrent,
    ("LSTM", 2): _recurrent,
    ("LSTM", 3): _bias,
    ("GRU", 1): _recurrent,
    ("GRU", 2): _recurrent,
    ("GRU", 3): _bias,
    ("BatchNormalization", 1): _scale,
    ("BatchNormalization", 2): _bias,
    ("BatchNormalization", 3): _zero,
    ("BatchNormalization", 4): _one,
    ("LayerNormalization", 1): _scale,
    ("LayerNormalization", 2): _bias,
    ("SimplifiedLayerNormalization", 1): _scale,
    ("SkipSimplifiedLayerNormalization", 2): _scale,
    ("MatMulNBits", 1): _nibbles,
    ("MatMulNBits", 2): _scales,
    ("MoE", 2): _experts,
    ("MoE", 4): _experts,
    ("QMoE", 2): _nibbles,
    ("QMoE", 3): _scales,
    ("QMoE", 5): _nibbles,
    ("QMoE", 6): _scales,
    ("GatherBlockQuantized", 0): _nibbles,
    ("GatherBlockQuantized", 2): _scales,
    ("Gather", 0): _table,
    ("Expand", 0): _table,
    ("Exp", 0): _table,
    ("Add", 0): _bias,
    ("Add", 1): _bias,
    ("Sub", 1): _bias,
    ("Mul", 0): _scale,
    ("Mul", 1): _scale,
}
