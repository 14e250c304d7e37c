"""Constant operands of nodes: looking them up and replacing their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto

from onnxprof.model.graph import weights
from onnxprof.model.graph.data_files import DataFolder, is_external
from onnxprof.model.graph.outline import Outline, Step
from onnxprof.model.graph.walk import unused
from onnxprof.model.shapes import folding

#: A value of an operand: (coefficient, whether the batch size multiplies it).
Factor = tuple[int, bool]
#: A node's place in walk order, and the position of the operand among its inputs.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """The change of an operand: new integers, or its rows repeated along an axis."""

    factors: tuple[Factor, ...] = ()
    repeat_axis: int | None = None


class Placed(NamedTuple):
    """A node with the graphs around it, innermost last."""

    step: Step
    chain: tuple[Outline, ...]

    @property
    def node(self) -> NodeProto:
        """The node's message."""
        return self.step.node


def placed(graph: Outline, outer: tuple[Outline, ...] = ()) -> Iterator[Placed]:
    """Every node with the graphs around it, in walk order."""
    chain = (*outer, graph)
    for step in graph.steps:
        yield Placed(step, chain)
        for _, inner in step.bodies:
            yield from placed(inner, chain)


class Operands:
    """The constants of a model, by the nodes that read them."""

    def __init__(self, model: ModelProto, graph: Outline) -> None:
        self._model, self._graph = model, graph
        # these hold on to every message: protobuf keeps an object's identity only while it is held
        self._holders = {each: _holders(each) for each in graph.all()}

    @cached_property
    def nodes(self) -> list[Placed]:
        """Every node, in walk order."""
        return list(placed(self._graph))

    def _uses(self) -> Counter[int]:
        """How many operands and outputs each holder provides, by the holder's id."""
        uses: Counter[int] = Counter()
        for at in self.nodes:
            uses.update(id(self.holder(at, name)) for name in at.step.inputs)
        for graph, held in self._holders.items():
            uses.update(id(held[o.name]) for o in graph.graph.output if o.name in held)
        return uses

    def holder(self, at: Placed, name: str) -> TensorProto | NodeProto | None:
        """The initializer or Constant node that provides a name to a node."""
        graph = self._home(at, name)
        return self._holders[graph][name] if graph is not None else None

    def _home(self, at: Placed, name: str) -> Outline | None:
        within = (g for g in reversed(at.chain) if name in self._holders[g])
        return next(within, None)

    def value(self, at: Placed, position: int) -> NDArray[Any] | None:
        """The operand's contents if it is a small constant."""
        name = at.node.input[position] if position < len(at.node.input) else ""
        held = self.holder(at, name) if name else None
        if isinstance(held, TensorProto):
            return folding.constant(held)
        if held is None:
            return None
        return folding.evaluate(held, lambda _: None, lambda _: None).get(held.output[0])

    def apply(self, edits: Mapping[Place, Edit], batch: int, folder: Path) -> None:
        """Change the model in place; a constant that others read unchanged is cloned first."""
        uses = self._uses()
        shared: dict[tuple[int, Edit], list[Place]] = {}
        for place, edit in edits.items():
            at = self.nodes[place[0]]
            held = self.holder(at, at.node.input[place[1]])
            if held is not None:
                shared.setdefault((id(held), edit), []).append(place)
        for (_, edit), places in shared.items():
            self._apply(places, edit, batch, folder, uses)

    def _apply(
        self, places: list[Place], edit: Edit, batch: int, folder: Path, uses: Counter[int]
    ) -> None:
        at, position = self.nodes[places[0][0]], places[0][1]
        name = at.node.input[position]
        held = self.holder(at, name)
        tensor = held if isinstance(held, TensorProto) else _constant_tensor(held)
        home = self._home(at, name)
        assert home is not None
        if uses[id(held)] > len(places):
            tensor = self._clone(tensor, name, home)
            for index, slot in places:
                self.nodes[index].node.input[slot] = tensor.name
        _change(tensor, edit, batch, folder)
        for (
            value
        ) in self._model.graph.input:  # before IR 4 initializers are declared as inputs, too
            if value.name == tensor.name:
                value.type.CopyFrom(
                    onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
                )

    def _clone(self, tensor: TensorProto, name: str, home: Outline) -> TensorProto:
        graph = home.graph
        clone: TensorProto = graph.initializer.add()
        clone.CopyFrom(tensor)
        clone.name = unused(f"{name}#batch", self._taken)
        self._holders[home][clone.name] = clone
        if self._model.ir_version < 4 and graph is self._model.graph:
            graph.input.append(
                onnx.helper.make_tensor_value_info(clone.name, clone.data_type, list(clone.dims))
            )
        return clone

    def _taken(self, name: str) -> bool:
        return any(name in held for held in self._holders.values())


def _holders(graph: Outline) -> dict[str, TensorProto | NodeProto]:
    held: dict[str, TensorProto | NodeProto] = {t.name: t for t in graph.graph.initializer}
    constants = (step for step in graph.steps if step.op_type == "Constant" and step.outputs)
    held.update({step.outputs[0]: step.node for step in constants})
    return held


def _constant_tensor(node: NodeProto | None) -> TensorProto:
    """The node's tensor attribute, which replaces values given as plain attributes."""
    assert node is not None
    for attribute in node.attribute:
        if attribute.name == "value":
            held: TensorProto = attribute.t
            return held
    array = folding.evaluate(node, lambda _: None, lambda _: None)[node.output[0]]
    del node.attribute[:]
    made: TensorProto = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t
    made.CopyFrom(onnx.numpy_helper.from_array(array, node.output[0]))
    return made


def _change(tensor: TensorProto, edit: Edit, batch: int, folder: Path) -> None:
    if edit.repeat_axis is not None:
        _repeat(tensor, edit.repeat_axis, batch, folder)
        return
    new = [c * batch if scales else c for c, scales in edit.factors]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    array = np.array(new, dtype).reshape(tuple(tensor.dims))
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _repeat(tensor: TensorProto, axis: int, batch: int, folder: Path) -> None:
    """Resize an axis to the batch: new row i is old row i modulo the old size."""
    own = tensor.dims[axis]
    if is_external(tensor):
        need = weights.size_bytes(tensor, f"tensor {tensor.name!r}")
        tensor.raw_data = DataFolder(folder).read(tensor, need)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    array = weights.values(tensor)
    if array is None:  # data left out: only the dims are of interest
        tensor.dims[axis] = batch
        return
    repeated = np.take(array, np.arange(batch) % own, axis=axis)
    tensor.CopyFrom(onnx.numpy_helper.from_array(repeated, tensor.name))
