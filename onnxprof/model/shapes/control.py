"""Shape inference of If, Loop, Scan and SequenceMap, through their bodies.

Semantics are those of https://onnx.ai/onnx/operators. A Loop's body is walked again where a
carried value changes its shape; `spare` bounds the work, since bodies can be nested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, TypeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.outline import Outline
from onnxprof.model.shapes.idle import BRANCHES, branch
from onnxprof.model.shapes.rules.call import Call, Types, join
from onnxprof.model.shapes.rules.scope import Scope, element_type, shape_of, tensor_type
from onnxprof.records.layer import Dim, Shape

#: Walks a body whose inputs have these types and values; returns the body's scope.
Walk = Callable[[Outline, Sequence[TypeProto | None], Mapping[str, np.ndarray]], Scope]
_PASSES = 4


@dataclass(slots=True)
class Bodies:
    """The bodies of one control-flow node, and how to walk them."""

    call: Call
    held: Sequence[tuple[str, Outline]]
    """The bodies, with the attribute that holds each."""
    walk: Walk
    spare: Callable[[], bool]
    """Whether the budget allows to walk a body more than once."""
    scopes: dict[str, Scope]
    """The last scope of each body, by the attribute that holds it."""

    def graph(self, name: str) -> Outline | None:
        """The body that an attribute holds."""
        return next((graph for held, graph in self.held if held == name), None)

    def outputs(
        self,
        name: str,
        inputs: Sequence[TypeProto | None],
        values: Mapping[str, np.ndarray] | None = None,
    ) -> list[TypeProto | None]:
        """The types that a body yields for inputs of these types."""
        graph = self.graph(name)
        if graph is None:
            return []
        scope = self.scopes[name] = self.walk(graph, inputs, values or {})
        return [scope.type_of(output.name) for output in graph.graph.output]


def infer(bodies: Bodies) -> Types:
    """The types of the node's outputs; its bodies are walked on the way."""
    node = bodies.call.node
    rule = _RULES.get(node.op_type) if node.domain in DEFAULT_DOMAINS else None
    if rule is not None:
        return rule(bodies)
    for name, _ in bodies.held:
        bodies.outputs(name, ())
    return [None] * len(node.output)


def _named_body(bodies: Bodies) -> GraphProto | None:
    held = bodies.graph("body")
    return None if held is None else held.graph


def _if(bodies: Bodies) -> Types:
    yields = [bodies.outputs(name, ()) for name in BRANCHES]
    runs = branch(bodies.call.value(0))
    if runs is not None:
        return list(yields[runs])
    return [_either(a, b) for a, b in zip(*yields, strict=False)]


def _either(a: TypeProto | None, b: TypeProto | None) -> TypeProto | None:
    """The type that covers both; None where they have nothing in common."""
    if a is None or b is None or a.WhichOneof("value") != b.WhichOneof("value"):
        return None
    if a.WhichOneof("value") != "tensor_type":
        return a
    kind = element_type(a) if element_type(a) == element_type(b) else 0
    return tensor_type(kind, join(shape_of(a), shape_of(b)))


def _loop(bodies: Bodies) -> Types:
    call, body = bodies.call, _named_body(bodies)
    if body is None or len(body.input) < 2:
        return [None] * len(call.node.output)
    carried = [call.type(i) for i in range(2, len(call.node.input))]
    endless = _is_true(call, 1)
    count = tensor_type(TensorProto.INT64, ())
    goes_on = tensor_type(TensorProto.BOOL, ())
    # a body runs only where its condition holds
    values = {body.input[1].name: np.array(True)}
    states, outputs = list(carried), list[TypeProto | None]()
    for left in reversed(range(_PASSES)):
        if left < 2 or not bodies.spare():
            states = [_elements_only(state) for state in states]
        outputs = bodies.outputs("body", [count, goes_on, *states], values)
        wider = [_either(a, b) for a, b in zip(states, outputs[1:], strict=False)]
        if wider == states:
            break
        states = wider
    held = len(states)
    whole = endless and _keeps_on(bodies, body)
    trips = call.scalar(0) if call.name(0) and whole else None
    stacks = [_stacked(output, trips, 0) for output in outputs[1 + held :]]
    return [*(_either(a, b) for a, b in zip(states, outputs[1:], strict=False)), *stacks]


