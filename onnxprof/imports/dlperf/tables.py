"""Layer tables as published, at batch 1, and what is known of them at another batch size."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from onnxprof.imports.dlperf.folder import Damaged
from onnxprof.records.layer import Dim, Layer, LayerKind, LayerTable, Shape, Tensor

MAX_LAYERS = 20_000
_LONGEST = 1_000
_LARGEST = 1 << 40
_CONSTANT = "ConstantInput"
#: What takes a weight as its first input.
_ON_WEIGHTS = frozenset({"Reshape", "Unsqueeze"})
#: Classes of one operator; of the others the class stands for the operator that it may be.
_OPERATORS = {"BatchNorm": "BatchNormalization"}
#: Operators of pooling by what the algorithm of a row begins with.
POOLS = {"CUDNN_POOLING_MAX": "MaxPool", "CUDNN_POOLING_AVERAGE": "AveragePool"}

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A row of a published layer table."""

    name: str
    layer_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_shapes: tuple[Sizes, ...]
    output_shapes: tuple[Sizes, ...]

    @property
    def is_constant(self) -> bool:
        """Whether it is a weight, a shape or the network's input."""
        return self.layer_type == _CONSTANT


@dataclass(frozen=True, slots=True)
class Published:
    """The layers of a model as published."""

    nodes: tuple[Node, ...]
    """In file order; a layer that the file lists twice stands here once."""
    repeated: tuple[str, ...]
    """Layers that the file lists twice."""

    def layers(self) -> tuple[Node, ...]:
        """Those that compute something."""
        return tuple(node for node in self.nodes if not node.is_constant)


def parse(data: bytes) -> Published:
    """The layers in a JSON file. Raises Damaged."""
    try:
        given = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"is no JSON: {' '.join(str(error).split())[:160]}") from None
    if not isinstance(given, list) or not 0 < len(given) <= MAX_LAYERS:
        raise Damaged(f"is no list of 1 to {MAX_LAYERS:,} layers")
    nodes = [_node(number, item) for number, item in enumerate(given, 1)]
    kept: dict[str, Node] = {}
    repeated = []
    for node in nodes:
        if node == kept.setdefault(node.name, node) and node is not kept[node.name]:
            repeated.append(node.name)
        elif node is not kept[node.name]:
            raise Damaged(f"has two layers of the name {node.name[:80]!r}")
    return Published(tuple(kept.values()), tuple(repeated))


def _node(number: int, item: Any) -> Node:
    if not isinstance(item, dict) or not isinstance(item.get("input_dimensions"), dict):
        raise Damaged(f"entry {number} is no layer with its shapes")
    shapes = item["input_dimensions"]
    name, kind = item.get("name"), item.get("type")
    names = [_names(number, item.get(key, [])) for key in ("inputs", "outputs")]
    sizes = [_shapes(number, shapes.get(key, [])) for key in ("input_shapes", "output_shapes")]
    if not _is_name(name) or not _is_name(kind):
        raise Damaged(f"entry {number} has no name and type")
    if kind != _CONSTANT and (not names[1] or len(sizes[0]) != len(names[0]) or not sizes[1]):
        raise Damaged(f"entry {number}: its tensors and shapes do not match")
    if kind == _CONSTANT and len(sizes[1]) != 1:
        raise Damaged(f"entry {number}: a constant without its shape")
    return Node(str(name), str(kind), names[0], names[1], sizes[0], sizes[1])


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= _LONGEST


def _names(number: int, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(map(_is_name, value)):
        raise Damaged(f"entry {number}: no list of tensors' names")
    return tuple(value)


def _shapes(number: int, value: Any) -> tuple[Sizes, ...]:
    if not isinstance(value, list) or not all(map(_is_shape, value)):
        raise Damaged(f"entry {number}: no list of shapes")
    return tuple(map(tuple, value))


def _is_shape(value: Any) -> bool:
    """A list of sizes; -1 stands in the operand of a Reshape for what follows from the others."""

    def is_size(size: Any) -> bool:
        return type(size) is int and -1 <= size <= _LARGEST

    return isinstance(value, list) and len(value) <= 16 and all(map(is_size, value))


def stuck(published: Published, once: Mapping[str, int], now: Mapping[str, int]) -> frozenset[str]:
    """Layers that were timed at the shapes of batch 1, at another batch size.

    Their published operations (`now`) are those of batch 1 (`once`). A layer without a row goes
    with a layer behind it that does.
    """
    found = {name for name, flops in now.items() if flops and once.get(name) == flops}
    readers = _readers(published)
    for node in reversed(published.layers()):
        after = (reader.name for name in node.outputs for reader in readers[name])
        if node.name not in now and any(name in found for name in after):
            found.add(node.name)
    return frozenset(found)


def table(
    published: Published,
    batch: int,
    kept: Collection[str] = (),
    algorithms: Mapping[str, Sequence[str]] | None = None,
) -> LayerTable:
    """The layer table at a batch size.

    The first axis of what depends on the network's input is the batch, but for layers in `kept`,
    which have their published shapes. `algorithms` are those that a layer's rows name: they tell
    the kinds of pooling apart. Element types and attributes were not published.
    """
    readers = _readers(published)
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, LayerKind] = {}
    live: set[str] = set()
    for node in published.nodes:
        kind = kinds[node.name] = _kind(node, readers[node.name])
        moves = kind is LayerKind.INPUT or (
            node.name not in kept and any(name in live for name in node.inputs)
        )
        outputs = (node.name,) if node.is_constant else node.outputs
        live.update(outputs if moves else ())
        for name, shape in zip(outputs, _shapes_of(node, len(outputs)), strict=True):
            tensors[name] = _tensor(name, _batched(shape, batch) if moves else shape, kind)
    layers = (
        _constant(node, kinds[node.name], tensors)
        if node.is_constant
        else _layer(node, tensors, (algorithms or {}).get(node.name, ()))
        for node in published.nodes
    )
    return LayerTable(tuple(layers), batch)


