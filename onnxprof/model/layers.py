"""The layer table of a model at a batch size, in first-appearance order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from onnx import GraphProto, NodeProto

from onnxprof.model.file import ModelFile, rebatched
from onnxprof.model.graph.attributes import attributes
from onnxprof.model.graph.operators import counts, layer_type, plain_domain, shape_operands
from onnxprof.model.graph.walk import initializer_names, subgraphs, true_inputs
from onnxprof.model.shapes import infer
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

_NONE: Mapping[str, int] = MappingProxyType({})


def inspect(model: ModelFile, batch: int, dims: Mapping[str, int] = _NONE) -> LayerTable:
    """Every layer at a batch size; axes without a size in `dims` stay symbolic.

    A model that cannot be re-batched is shown at the file's batch, with the obstacle named.
    Raises UsageError for an invalid batch or dim.
    """
    sized = rebatched(model, batch, dims)
    graph = sized.structure.graph
    scope = infer.infer(sized.structure, trust_declared=not sized.rewritten)
    opsets = {o.domain: o.version for o in sized.structure.opset_import}
    lister = _Lister(opsets, model.naming.given)
    layers = (*lister.rows(graph, scope, ""), *lister.unused_inputs(graph, scope))
    return LayerTable(layers, sized.batch, tuple(dims.items()), sized.obstacle, scope.disbelieved)


class _Lister:
    """Lists layers, remembering which tensors were already shown."""

    def __init__(self, opsets: Mapping[str, int], given: Mapping[str, str]) -> None:
        self._opsets, self._given = opsets, given
        self._seen: set[str] = set()
        self._kinds: dict[str, tuple[LayerKind, str]] = {}

    def rows(
        self, graph: GraphProto, scope: Scope, parent: str, attribute: str = ""
    ) -> Iterator[Layer]:
        """The graph's rows: inputs and constants stand before the first node that reads them."""
        self._kinds = {
            **self._kinds,
            **{n: (k, parent) for n, k in _kinds(graph, not parent).items()},
        }
        for index, node in enumerate(graph.node):
            tensors = _tensors(node, scope)
            for tensor, operand in tensors:
                if tensor.name in self._kinds and tensor.name not in self._seen:
                    self._seen.add(tensor.name)
                    kind, home = self._kinds[tensor.name]
                    yield _given_row(tensor, kind, operand, home)
            row = self._node(node, tuple(t for t, _ in tensors), scope, parent)
            yield replace(row, subgraph=attribute) if attribute else row
            for position, (name, inner) in enumerate(subgraphs(node)):
                outer = self._kinds
                yield from self.rows(inner, scope.inner[index, position], node.name, name)
                # the sibling branch may use the same names for its own tensors
                self._seen -= set(_kinds(inner, False)) - set(outer)
                self._kinds = outer

    def unused_inputs(self, graph: GraphProto, scope: Scope) -> Iterator[Layer]:
        """True inputs that no node of the main graph reads."""
        for name in true_inputs(graph):
            if name not in self._seen:
                yield _given_row(scope.tensor(name), LayerKind.INPUT, False, "")

    def _node(
        self, node: NodeProto, inputs: tuple[Tensor, ...], scope: Scope, parent: str
    ) -> Layer:
        domain = plain_domain(node.domain)
        opset = self._opsets.get(domain, self._opsets.get("ai.onnx", 0) if not domain else 0)
        return Layer(
            name=node.name,
            kind=LayerKind.NODE,
            layer_type=layer_type(node.op_type, domain),
            op_type=node.op_type,
            domain=domain,
            opset=opset,
            inputs=inputs,
            outputs=tuple(scope.tensor(name) for name in node.output if name),
            attributes=attributes(node),
            given_name=self._given.get(node.name, ""),
            parent=parent,
            absent_inputs=_absent(node.input),
            absent_outputs=_absent(node.output),
        )


def _absent(names: Sequence[str]) -> tuple[int, ...]:
    return tuple(position for position, name in enumerate(names) if not name)


def _kinds(graph: GraphProto, top: bool) -> dict[str, LayerKind]:
    """Kinds of the graph's inputs and initializers by name; inputs of a subgraph have none."""
    kinds = dict.fromkeys(true_inputs(graph) if top else (), LayerKind.INPUT)
    return {**kinds, **dict.fromkeys(initializer_names(graph), LayerKind.INITIALIZER)}


def _tensors(node: NodeProto, scope: Scope) -> list[tuple[Tensor, bool]]:
    """(tensor, is a shape operand) for the node's inputs that are present."""
    positions = shape_operands(node.op_type, node.domain)
    counted = counts(node.op_type, node.domain)
    return [
        _operand(scope, name)
        if index in positions
        else (_operand(scope, name)[0] if index in counted else scope.tensor(name), False)
        for index, name in enumerate(node.input)
        if name
    ]


def _operand(scope: Scope, name: str) -> tuple[Tensor, bool]:
    tensor, value = scope.tensor(name), scope.value_of(name)
    if tensor.dtype not in ("int64", "int32"):
        return tensor, False
    if value is None or not np.issubdtype(value.dtype, np.integer):
        return tensor, True
    return replace(tensor, value=tuple(int(v) for v in value.flat)), True


def _given_row(tensor: Tensor, kind: LayerKind, operand: bool, parent: str) -> Layer:
    if operand and kind is LayerKind.INITIALIZER:
        kind = LayerKind.SHAPE_OPERAND
    names = {
        LayerKind.INPUT: "Input",
        LayerKind.INITIALIZER: "Initializer",
        LayerKind.SHAPE_OPERAND: "ShapeOperand",
    }
    return Layer(tensor.name, kind, names[kind], outputs=(tensor,), parent=parent)
