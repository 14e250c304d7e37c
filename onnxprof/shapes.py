"""Static types of every tensor: ONNX shape inference, helped by folding shape computations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TypeProto

from onnxprof import contrib, folding, tensors
from onnxprof.graph import graphs, subgraphs
from onnxprof.layertypes import DEFAULT_DOMAINS, shape_operands
from onnxprof.records import Dim, Shape, Tensor

_ROUNDS = 8


@dataclass(slots=True)
class Scope:
    """Types and known values of one graph's tensors; a name not in it is looked up outside."""

    outer: Scope | None = None
    types: dict[str, TypeProto] = field(default_factory=dict)
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    inner: dict[tuple[int, int], Scope] = field(default_factory=dict)
    """Scopes of subgraphs, by node index and position among the node's subgraphs."""
    symbols: frozenset[str] = frozenset()
    """Names of symbolic sizes that the file itself uses."""
    _shapes: dict[str, Shape] = field(default_factory=dict)

    def type_of(self, name: str) -> TypeProto | None:
        """The tensor's type, or None if nothing is known."""
        if name in self.types or self.outer is None:
            return self.types.get(name)
        return self.outer.type_of(name)

    def value_of(self, name: str) -> NDArray[Any] | None:
        """The tensor's contents where known; symbolic sizes stand in it as strings."""
        if name in self.values or self.outer is None or name in self.types:
            return self.values.get(name)
        return self.outer.value_of(name)

    def shape(self, name: str) -> Shape:
        """The tensor's shape; names that inference made up count as unknown."""
        known = self._shapes.get(name)
        if known is None:
            held = self.type_of(name)
            known = None if held is None else shape_of(held, self.symbols)
            self._shapes[name] = known
        return known

    def forget_shapes(self) -> None:
        """Types outside have changed since shapes were asked for."""
        self._shapes.clear()

    def declare(self, name: str, held: TypeProto) -> None:
        """Replace what is known about a tensor's type."""
        self.types[name] = held
        self._shapes.pop(name, None)

    def tensor(self, name: str) -> Tensor:
        """The tensor as a record, without value."""
        held = self.type_of(name)
        return Tensor(name) if held is None else Tensor(name, type_name(held), self.shape(name))


def type_name(held: TypeProto) -> str:
    """`float32`, `sequence(int64)`, `optional(float32)`, `map(int64,float32)`; empty if unknown."""
    kind = held.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        return tensors.dtype_name(getattr(held, kind).elem_type)
    if kind in ("sequence_type", "optional_type"):
        return f"{kind[:-5]}({type_name(getattr(held, kind).elem_type)})"
    if kind == "map_type":
        key = tensors.dtype_name(held.map_type.key_type)
        return f"map({key},{type_name(held.map_type.value_type)})"
    return ""


def shape_of(held: TypeProto, symbols: frozenset[str]) -> Shape:
    """The shape of a tensor type (or of an optional tensor); None where the rank is unknown."""
    kind = held.WhichOneof("value")
    if kind == "optional_type":
        return shape_of(held.optional_type.elem_type, symbols)
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return None
    tensor = getattr(held, kind)
    if not tensor.HasField("shape"):
        return None
    return tuple(_dim(d, symbols) for d in tensor.shape.dim)


def _dim(dim: Any, symbols: frozenset[str]) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return dim.dim_param if dim.dim_param in symbols else None


def infer(model: ModelProto, trust_declared: bool = True) -> Scope:
    """Types of every tensor at the sizes that the model's inputs declare.

    `trust_declared` lets declared intermediate types fill in what inference cannot know;
    leave it off where the model was rewritten and they may be stale. Never raises for a
    model that inference cannot handle: what it cannot know stays unknown.
    """
    scratch = ModelProto()
    scratch.CopyFrom(model)
    contrib.standardise(scratch.graph)
    symbols = frozenset(_symbols(model))
    _import_every_domain(scratch)
    _clear_declared(scratch, trust_declared)
    for _ in range(_ROUNDS):
        inferred = _run(scratch)
        scope = _scope(inferred.graph, None, symbols)
        learned = _fold(scratch.graph, scope)
        if not learned or _all_static(inferred.graph, scope):
            break
    if trust_declared:
        _fill_in(model.graph, scope)
    return scope


def _symbols(model: ModelProto) -> Iterator[str]:
    for graph in graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield from (d.dim_param for d in value.type.tensor_type.shape.dim if d.dim_param)


def _import_every_domain(model: ModelProto) -> None:
    """Inference refuses a whole model for one operator whose domain is not imported."""
    known = {entry.domain for entry in model.opset_import}
    used = {node.domain for graph in graphs(model.graph) for node in graph.node}
    used.update(node.domain for function in model.functions for node in function.node)
    for domain in sorted(used - known):
        if domain in DEFAULT_DOMAINS and known & set(DEFAULT_DOMAINS):
            continue
        model.opset_import.add(domain=domain, version=1)


