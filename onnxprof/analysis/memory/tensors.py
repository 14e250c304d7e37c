"""A layer table's tensors by unique names, across the scopes of subgraphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

#: What a model has stored: alive all the time, and no activation.
STORED = (LayerKind.INITIALIZER, LayerKind.SHAPE_OPERAND)


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
        self._sources: dict[str, tuple[str, ...]] = {}

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

    def ancestors(self, layer: Layer) -> Iterator[str]:
        """Names of the control-flow layers around a layer, the nearest first."""
        while layer.parent and layer.parent in self.layers:
            yield layer.parent
            layer = self.layers[layer.parent]

    def sources(self, key: str, written: Collection[str]) -> tuple[str, ...]:
        """The activations that hold a tensor which no step writes, since a layer was left out.

        Empty for constants. `written` must be the same in all calls.
        """
        if key in written or key in self.inputs:
            return (key,)
        if key not in self._sources:
            self._sources[key] = ()  # ends a circle in a damaged table
            layer = self._writer.get(key)
            behind = self.reads(layer) if layer else []
            found = (source for name in behind for source in self.sources(name, written))
            self._sources[key] = tuple(dict.fromkeys(found))
        return self._sources[key]

    def _key(self, layer: Layer, name: str) -> str:
        """The name as the layer's scope sees it: of its own subgraph, or of one around it."""
        scope: Layer | None = layer
        while scope is not None and scope.parent:
            inner = _within(scope, name)
            if inner in self._defined:
                return inner
            scope = self.layers.get(scope.parent)
        return name


def _within(layer: Layer, name: str) -> str:
    return f"{layer.parent}\0{layer.subgraph}\0{name}" if layer.parent else name
