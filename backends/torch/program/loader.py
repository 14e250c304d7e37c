"""From an ONNX model to a program: weights, constants, functions, subgraphs.

An operator that is not in the table runs by its definition in terms of other operators (in the
model, or in ONNX's specification). Any other operator is an error that names the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from onnxprof.backends.torch.base.operator import COMPUTED, Function, Operator, bind
from onnxprof.backends.torch.base.unsigned import WIDE, widened
from onnxprof.backends.torch.base.values import stored
from onnxprof.backends.torch.program import table
from onnxprof.backends.torch.program.functions import definition, types_of
from onnxprof.backends.torch.program.program import OMITTED, UNWANTED, Call, Program
from onnxprof.backends.torch.program.prune import Layers, prune
from onnxprof.errors import BackendError
from onnxprof.model.graph.data_files import DataFolder
from onnxprof.model.graph.operators import DEFAULT_DOMAINS, MAY_DRAW
from onnxprof.model.graph.read import read_prepared
from onnxprof.records.layer import PreparedModel

#: The deepest nesting of functions, since a definition may call itself.
_DEEPEST = 16
#: Takes a call in a subgraph, and the call that holds the subgraph.
Wrap = Callable[[Call, Call], Function]


@dataclass(slots=True)
class Loaded:
    """A model as a program, with the calls and folded layers."""

    program: Program
    inputs: dict[str, int]
    """Names of the model's inputs and their slots."""
    outputs: list[str]
    output_types: list[int]
    """ONNX's element types of the outputs; 0 where none is declared."""
    layers: Layers
    folded: list[str]