def _clear_declared(model: ModelProto, trust: bool) -> None:
    """Drop declared types that inference will find itself; keep those only the file can know."""
    functions = {(f.domain, f.name) for f in model.functions}
    for graph in graphs(model.graph):
        opaque = {
            name
            for node in graph.node
            if trust and (node.domain, node.op_type) not in functions
            if not onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
            for name in node.output
        }
        kept = [v for v in graph.value_info if v.name in opaque]
        del graph.value_info[:]
        graph.value_info.extend(kept)
        for output in graph.output:
            if output.name not in opaque and output.type.HasField("tensor_type"):
                output.type.tensor_type.ClearField("shape")


def _run(model: ModelProto) -> ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # a model that inference rejects is still listed, with declared types
        return model


def _scope(graph: GraphProto, outer: Scope | None, symbols: frozenset[str]) -> Scope:
    scope = Scope(outer, symbols=symbols)
    for value in (*graph.value_info, *graph.output, *graph.input):
        scope.types[value.name] = value.type
    for tensor in graph.initializer:
        scope.types[tensor.name] = _stored_type(tensor.data_type, tensor.dims)
        held = folding.constant(tensor)
        if held is not None:
            scope.values[tensor.name] = held
    for sparse in graph.sparse_initializer:
        scope.types[sparse.values.name] = _stored_type(sparse.values.data_type, sparse.dims)
    for index, node in enumerate(graph.node):
        for position, (_, inner) in enumerate(subgraphs(node)):
            scope.inner[index, position] = _scope(inner, scope, symbols)
    return scope


def _stored_type(data_type: int, dims: Any) -> TypeProto:
    return onnx.helper.make_tensor_type_proto(data_type, list(dims))


def _fold(graph: GraphProto, scope: Scope) -> bool:
    """Compute what is known; nodes whose outputs became known turn into constants in place."""
    learned = False
    for index, node in enumerate(graph.node):
        for position, (_, inner) in enumerate(subgraphs(node)):
            learned = _fold(inner, scope.inner[index, position]) or learned
        learned = _lend(graph, node, scope) or learned
        _mask(node, scope)
        results = folding.evaluate(node, scope.shape, scope.value_of)
        scope.values.update(results)
        learned = _replace(node, results) or learned
    return learned


def _lend(graph: GraphProto, node: NodeProto, scope: Scope) -> bool:
    """Inference does not see the contents of outer tensors: copy shape operands inwards."""
    if scope.outer is None:
        return False
    positions = shape_operands(node.op_type, node.domain)
    names = {node.input[i] for i in positions if i < len(node.input)} - {""} - set(scope.types)
    lent = False
    for name in sorted(names):
        value = scope.value_of(name)
        if value is not None and value.dtype != object:
            graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            scope.declare(name, _stored_type(graph.initializer[-1].data_type, value.shape))
            scope.values[name] = value
            lent = True
    return lent


def _mask(node: NodeProto, scope: Scope) -> None:
    """Inference forgets that a Dropout's mask has its data's shape (before opset 12)."""
    if node.op_type != "Dropout" or len(node.output) < 2 or scope.type_of(node.output[0]) is None:
        return
    if scope.shape(node.output[1]) is None:
        known = scope.types.get(node.output[1], TypeProto()).tensor_type.elem_type
        mask = TypeProto()
        mask.CopyFrom(scope.types[node.output[0]])
        mask.tensor_type.elem_type = known or mask.tensor_type.elem_type
        scope.declare(node.output[1], mask)


def _replace(node: NodeProto, results: Mapping[str, NDArray[Any]]) -> bool:
    whole = [v for v in results.values() if v.dtype != object]
    if node.op_type == "Constant" or len(node.output) != 1 or not whole:
        return False
    made = onnx.helper.make_node("Constant", [], list(node.output), name=node.name)
    made.attribute.add(
        name="value", type=onnx.AttributeProto.TENSOR, t=onnx.numpy_helper.from_array(whole[0])
    )
    node.CopyFrom(made)
    return True


def _all_static(graph: GraphProto, scope: Scope) -> bool:
    names = (name for node in graph.node for name in node.output if name)
    return all(scope.tensor(name).is_static for name in names)


def _fill_in(graph: GraphProto, scope: Scope) -> None:
    """Take declared sizes where inference knows none."""
    scope.forget_shapes()
    for value in (*graph.value_info, *graph.output):
        known, declared = scope.shape(value.name), shape_of(value.type, scope.symbols)
        if known is None and value.type.WhichOneof("value"):
            scope.declare(value.name, value.type)
        elif known is not None and declared is not None and len(known) == len(declared):
            merged = TypeProto()
            merged.CopyFrom(scope.types[value.name])
            if not merged.HasField("tensor_type"):
                continue
            for dim, size, other in zip(merged.tensor_type.shape.dim, known, declared, strict=True):
                if size is None and isinstance(other, int):
                    dim.dim_value = other
                elif size is None and isinstance(other, str):
                    dim.dim_param = other
            scope.declare(value.name, merged)
    for index, node in enumerate(graph.node):
        for position, (_, inner) in enumerate(subgraphs(node)):
            _fill_in(inner, scope.inner[index, position])
