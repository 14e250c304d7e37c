"""The cost of layers that run as one step: what stays inside of it moves no bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from onnxprof.cost.base.call import static_sizes
from onnxprof.cost.count import costs, in_numbers, run_times, sized_layers
from onnxprof.cost.traffic import Move
from onnxprof.records.cost import LayerCost, added
from onnxprof.records.layer import LayerTable

#: Stands for whoever uses a result of the model.
_RESULT = ""


class Groups:
    """Costs of groups of one table's layers, as a runtime fuses them."""

    def __init__(self, table: LayerTable) -> None:
        nodes = table.nodes
        self._sized = {one.layer.name: one for one in sized_layers(table, static_sizes)}
        self._times = run_times({layer.name: layer for layer in nodes})
        self._alone = {cost.layer: cost for cost in costs(table)}
        self._roots: dict[str, str] = {}
        self._readers: dict[str, set[str]] = defaultdict(set)
        for layer in nodes:
            if self._is_view(layer.name):
                for tensor in layer.outputs:
                    self._roots[tensor.name] = self._root(layer.inputs[0].name)
            else:
                for tensor in layer.inputs:
                    self._readers[self._root(tensor.name)].add(layer.name)
        read = {tensor.name for layer in nodes for tensor in layer.inputs}
        for name in (t.name for layer in nodes for t in layer.outputs if t.name not in read):
            self._readers[self._root(name)].add(_RESULT)

    def _is_view(self, name: str) -> bool:
        """Whether a layer's output is its input's memory."""
        one = self._sized[name]
        return bool(one.layer.inputs) and not one.moves and not one.unknown

    def _root(self, name: str) -> str:
        """The tensor whose memory a view shows."""
        return self._roots.get(name, name)

    def cost(self, names: Collection[str]) -> LayerCost:
        """The cost of these layers as one; it bears the name and operator of the first.

        A tensor that one of them makes is not read by another, and it is written only if a layer
        outside reads it or none does. What several of them read is read once. Operators are those
        of the file, so that a fused activation counts like one that stands alone. Raises KeyError
        for a name that the table does not have, ValueError for no name.
        """
        if not names:
            raise ValueError("no layer is named")
        inside = [self._sized[name] for name in names]
        kept = self._outer(names, (move for one in inside for move in one.moves))
        found = [self._alone[name] for name in names]
        times = self._times[inside[0].layer.name]
        moved = in_numbers(replace(inside[0], moves=tuple(kept)), times, {})
        operations = [cost.operations for cost in found]
        return replace(
            found[0],
            operations=None if None in operations else added(o for o in operations if o),
            traffic=moved.traffic,
            parameters=sum(cost.parameters for cost in found),
            unknown=next((cost.unknown for cost in found if cost.unknown), ""),
            bound=next((cost.bound for cost in found if cost.bound), ""),
        )

    def _outer(self, names: Collection[str], every: Iterable[Move]) -> Iterator[Move]:
        """What enters or leaves the group, each tensor once."""
        inner = [self._sized[name].layer for name in names if not self._is_view(name)]
        made = {tensor.name for layer in inner for tensor in layer.outputs}
        read: dict[str, Move] = {}
        for move in every:
            if move.written:
                if not self._readers[move.tensor] <= set(names):
                    yield move
            elif (root := self._root(move.tensor)) not in made:
                read.setdefault(root, move)
        yield from read.values()
