"""Which operators a tensor reaches, or comes from, with nothing but moves in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from onnxprof.records.layer import Layer, LayerTable, Tensor

#: Operators that hand values on as they are, in another order or in part.
MOVERS = frozenset(
    {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Slice"}
    | {"Split", "Gather", "Concat", "Expand", "Tile", "QuantizeLinear", "DequantizeLinear"}
)


def operands(layer: Layer) -> Iterator[tuple[int, Tensor]]:
    """(position, tensor) of the inputs that are there, by the operator's own positions."""
    return _placed(layer.inputs, layer.absent_inputs)


def results(layer: Layer) -> Iterator[tuple[int, Tensor]]:
    """The same of the outputs."""
    return _placed(layer.outputs, layer.absent_outputs)


def _placed(tensors: tuple[Tensor, ...], absent: tuple[int, ...]) -> Iterator[tuple[int, Tensor]]:
    places = (i for i in range(len(tensors) + len(absent)) if i not in absent)
    return zip(places, tensors, strict=False)


@dataclass(slots=True)
class Graph:
    """Readers and makers of a table's tensors."""

    table: LayerTable
    _readers: dict[str, list[tuple[Layer, int]]] = field(default_factory=lambda: defaultdict(list))
    _makers: dict[str, tuple[Layer, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer in self.table.nodes:
            for position, tensor in operands(layer):
                self._readers[tensor.name].append((layer, position))
            for position, tensor in results(layer):
                self._makers[tensor.name] = layer, position

    def ahead(self, name: str) -> dict[str, set[int]]:
        """Layers that read a tensor, at which positions, as it is or moved."""
        seen, waiting = {name}, [name]
        read: dict[str, set[int]] = defaultdict(set)
        while waiting:
            for layer, position in self._readers.get(waiting.pop(), ()):
                read[layer.name].add(position)
                if passes(layer, position):
                    fresh = [t.name for t in layer.outputs if t.name not in seen]
                    seen.update(fresh)
                    waiting.extend(fresh)
        return read

    def behind(self, name: str) -> dict[str, set[int]]:
        """Layers that made a tensor, as which output, before it was moved."""
        seen, waiting = {name}, [name]
        made: dict[str, set[int]] = defaultdict(set)
        while waiting:
            found = self._makers.get(waiting.pop())
            if found is None:
                continue
            layer, position = found
            made[layer.name].add(position)
            for place, tensor in operands(layer):
                if passes(layer, place) and tensor.name not in seen:
                    seen.add(tensor.name)
                    waiting.append(tensor.name)
        return made


def passes(layer: Layer, position: int) -> bool:
    """Whether the layer hands on the values that it reads there."""
    is_mover = layer.op_type in MOVERS
    return is_mover and (position == 0 or layer.op_type == "Concat")
