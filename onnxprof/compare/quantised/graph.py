"""A layer table as a graph: who makes and who reads a tensor, and which tensors are constants."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.compare.quantised.operators import QUANTISERS, data_names
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Shape

#: Attributes that tell apart convolutions and poolings.
_TELLING = ("kernel_shape", "strides", "dilations", "group", "axis", "perm")


#: Attributes, then the sizes of the weight's axes in ascending order.
Signature = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes outside of control flow, each after what it reads."""

    nodes: tuple[Layer, ...]
    maker: Mapping[str, Layer]
    """The node that makes a tensor."""
    readers: Mapping[str, tuple[Layer, ...]]
    fixed: frozenset[str]
    """Tensors that no data flows into: constants, scales, zero points."""
    scales: frozenset[str]
    """Those among `fixed` that are worked out for each inference."""
    given: tuple[str, ...]
    """The inputs of the network, in order."""
    shapes: Mapping[str, Shape]
    kinds: Mapping[str, tuple[str, Shape]]
    """Type and shape of the inputs."""
    _signatures: dict[str, Signature] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, table: LayerTable) -> Graph:
        """The graph of a table."""
        nodes = [layer for layer in table.nodes if _is_whole(layer)]
        maker = {t.name: node for node in nodes for t in node.outputs}
        readers: dict[str, list[Layer]] = {}
        for node in nodes:
            for name in dict.fromkeys(t.name for t in node.inputs):
                readers.setdefault(name, []).append(node)
        order = _sorted(nodes, maker)
        held = (LayerKind.INITIALIZER, LayerKind.SHAPE_OPERAND)
        constants = {t.name for y in table if y.kind in held for t in y.outputs}
        fixed, scales = _fixed(order, constants)
        return cls(
            tuple(order),
            maker,
            {name: tuple(who) for name, who in readers.items()},
            fixed,
            scales,
            tuple(t.name for y in table if y.kind is LayerKind.INPUT for t in y.outputs),
            {t.name: t.shape for y in table for t in (*y.inputs, *y.outputs)},
            {t.name: (t.dtype, t.shape) for y in table if not y.op_type for t in y.outputs},
        )

    def data(self, node: Layer) -> list[str]:
        """The inputs that data comes in by."""
        return [name for name in data_names(node) if name not in self.fixed]

    def behind(self, name: str) -> Layer | None:
        """What makes a tensor, apart from nodes that quantise or dequantise."""
        maker, seen = self.maker.get(name), set[str]()
        while maker is not None and maker.op_type in QUANTISERS and maker.name not in seen:
            seen.add(maker.name)
            maker = self.maker.get(maker.inputs[0].name)
        return None if maker is None or maker.op_type in QUANTISERS else maker

    def is_fixed(self, node: Layer) -> bool:
        """Whether a node depends on no data."""
        return all(t.name in self.fixed for t in node.outputs)

    def weight(self, node: Layer) -> str:
        """The largest constant that a node reads, behind DequantizeLinear and the like; or none."""
        names = [name for name in data_names(node) if name in self.fixed]
        sources = [self._source(name) for name in names]
        return max(sources, key=lambda n: _size(self.shapes.get(n)), default="")

    def _source(self, name: str) -> str:
        for _ in range(4):
            maker = self.maker.get(name)
            if maker is None or not maker.inputs:
                return name
            name = maker.inputs[0].name
        return name

    def signature(self, node: Layer) -> Signature:
        """What an equal node of another file has, too: attributes and the sizes of the weights."""
        if node.name not in self._signatures:
            self._signatures[node.name] = self._signature(node)
        return self._signatures[node.name]

    def _signature(self, node: Layer) -> Signature:
        told = dict(node.attributes)
        shape = self.shapes.get(self.weight(node)) or ()
        sizes = tuple(sorted(str(size) for size in shape if size != 1))
        return (*(told.get(name, "") for name in _TELLING), sizes)


def _is_whole(layer: Layer) -> bool:
    """Whether it is outside of control flow and yields something, unlike some of a damaged file."""
    return (
        not layer.parent
        and bool(layer.outputs)
        and (bool(layer.inputs) or layer.op_type not in QUANTISERS)
    )


def _size(shape: Shape) -> int:
    size = 1
    for axis in shape or ():
        size *= axis if isinstance(axis, int) else 1
    return size if shape else 0


def _sorted(nodes: Sequence[Layer], maker: Mapping[str, Layer]) -> list[Layer]:
    """Each node after what it reads, else in the given order; a circle's nodes come last."""
    place = {node.name: i for i, node in enumerate(nodes)}
    before = {node.name: _makers(node, maker) for node in nodes}
    after: dict[str, list[str]] = {}
    for name, makers in before.items():
        for other in makers:
            after.setdefault(other, []).append(name)
    missing = {name: len(makers) for name, makers in before.items()}
    ready = [place[name] for name, count in missing.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        order.append(node)
        for name in after.get(node.name, ()):
            missing[name] -= 1
            if not missing[name]:
                heapq.heappush(ready, place[name])
    done = {node.name for node in order}
    return order + [node for node in nodes if node.name not in done]


def _makers(node: Layer, maker: Mapping[str, Layer]) -> set[str]:
    return {maker[t.name].name for t in node.inputs if t.name in maker}


def _fixed(order: Sequence[Layer], constants: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    """(tensors that no data flows into, those among them that an inference works out)."""
    fixed, scales = set(constants), set[str]()
    for node in order:
        inputs, outputs = [t.name for t in node.inputs], [t.name for t in node.outputs]
        if node.op_type == "DynamicQuantizeLinear" and inputs[0] not in fixed:
            scales.update(outputs[1:])
            fixed.update(outputs[1:])
        elif node.op_type in QUANTISERS:
            fixed.update(outputs if inputs[0] in fixed else ())
        elif all(name in fixed for name in inputs) and not node.op_type.startswith("Random"):
            fixed.update(outputs)
            scales.update(outputs if any(name in scales for name in inputs) else ())
    return frozenset(fixed), frozenset(scales)


def upwards(graph: Graph, name: str, ends: frozenset[str], most: int) -> list[Layer] | None:
    """The nodes between a tensor and `ends`; None where there are more or data comes in elsewhere.

    Constants end a way, too.
    """
    waiting, seen = [name], dict[str, Layer]()
    while waiting:
        tensor = waiting.pop()
        maker = graph.maker.get(tensor)
        if maker is None or len(seen) > most:
            return None
        if maker.name not in seen:
            seen[maker.name] = maker
            waiting += [n for n in graph.data(maker) if n not in ends]
    return list(seen.values())