def parameters(made: LayerTable) -> int:
    """Elements of all weights."""
    weights = (layer for layer in made if layer.kind is LayerKind.INITIALIZER)
    return sum(prod(s for s in w.outputs[0].shape or () if isinstance(s, int)) for w in weights)


def _readers(published: Published) -> dict[str, list[Node]]:
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in published.nodes:
        for name in node.inputs:
            readers[name].append(node)
    return readers


def _is_input(node: Node, readers: Sequence[Node]) -> bool:
    """Whether a constant is the network's input: a layer's first operand, of batch 1."""
    first = any(r.inputs[0] == node.name and r.layer_type not in _ON_WEIGHTS for r in readers)
    shape = node.output_shapes[0]
    return first and len(shape) > 1 and shape[0] == 1


def _shapes_of(node: Node, count: int) -> list[Shape]:
    """A shape for each output: the published ones, and none where fewer were published.

    What a Flatten yields is a matrix, also where its input's shape was published for it.
    """
    known: list[Shape] = list(node.output_shapes[:count])
    if node.layer_type == "Flatten" and len(node.output_shapes[0]) > 2:
        first, *rest = node.output_shapes[0]
        known[0] = (first, prod(rest))
    return known + [None] * (count - len(known))


def _batched(shape: Shape, batch: int) -> Shape:
    if not shape:
        return shape
    first: Dim = batch if shape[0] == 1 else shape[0] if batch == 1 else None
    return (first, *shape[1:])


def _kind(node: Node, readers: Sequence[Node]) -> LayerKind:
    if not node.is_constant:
        return LayerKind.NODE
    if _is_input(node, readers):
        return LayerKind.INPUT
    if any(r.layer_type == "Reshape" and node.name in r.inputs[1:] for r in readers):
        return LayerKind.SHAPE_OPERAND
    return LayerKind.INITIALIZER


def _tensor(name: str, shape: Shape, kind: LayerKind) -> Tensor:
    """A tensor; of a shape operand its contents were published as its shape."""
    if shape is None:
        return Tensor(name)
    if kind is not LayerKind.SHAPE_OPERAND:
        return Tensor(name, shape=tuple(None if size == -1 else size for size in shape))
    value = tuple(size for size in shape if isinstance(size, int))
    return Tensor(name, shape=(len(value),), value=value)


_TYPES = {
    LayerKind.INPUT: "Input",
    LayerKind.SHAPE_OPERAND: "ShapeOperand",
    LayerKind.INITIALIZER: "Initializer",
}


def _constant(node: Node, kind: LayerKind, tensors: Mapping[str, Tensor]) -> Layer:
    return Layer(node.name, kind, _TYPES[kind], outputs=(tensors[node.name],))


def _layer(node: Node, tensors: Mapping[str, Tensor], algorithms: Sequence[str]) -> Layer:
    given = zip(node.inputs, node.input_shapes, strict=True)
    return Layer(
        node.name,
        LayerKind.NODE,
        node.layer_type,
        op_type=_operator(node, algorithms),
        inputs=tuple(tensors.get(name) or Tensor(name, shape=shape) for name, shape in given),
        outputs=tuple(tensors[name] for name in node.outputs),
        given_name=node.name,
    )


def _operator(node: Node, algorithms: Sequence[str]) -> str:
    """The ONNX operator where the tables tell it, else its class: `ElementWise`."""
    if node.layer_type == "Gemm":  # a Gemm had three operands before opset 11
        return "MatMul" if len(node.inputs) == 2 else "Gemm"
    if node.layer_type == "Relu":
        return "PRelu" if len(node.inputs) == 2 else "Relu"
    if node.layer_type == "Pooling":
        named = (op for key, op in POOLS.items() if any(a.startswith(key) for a in algorithms))
        return next(named, node.layer_type)
    return _OPERATORS.get(node.layer_type, node.layer_type)