def _elements_only(held: TypeProto | None) -> TypeProto | None:
    return None if held is None else tensor_type(element_type(held), None)


def _is_true(call: Call, position: int) -> bool:
    value = call.value(position)
    return not call.name(position) or (value is not None and value.size == 1 and bool(value.all()))


def _keeps_on(bodies: Bodies, body: GraphProto) -> bool:
    """Whether the body's condition output is always true."""
    scope = bodies.scopes.get("body")
    value = None if scope is None else scope.value_of(body.output[0].name)
    return value is not None and value.dtype != object and bool(value.all())


def _stacked(item: TypeProto | None, count: Dim, axis: int) -> TypeProto | None:
    """The type of `count` tensors of a type, stacked along a new axis."""
    if item is None or item.WhichOneof("value") != "tensor_type":
        return None
    shape = shape_of(item)
    if shape is None or not -len(shape) - 1 <= axis <= len(shape):
        return tensor_type(element_type(item), None)
    at = axis + len(shape) + 1 if axis < 0 else axis
    return tensor_type(element_type(item), (*shape[:at], count, *shape[at:]))


def _scan(bodies: Bodies) -> Types:
    call, body = bodies.call, bodies.graph("body")
    scanned = call.integer("num_scan_inputs")
    if body is None or call.opset() < 9 or not 0 < scanned <= len(call.node.input):
        return _unknown(bodies)
    held = len(call.node.input) - scanned
    axes = call.attribute("scan_input_axes") or [0] * scanned
    types = [call.type(held + i) for i in range(scanned)]
    slices = [_slice(t, axis) for t, axis in zip(types, axes, strict=False)]
    states = [call.type(i) for i in range(held)]
    outputs = bodies.outputs("body", [*states, *slices])
    count = next((s for t, a in zip(types, axes, strict=False) if (s := _length(t, a))), None)
    stacks = outputs[held:]
    out_axes = call.attribute("scan_output_axes") or [0] * len(stacks)
    made = [_stacked(t, count, axis) for t, axis in zip(stacks, out_axes, strict=False)]
    return [*(_either(a, b) for a, b in zip(states, outputs, strict=False)), *made]


def _unknown(bodies: Bodies) -> Types:
    bodies.outputs("body", ())
    return [None] * len(bodies.call.node.output)


def _slice(held: TypeProto | None, axis: int) -> TypeProto | None:
    shape = None if held is None else shape_of(held)
    if held is None or not shape or not -len(shape) <= axis < len(shape):
        return _elements_only(held)
    at = axis % len(shape)
    return tensor_type(element_type(held), (*shape[:at], *shape[at + 1 :]))


def _length(held: TypeProto | None, axis: int) -> Dim:
    shape: Shape = None if held is None else shape_of(held)
    return shape[axis] if shape and -len(shape) <= axis < len(shape) else None


def _sequence_map(bodies: Bodies) -> Types:
    call = bodies.call
    items = [_item(call.type(i)) for i in range(len(call.node.input))]
    made = []
    for item in bodies.outputs("body", items):
        held = TypeProto()
        if item is not None:
            held.sequence_type.elem_type.CopyFrom(item)
        made.append(held if item is not None else None)
    return list(made)


def _item(held: TypeProto | None) -> TypeProto | None:
    if held is not None and held.WhichOneof("value") == "sequence_type":
        item: TypeProto = held.sequence_type.elem_type
        return item
    return held


_RULES: Mapping[str, Callable[[Bodies], Types]] = {
    "If": _if,
    "Loop": _loop,
    "Scan": _scan,
    "SequenceMap": _sequence_map,
}
