"""The layer table of a model at a batch size, in first-appearance order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from onnx import GraphProto

from onnxprof.model.collector import unhurried
from onnxprof.model.file import ModelFile, rebatched
from onnxprof.model.graph.attributes import attributes
from onnxprof.model.graph.operators import counts, layer_type, plain_domain, shape_operands
from onnxprof.model.graph.outline import Form, Outline, Step, outline
from onnxprof.model.graph.walk import initializer_names, true_inputs
from onnxprof.model.shapes import infer
from onnxprof.model.shapes.rules.scope import Scope, item_shape
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

_NONE: Mapping[str, int] = MappingProxyType({})


@unhurried()
def inspect(model: ModelFile, batch: int, dims: Mapping[str, int] = _NONE) -> LayerTable:
    """Every layer at a batch size; axes without a size in `dims` stay symbolic.

    A model that cannot be re-batched is shown at the file's batch, with the obstacle named.
    Raises UsageError for an invalid batch or dim.
    """
    sized = rebatched(model, batch, dims)
    nodes = sized.nodes or outline(sized.structure.graph)
    scope = infer.infer(sized.structure, not sized.rewritten, nodes)
    opsets = {o.domain: o.version for o in sized.structure.opset_import}
    lister = _Lister(opsets, model.naming.given)
    layers = (*lister.rows(nodes, scope), *lister.unused_inputs(nodes.graph, scope))
    return LayerTable(layers, sized.batch, tuple(dims.items()), sized.obstacle, scope.disbelieved)


class _Head(NamedTuple):
    """What the rows of nodes of one form have in common."""

    layer_type: str
    op_type: str
    domain: str
    opset: int
    attributes: tuple[tuple[str, str], ...]
    shape_operands: tuple[int, ...]
    counts: tuple[int, ...]


class _Lister:
    """Lists layers, remembering which tensors were already shown."""

    def __init__(self, opsets: Mapping[str, int], given: Mapping[str, str]) -> None:
        self._opsets, self._given = opsets, given
        self._seen: set[str] = set()
        self._kinds: dict[str, tuple[LayerKind, str]] = {}
        self._heads: dict[Form, _Head] = {}

    def rows(
        self, graph: Outline, scope: Scope, parent: str = "", attribute: str = ""
    ) -> Iterator[Layer]:
        """The graph's rows: inputs and constants stand before the first node that reads them."""
        own = _kinds(graph.graph, not parent)
        hidden = {name: self._kinds[name] for name in own if name in self._kinds}
        self._kinds.update((name, (kind, parent)) for name, kind in own.items())
        tensors = _Tensors(scope)
        for index, step in enumerate(graph.steps):
            head = self._head(step)
            inputs = []
            for position, name in enumerate(step.inputs):
                if not name:
                    continue
                operand = False
                tensor = tensors[name]
                if position in head.shape_operands:
                    tensor, operand = _operand(scope, tensor)
                elif position in head.counts:
                    tensor, _ = _operand(scope, tensor)
                inputs.append(tensor)
                if name in self._kinds and name not in self._seen:
                    self._seen.add(name)
                    kind, home = self._kinds[name]
                    yield _given_row(_with_items(tensor, scope), kind, operand, home)
            outputs = tuple([tensors[name] for name in step.outputs if name])
            absent = _absent(step.inputs), _absent(step.outputs)
            yield self._node(
                step.node.name, head, tuple(inputs), outputs, parent, attribute, absent
            )
            for position, (name, inner) in enumerate(step.bodies):
                yield from self.rows(inner, scope.inner[index, position], step.node.name, name)
        if parent:
            # the sibling branch may use the same names for its own tensors
            for name in own:
                del self._kinds[name]
            self._seen.difference_update(name for name in own if name not in hidden)
            self._kinds.update(hidden)

    def unused_inputs(self, graph: GraphProto, scope: Scope) -> Iterator[Layer]:
        """True inputs that no node of the main graph reads."""
        for name in true_inputs(graph):
            if name not in self._seen:
                tensor = _with_items(scope.tensor(name), scope)
                yield _given_row(tensor, LayerKind.INPUT, False, "")

    def _head(self, step: Step) -> _Head:
        head = self._heads.get(step.form) if step.form is not None else None
        if head is None:
            domain = plain_domain(step.domain)
            opset = self._opsets.get(domain, self._opsets.get("ai.onnx", 0) if not domain else 0)
            head = _Head(
                layer_type(step.op_type, domain),
                step.op_type,
                domain,
                opset,
                attributes(step.node),
                shape_operands(step.op_type, step.domain),
                counts(step.op_type, step.domain),
            )
            if step.form is not None:
                self._heads[step.form] = head
        return head

    def _node(
        self,
        name: str,
        head: _Head,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        parent: str,
        subgraph: str,
        absent: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> Layer:
        return Layer(
            name,
            LayerKind.NODE,
            head.layer_type,
            head.op_type,
            head.domain,
            head.opset,
            inputs,
            outputs,
            head.attributes,
            self._given.get(name, ""),
            parent,
            subgraph,
            absent_inputs=absent[0],
            absent_outputs=absent[1],
        )


def _absent(names: Sequence[str]) -> tuple[int, ...]:
    return tuple(position for position, name in enumerate(names) if not name)


class _Tensors(dict[str, Tensor]):
    """The tensors of a scope by name, each as one record."""

    def __init__(self, scope: Scope) -> None:
        self._find = scope.finder()

    def __missing__(self, name: str) -> Tensor:
        held = self._find(name)
        tensor = Tensor(name) if held is None else Tensor(name, held.words, held.shape)
        self[name] = tensor
        return tensor


def _kinds(graph: GraphProto, top: bool) -> dict[str, LayerKind]:
    """Kinds of the graph's inputs and initializers by name; inputs of a subgraph have none."""
    kinds = dict.fromkeys(true_inputs(graph) if top else (), LayerKind.INPUT)
    return {**kinds, **dict.fromkeys(initializer_names(graph), LayerKind.INITIALIZER)}


def _operand(scope: Scope, tensor: Tensor) -> tuple[Tensor, bool]:
    """A shape operand with its contents, and whether it is one by its type."""
    value = scope.value_of(tensor.name)
    if tensor.dtype not in ("int64", "int32"):
        return tensor, False
    if value is None or not np.issubdtype(value.dtype, np.integer):
        return tensor, True
    return replace(tensor, value=tuple(int(v) for v in value.flat)), True


def _with_items(tensor: Tensor, scope: Scope) -> Tensor:
    """An input that is a sequence of tensors, with the shape of an item."""
    held = scope.type_of(tensor.name) if tensor.dtype.startswith("sequence(") else None
    return tensor if held is None else replace(tensor, shape=item_shape(held))


def _given_row(tensor: Tensor, kind: LayerKind, operand: bool, parent: str) -> Layer:
    if operand and kind is LayerKind.INITIALIZER:
        kind = LayerKind.SHAPE_OPERAND
    names = {
        LayerKind.INPUT: "Input",
        LayerKind.INITIALIZER: "Initializer",
        LayerKind.SHAPE_OPERAND: "ShapeOperand",
    }
    return Layer(tensor.name, kind, names[kind], outputs=(tensor,), parent=parent)