@dataclass(slots=True)
class _Context:
    """Data that all graphs of one model share."""

    model: onnx.ModelProto
    folder: DataFolder
    fold: bool
    wrap: Wrap | None
    unsigned: bool
    layers: Layers = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    types: dict[str, Any] | None = None

    def type_of(self, name: str) -> Any:
        """The TypeProto of a tensor of the main graph, if it can be inferred."""
        if self.types is None:
            self.types = types_of(self.model)
        return self.types.get(name)

    def element_type(self, name: str) -> int:
        """The element type of a weight or another tensor of the main graph; 0 if unknown."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return int(tensor.data_type)
        kind = self.type_of(name)
        return int(kind.tensor_type.elem_type) if kind is not None else 0


def load(prepared: PreparedModel, *, fold: bool, wrap: Wrap | None = None) -> Loaded:
    """Make the program; `wrap`, if given, is called with each call of a subgraph.

    With `fold`, layers that depend on constants alone are computed now, and unused layers are
    left out. Raises BackendError for a model that torch cannot run.
    """
    model = read_prepared(prepared)
    folder = DataFolder.of_prepared(prepared)
    context = _Context(model, folder, fold, wrap, _has_unsigned(model))
    opsets = {o.domain: o.version for o in model.opset_import}
    builder = _Builder(context, opsets, {}, {}, depth=0, parent=-1)
    program = builder.graph(model.graph, model.graph.input)
    if fold:
        prune(program, context.layers)
    program.drop_dead()
    named = dict(zip((i.name for i in builder.true_inputs), program.formals, strict=True))
    return Loaded(
        program,
        named,
        [output.name for output in model.graph.output],
        [output.type.tensor_type.elem_type for output in model.graph.output],
        context.layers,
        context.folded,
    )


def _has_unsigned(model: onnx.ModelProto) -> bool:
    """Whether there may be tensors of types for which torch has few kernels."""
    inputs = (value.type.tensor_type.elem_type for value in model.graph.input)
    stored_types = (tensor.data_type for tensor in model.graph.initializer)
    casts = (
        attribute.i
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name in ("to", "dtype", "output_dtype")
    )
    return any(kind in WIDE for kind in (*inputs, *stored_types, *casts))


class _Builder:
    """Turns one graph, subgraph or function into a program."""

    def __init__(
        self, context: _Context, opsets: Mapping[str, int], outer: Mapping[str, Any],
        given: Mapping[str, Any], *, depth: int, parent: int, inside: bool = False,
    ) -> None:  # fmt: skip
        self.context, self.opsets, self.outer, self.given = context, opsets, outer, given
        self.depth, self.parent, self.inside = depth, parent, inside
        self.program = Program()
        self.slots: dict[str, int] = {"": OMITTED}
        self.true_inputs: list[Any] = []
        self._captures = True

    def graph(self, graph: onnx.GraphProto, inputs: Iterable[Any]) -> Program:
        """The program of a graph; inputs that are initializers count as constants."""
        known = {tensor.name for tensor in graph.initializer}
        if graph.sparse_initializer:
            raise BackendError("sparse initializers are not supported")
        for tensor in graph.initializer:
            self._hold(tensor.name, stored(tensor, self.context.folder))
        self.true_inputs = [value for value in inputs if value.name not in known]
        for value in self.true_inputs:
            self._formal(value.name)
        return self._finish(graph.node, [output.name for output in graph.output])

    def function(self, function: onnx.FunctionProto) -> Program:
        """The program of a function's body."""
        self._captures = False
        for name in function.input:
            self._formal(name)
        for node in function.node:
            self._node(node)
        # an output that the caller leaves out need not be there
        self.program.outputs = [self.slots.get(name, OMITTED) for name in function.output]
        self.program.drop_dead()
        return self.program

    def _finish(self, nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> Program:
        for node in nodes:
            self._node(node)
        self.program.outputs = [self._slot(name) for name in outputs]
        if self.depth:
            self.program.drop_dead()
        return self.program

    def _hold(self, name: str, value: Any) -> int:
        slot = self.slots[name] = self.program.new_slot(value)
        self.program.constants.add(slot)
        return slot

    def _formal(self, name: str) -> None:
        self.slots[name] = self.program.new_slot()
        self.program.formals.append(self.slots[name])

    def _slot(self, name: str) -> int:
        """The slot of a value: of this graph, of an outer constant, or captured."""
        if name in self.slots:
            return self.slots[name]
        if name in self.outer:
            return self._hold(name, self.outer[name])
        if not self._captures or not self.depth:
            raise BackendError(f"nothing produces the tensor {name!r}")
        self.slots[name] = self.program.new_slot()
        self.program.captured.append((name, self.slots[name]))
        return self.slots[name]

    def _node(self, node: onnx.NodeProto) -> None:
        try:
            self._add(node)
        except BackendError as error:
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            where = error.where or f"{kind} {node.name}".strip()
            raise BackendError(error.what, where=where, remedy=error.remedy) from None

    def _add(self, node: onnx.NodeProto) -> None:
        layer = not self.inside
        number = len(self.context.layers) if layer else -1
        call = Call(node.name, node.op_type, output_names=tuple(node.output), number=number)
        if layer:
            at = len(self.program.calls) if self.parent < 0 else self.context.layers[self.parent][2]
            self.context.layers.append((call, self.parent, at))
        sized = self._resolve(node, call)
        own = [self._slot(name) for name in node.input]
        bodies = () if call.is_function else call.bodies
        outer = [self._slot(name) for body in bodies for name, _ in body.captured]
        call.inputs = (*own, *outer)
        if self._fold(node, call):
            if layer:
                del self.context.layers[number:]
            return
        if sized:
            self._list_sizes(call)
        if call.ready is not None:
            self._make_ready(call)
        call.outputs = tuple(self._target(name) for name in node.output)
        if self.parent >= 0 and layer and self.context.wrap is not None:
            call.function = self.context.wrap(call, self.context.layers[self.parent][0])
        self.program.calls.append(call)

    def _target(self, name: str) -> int:
        if not name:
            return UNWANTED
        self.slots[name] = self.program.new_slot()
        return self.slots[name]

    def _fold(self, node: onnx.NodeProto, call: Call) -> bool:
        """Compute a layer now if the inputs are known. Errors are ignored: it may never run."""
        known = self.program.constants | {OMITTED}
        constant = node.op_type == "Constant"
        if not (constant or self.context.fold) or not known.issuperset(call.inputs):
            return False
        if node.op_type in MAY_DRAW or not node.output:
            return False
        try:
            result = call.function(*[self.program.template[i] for i in call.inputs])
        except Exception:
            if constant:
                raise
            return False
        results = result if type(result) is tuple else (result,)
        for name, value in zip(node.output, results, strict=False):
            if name:
                self._hold(name, value)
        if not self.inside:
            self.context.folded.append(node.name)
        return True

    def _list_sizes(self, call: Call) -> None:
        """Let a layer read constant sizes as lists, which cost nothing at run time."""
        inputs = list(call.inputs)
        for i in call.host:
            if i < len(inputs) and inputs[i] in self.program.constants:
                slot = self.program.new_slot(self.program.template[inputs[i]].flatten().tolist())
                self.program.constants.add(slot)
                inputs[i] = slot
        call.inputs = tuple(inputs)

    def _make_ready(self, call: Call) -> None:
        """Put what is made of constant operands once in their places."""
        ready, call.ready = call.ready, None
        held = self.program.constants
        given = held | {OMITTED}
        template = self.program.template
        known = [template[slot] if slot in given else COMPUTED for slot in call.inputs]
        made = {} if ready is None else ready(*known)
        inputs = list(call.inputs)
        for place, value in made.items():
            inputs[place] = self.program.new_slot(value)
            held.add(inputs[place])
        call.inputs, call.is_ready = tuple(inputs), bool(made)

    def _resolve(self, node: onnx.NodeProto, call: Call) -> bool:
        """Set the function of a node in the call; returns whether it takes lists as sizes."""
        opset = self._opset(node.domain)
        operator = table.find(node.domain, node.op_type, opset)
        function = None
        if operator is not None:
            bodies: list[Program] = []
            attributes = {a.name: self._attribute(a, call, bodies) for a in self._set(node)}
            call.bodies, call.host = tuple(bodies), operator.host
            _place_captures(bodies)
            facts = self._facts(node, opset)
            function = bind(operator, attributes, facts)
            if operator.ready is not None:
                call.ready = bind(Operator(operator.ready), attributes, facts)
        if function is None:
            function = self._defined(node, opset, call)
        wide = self.context.unsigned and not call.bodies
        call.function = widened(function, node.op_type) if wide else function
        return operator is not None and operator.sized and not call.is_function

    def _facts(self, node: onnx.NodeProto, opset: int) -> dict[str, int]:
        facts = {"inputs": len(node.input), "outputs": len(node.output), "opset": opset}
        if node.op_type == "QuantizeLinear" and len(node.input) > 2 and node.input[2]:
            kind = self.context.type_of(node.input[2])
            facts["zero_type"] = kind.tensor_type.elem_type if kind is not None else 0
        if node.op_type == "GatherBlockQuantized":
            facts["first_type"] = self.context.element_type(node.input[0])
        return facts

    def _opset(self, domain: str) -> int:
        names = DEFAULT_DOMAINS if domain in DEFAULT_DOMAINS else (domain,)
        return next((self.opsets[name] for name in names if name in self.opsets), 1)

    def _set(self, node: onnx.NodeProto) -> list[Any]:
        """The node's attributes; in a function, references are replaced by the caller's values."""
        attributes = []
        for attribute in node.attribute:
            if not attribute.ref_attr_name:
                attributes.append(attribute)
            elif attribute.ref_attr_name in self.given:
                made = onnx.AttributeProto()
                made.CopyFrom(self.given[attribute.ref_attr_name])
                made.name = attribute.name
                attributes.append(made)
        return attributes

    def _attribute(self, attribute: Any, call: Call, bodies: list[Program]) -> Any:
        kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
        if kind == "GRAPH":
            inner = _Builder(
                self.context, self.opsets, self._constants(), self.given,
                depth=self.depth + 1, parent=call.number, inside=self.inside,
            )  # fmt: skip
            _check_depth(inner.depth)
            bodies.append(inner.graph(attribute.g, attribute.g.input))
            return bodies[-1]
        if kind == "TENSOR":
            return stored(attribute.t, self.context.folder)
        if kind in ("SPARSE_TENSOR", "TENSORS", "SPARSE_TENSORS", "GRAPHS"):
            raise BackendError(f"its attribute {attribute.name!r} is not supported")
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if kind == "STRINGS":
            return [item.decode("utf-8", "replace") for item in value]
        return list(value) if kind in ("INTS", "FLOATS") else value

    def _constants(self) -> dict[str, Any]:
        """Constants that a subgraph may read, by name."""
        held = self.program.constants
        own = {n: self.program.template[s] for n, s in self.slots.items() if s in held}
        return {**self.outer, **own}

    def _defined(self, node: onnx.NodeProto, opset: int, call: Call) -> Function:
        """A function made from the operator's definition by other operators."""
        function = definition(self.context.model, node, opset, self.context.type_of)
        if function is None:
            raise BackendError(
                f"the torch backend has no function for operator {node.op_type}"
                + (f" of domain {node.domain}" if node.domain else f" at opset {opset}"),
                remedy="Profile this model with another backend, such as ort",
            )
        own = {o.domain: o.version for o in function.opset_import}
        opsets = {**self.opsets, **own}
        given = {a.name: a for a in (*function.attribute_proto, *self._set(node))}
        inner = _Builder(
            self.context, opsets, {}, given, depth=self.depth + 1, parent=-1, inside=True
        )
        _check_depth(inner.depth)
        body = inner.function(function)
        call.bodies, call.is_function = (body,), True
        return _calling(body)


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise BackendError(f"graphs and functions are nested more than {_DEEPEST} deep")


def _calling(body: Program) -> Function:
    def run(*given: Any) -> Any:
        results = body((), given)
        return results[0] if len(results) == 1 else tuple(results)

    return run


def _place_captures(bodies: Sequence[Program]) -> None:
    """Set for each body of a node the offset of its captured values."""
    before = 0
    for body in bodies:
        body.offset = before
        before += len(body.captured)
