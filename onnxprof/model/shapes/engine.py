"""The walk over a graph that infers contents and types node by node, bodies included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TypeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.walk import subgraphs, walk
from onnxprof.model.shapes import control, folding
from onnxprof.model.shapes.memo import Key, Memo
from onnxprof.model.shapes.misfits import misfit
from onnxprof.model.shapes.rules import bodies, contrib, onnx_rules, standard
from onnxprof.model.shapes.rules.call import Call, Types, refine
from onnxprof.model.shapes.rules.onnx_rules import RefusedError
from onnxprof.model.shapes.rules.scope import Scope, element_type, shape_of, tensor_type

_MAX_REFUSALS = 16


class Engine:
    """Infers the types of a model's tensors; work is bounded by the number of its nodes."""

    def __init__(self, model: ModelProto, trusted: bool) -> None:
        self._opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._trusted = trusted
        nodes = sum(1 for _ in walk(model.graph))
        self._budget = 4 * nodes + 1000
        self._refusals: list[tuple[str, str]] = []
        self._doubts: list[tuple[str, str]] = []
        self._memo = Memo()

    def run(self, graph: GraphProto) -> Scope:
        """Types of every tensor, at the sizes that the graph's inputs declare."""
        scope = Scope(refusals=self._refusals, doubts=self._doubts)
        for value in graph.input:
            scope.types[value.name] = value.type
        self._walk(graph, scope)
        return scope

    def _walk(self, graph: GraphProto, scope: Scope) -> None:
        _store(graph, scope)
        declared = _declared(graph) if self._trusted else {}
        for index, node in enumerate(graph.node):
            self._budget -= 1
            types = self._types(node, index, scope)
            for name, held in zip(node.output, types, strict=False):
                if name:
                    _learn(scope, name, held, declared.get(name))
        for output in graph.output:  # one that is an input or comes from outside has its type
            if scope.type_of(output.name) is None and output.name in declared:
                scope.declare(output.name, declared[output.name])

    def _types(self, node: NodeProto, index: int, scope: Scope) -> Types:
        if node.attribute and (inner := list(subgraphs(node))):
            return self._control(Call(node, scope, self._opsets), index, inner)
        key = self._memo.key(node, scope)
        known = None if key is None else self._memo.get(key)
        if known is None:
            return self._worked_out(node, scope, key)
        types, values = known
        pairs = zip(node.output, values, strict=True)
        scope.values.update((name, value) for name, value in pairs if value is not None)
        return types

    def _worked_out(self, node: NodeProto, scope: Scope, key: Key | None) -> Types:
        """Infer the outputs' types; they are memoised unless the node refuses its operands."""
        call = Call(node, scope, self._opsets)
        values = folding.evaluate(node, scope.shape, scope.value_of)
        scope.values.update(values)
        try:
            types = _asked(call)
        except RefusedError as error:
            self._refuse(node, str(error))
            return [None] * len(node.output)
        reason = misfit(call, types)
        self._refuse(node, reason)
        if not all(map(_has_rank, types)):
            types = self._through_body(call, types)
        if key is None or reason:
            return types
        return self._memo.keep(key, types, tuple(values.get(name) for name in node.output))

    def _through_body(self, call: Call, types: Types) -> Types:
        """The outputs' types, refined by inference on the operators that define this one."""
        if any(not _has_rank(call.type(i)) for i, name in enumerate(call.node.input) if name):
            return types
        try:
            made = bodies.model_of(call)
        except Exception:  # a definition for other operands than these
            return types
        if made is None or any(n.op_type == call.node.op_type for n in made.graph.node):
            return types
        scope = Engine(made, trusted=False).run(made.graph)
        inner_types = (scope.type_of(name) if name else None for name in call.node.output)
        return [refine(held, inner) for held, inner in zip(types, inner_types, strict=True)]

    def _refuse(self, node: NodeProto, reason: str) -> None:
        if reason and len(self._refusals) < _MAX_REFUSALS:
            self._refusals.append((node.name, reason))

    def _control(self, call: Call, index: int, inner: Sequence[tuple[str, GraphProto]]) -> Types:
        scopes: dict[str, Scope] = {}
        before, refused = self._refusals, list[list[tuple[str, str]]]()

        def body(
            graph: GraphProto,
            types: Sequence[TypeProto | None],
            values: Mapping[str, np.ndarray],
        ) -> Scope:
            self._refusals = []
            refused.append(self._refusals)
            return self._body(graph, call.scope, types, values)

        held_graphs = control.Bodies(call, body, lambda: self._budget > 0, scopes)
        types = control.infer(held_graphs)
        self._refusals = before
        if call.node.op_type != "If":
            refused = refused[-1:]
        # only doubts where one branch accepts its operands: it may be the one that runs
        known = before if all(refused) else self._doubts
        known.extend(refusal for refusals in refused for refusal in refusals)
        del known[_MAX_REFUSALS:]
        for position, (name, graph) in enumerate(inner):
            held = scopes.get(name) if held_graphs.graph(name) is graph else None
            call.scope.inner[index, position] = held or self._body(graph, call.scope, (), {})
        return types

    def _body(
        self,
        graph: GraphProto,
        outer: Scope,
        types: Sequence[TypeProto | None],
        values: Mapping[str, np.ndarray],
    ) -> Scope:
        scope = Scope(outer)
        scope.values.update(values)
        for index, value in enumerate(graph.input):
            given = types[index] if index < len(types) else None
            scope.types[value.name] = _entering(given, value.type)
        self._walk(graph, scope)
        return scope


