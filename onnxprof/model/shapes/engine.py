"""The walk over a graph that infers contents and types node by node, bodies included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TypeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.outline import Outline, Step, assign_forms, outline
from onnxprof.model.shapes import control, folding
from onnxprof.model.shapes.idle import branch
from onnxprof.model.shapes.memo import Key, Memo, Outputs
from onnxprof.model.shapes.misfits import misfit
from onnxprof.model.shapes.rules import bodies, contrib, onnx_rules, standard
from onnxprof.model.shapes.rules.call import Call, Types, refine
from onnxprof.model.shapes.rules.onnx_rules import RefusedError
from onnxprof.model.shapes.rules.scope import Facts, Scope, element_type, shape_of, tensor_type

_MAX_REFUSALS = 16


class Engine:
    """Infers the types of a model's tensors; work is bounded by the number of its nodes."""

    def __init__(self, model: ModelProto, trusted: bool) -> None:
        self._opsets = {entry.domain: entry.version for entry in model.opset_import}
        self._trusted = trusted
        self._budget = 0
        self._refusals: list[tuple[str, str]] = []
        self._doubts: list[tuple[str, str]] = []
        self._memo = Memo()

    def run(self, graph: Outline) -> Scope:
        """Types of every tensor, at the sizes that the graph's inputs declare."""
        assign_forms(graph)
        self._budget = 4 * sum(len(each.steps) for each in graph.all()) + 1000
        scope = Scope(refusals=self._refusals, doubts=self._doubts)
        for value in graph.graph.input:
            scope.known[value.name] = self._memo.facts(value.type)
        self._walk(graph, scope)
        return scope

    def _walk(self, graph: Outline, scope: Scope) -> None:
        self._store(graph.graph, scope)
        declared = _declared(graph.graph) if self._trusted else {}
        known, find, get = scope.known, scope.finder(), self._memo.get
        for index, step in enumerate(graph.steps):
            self._budget -= 1
            if step.form is not None:
                key = (step.form, *map(find, step.inputs))
                outputs = get(key) or self._worked_out(step, scope, key)
            else:
                outputs = self._control(step, index, scope)
            if declared:
                outputs = self._declared_too(step, outputs, declared)
            for name, held in zip(step.outputs, outputs, strict=False):
                if held is not None and name:
                    known[name] = held
        for output in graph.graph.output:  # an input, or from outside: it has its type
            if find(output.name) is None and output.name in declared:
                known[output.name] = self._memo.facts(declared[output.name])

    def _store(self, graph: GraphProto, scope: Scope) -> None:
        memo = self._memo
        for tensor in graph.initializer:
            held = memo.stored(tensor.data_type, tensor.dims)
            scope.known[tensor.name] = memo.facts(held, folding.constant(tensor))
        for sparse in graph.sparse_initializer:
            held = memo.stored(sparse.values.data_type, sparse.dims)
            scope.known[sparse.values.name] = memo.facts(held)

    def _declared_too(
        self, step: Step, outputs: Outputs, declared: Mapping[str, TypeProto]
    ) -> Outputs:
        """Facts about a node's outputs, completed by what the file declares."""
        pairs = zip(step.outputs, outputs, strict=False)
        return tuple([self._completed(held, declared.get(name)) for name, held in pairs])

    def _completed(self, held: Facts | None, declared: TypeProto | None) -> Facts | None:
        if declared is None:
            return held
        if held is None:
            return self._learnt(refine(None, declared), None)
        return self._learnt(refine(held.type, declared), held.value)

    def _learnt(self, held: TypeProto | None, value: np.ndarray | None) -> Facts | None:
        """Facts of a type, whose shape the contents give where nothing else does."""
        if value is not None and (held is None or shape_of(held) is None):
            held = tensor_type(element_type(held), value.shape)
        return None if held is None else self._memo.facts(held, value)

    def _worked_out(self, step: Step, scope: Scope, key: Key) -> Outputs:
        """Infer the outputs; they are memoised unless the node refuses its operands."""
        node = step.node
        call = Call(node, scope, self._opsets)
        values = folding.evaluate(node, scope.shape, scope.value_of)
        try:
            types = _asked(call)
            reason = misfit(call, types)
        except RefusedError as error:
            types, reason = [None] * len(step.outputs), str(error)
        else:
            if not all(map(_has_rank, types)):
                types = self._through_body(call, types)
        self._refuse(node, reason)
        pairs = zip(step.outputs, types, strict=False)
        outputs = tuple(self._learnt(held, values.get(name)) for name, held in pairs)
        if not reason:
            self._memo.keep(key, outputs)
        return outputs

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
        scope = Engine(made, trusted=False).run(outline(made.graph))
        inner_types = (scope.type_of(name) if name else None for name in call.node.output)
        return [refine(held, inner) for held, inner in zip(types, inner_types, strict=True)]

    def _refuse(self, node: NodeProto, reason: str) -> None:
        if reason and len(self._refusals) < _MAX_REFUSALS:
            self._refusals.append((node.name, reason))

    def _control(self, step: Step, index: int, scope: Scope) -> Outputs:
        scopes: dict[str, Scope] = {}
        before, refused = self._refusals, list[list[tuple[str, str]]]()

        def body(
            graph: Outline,
            types: Sequence[TypeProto | None],
            values: Mapping[str, np.ndarray],
        ) -> Scope:
            self._refusals = []
            refused.append(self._refusals)
            return self._body(graph, scope, types, values)

        call = Call(step.node, scope, self._opsets)
        held_graphs = control.Bodies(call, step.bodies, body, lambda: self._budget > 0, scopes)
        types = control.infer(held_graphs)
        self._refusals = before
        if step.op_type != "If":
            refused = refused[-1:]
        elif (runs := branch(call.value(0))) is not None:
            refused = refused[runs : runs + 1]
        # only doubts where one branch accepts its operands: it may be the one that runs
        known = before if all(refused) else self._doubts
        known.extend(refusal for refusals in refused for refusal in refusals)
        del known[_MAX_REFUSALS:]
        for position, (name, graph) in enumerate(step.bodies):
            held = scopes.get(name) if held_graphs.graph(name) is graph else None
            scope.inner[index, position] = held or self._body(graph, scope, (), {})
        return tuple(self._learnt(held_type, None) for held_type in types)

    def _body(
        self,
        graph: Outline,
        outer: Scope,
        types: Sequence[TypeProto | None],
        values: Mapping[str, np.ndarray],
    ) -> Scope:
        scope = Scope(outer)
        for index, value in enumerate(graph.graph.input):
            given = types[index] if index < len(types) else None
            held = _entering(given, value.type)
            scope.known[value.name] = self._memo.facts(held, values.get(value.name))
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


def _declared(graph: GraphProto) -> dict[str, TypeProto]:
    values = (*graph.value_info, *graph.output)
    return {value.name: value.type for value in values if value.type.WhichOneof("value")}


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
