"""A layer table's tensors by unique names, across the scopes of subgraphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

#: What a model has stored: alive all the time, and no activation.
STORED = (LayerKind.INITIALIZER, LayerKind.SHAPE_OPERAND)

#: The most activations that one tensor of layers without a step is traced back to.
_MOST_SOURCES = 64


class Tensors:
    """Who writes and who reads each tensor; a subgraph's own names are told apart by its place."""

    def __init__(self, table: LayerTable) -> None:
        self.layers: Mapping[str, Layer] = {layer.name: layer for layer in table.nodes}
        self._defined = {_within(layer, t.name) for layer in table for t in layer.outputs}
        self.inputs = {
            tensor.name: tensor
            for layer in table
            if layer.kind is LayerKind.INPUT and not layer.parent
            for tensor in layer.outputs
        }
        self.stored = [t for layer in table if layer.kind in STORED for t in layer.outputs]
        constants = [layer for layer in table.nodes if layer.op_type == "Constant"]
        self.stored += [t for layer in constants for t in layer.outputs]
        self._writer = {key: layer for layer in table.nodes for key, _ in self.outputs(layer)}
        self._readers = Counter(key for layer in table.nodes for key in set(self.reads(layer)))

    def reads(self, layer: Layer) -> list[str]:
        """Names of everything that a layer reads."""
        return [self._key(layer, tensor.name) for tensor in layer.inputs]

    def outputs(self, layer: Layer) -> list[tuple[str, Tensor]]:
        """Names and tensors of what a layer yields."""
        return [(_within(layer, tensor.name), tensor) for tensor in layer.outputs]

    def readers(self, key: str) -> int:
        """How many layers read a tensor."""
        return self._readers[key]

    def writer(self, key: str) -> Layer | None:
        """The layer that yields a tensor; None for inputs and what is stored."""
        return self._writer.get(key)

    def ancestors(self, layer: Layer) -> Iterator[Layer]:
        """The control-flow layers around a layer, the nearest first; each once."""
        seen: set[str] = set()
        while layer.parent in self.layers and layer.parent not in seen:
            seen.add(layer.parent)
            layer = self.layers[layer.parent]
            yield layer

    def sources(self, written: Collection[str]) -> dict[str, tuple[str, ...]]:
        """For each tensor the activations that hold it, of those that steps write and the inputs.

        One that no step writes, since its layer was left out, is held by what that layer read.
        Constants are held by none.
        """
        found: dict[str, tuple[str, ...]] = {name: (name,) for name in (*self.inputs, *written)}
        for layer in self.layers.values():
            left_out = [name for name, _ in self.outputs(layer) if name not in found]
            if left_out:
                behind = (held for name in self.reads(layer) for held in found.get(name, ()))
                sources = tuple(islice(dict.fromkeys(behind), _MOST_SOURCES))
                found.update(dict.fromkeys(left_out, sources))
        return found

    def _key(self, layer: Layer, name: str) -> str:
        """The name as the layer's scope sees it: of its own subgraph, or of one around it."""
        for scope in (layer, *self.ancestors(layer)):
            inner = _within(scope, name)
            if inner in self._defined:
                return inner
        return name


def _within(layer: Layer, name: str) -> str:
    return f"{layer.parent}\0{layer.subgraph}\0{name}" if layer.parent else name