def _has_rank(held: TypeProto | None) -> bool:
    """Whether a tensor's rank is known; true of types that are no tensors."""
    if held is None or not held.WhichOneof("value"):
        return False
    return held.WhichOneof("value") != "tensor_type" or shape_of(held) is not None


def _entering(given: TypeProto | None, declared: TypeProto) -> TypeProto:
    """The type of a body's input: as passed in, with the declared element type where unknown."""
    if given is not None and given.WhichOneof("value"):
        kind = element_type(given) or element_type(declared)
        whole = given.WhichOneof("value") != "tensor_type" or element_type(given)
        return given if whole else tensor_type(kind, shape_of(given))
    if declared.WhichOneof("value") != "tensor_type":
        return declared
    return tensor_type(element_type(declared), None)


def _store(graph: GraphProto, scope: Scope) -> None:
    for tensor in graph.initializer:
        scope.types[tensor.name] = tensor_type(tensor.data_type, tuple(tensor.dims))
        held = folding.constant(tensor)
        if held is not None:
            scope.values[tensor.name] = held
    for sparse in graph.sparse_initializer:
        held_type = tensor_type(sparse.values.data_type, tuple(sparse.dims))
        scope.types[sparse.values.name] = held_type


def _declared(graph: GraphProto) -> dict[str, TypeProto]:
    values = (*graph.value_info, *graph.output)
    return {value.name: value.type for value in values if value.type.WhichOneof("value")}


def _learn(scope: Scope, name: str, held: TypeProto | None, declared: TypeProto | None) -> None:
    known = refine(held, declared)
    value = scope.values.get(name)
    if value is not None and (known is None or shape_of(known) is None):
        known = tensor_type(element_type(known), value.shape)
    if known is not None:
        scope.declare(name, known)


def _asked(call: Call) -> Types:
    node = call.node
    if (
        node.domain not in DEFAULT_DOMAINS
        or onnx_rules.schema_of(node.op_type, "", 1 << 20) is None
    ):
        rule = contrib.rule_of(node)
        if rule is not None:
            return _shielded(rule, call)
    types = onnx_rules.ask(call)
    own = standard.RULES.get(node.op_type) if node.domain in DEFAULT_DOMAINS else None
    if own is None or all(_is_whole(held) for held in types):
        return types
    refined = _shielded(own, call)
    padded = [*refined, *[None] * (len(types) - len(refined))]
    return [refine(a, b) for a, b in zip(types, padded, strict=False)]


def _is_whole(held: TypeProto | None) -> bool:
    shape = None if held is None else shape_of(held)
    return shape is not None and None not in shape


def _shielded(rule: object, call: Call) -> Types:
    """Apply a rule; nothing is known where ill-formed attributes or operands make it fail."""
    try:
        return rule(call)  # type: ignore[operator,no-any-return]
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ZeroDivisionError):
        return [None] * len(call.node.output)
