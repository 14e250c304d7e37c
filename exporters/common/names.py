"""Names of layers and tensors, made from the modules that contain them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

#: The modules around a node, outermost first.
Scope = Callable[["ir.Node"], tuple[str, ...]]


@dataclass(slots=True)
class Names:
    """Hands out each name once; the second gets `_1`, the third `_2`."""

    _used: dict[str, int] = field(default_factory=dict)

    def take(self, name: str) -> str:
        """The name, or the next that is free."""
        count = self._used.get(name)
        self._used[name] = (count or 0) + 1 if count is not None else 0
        return name if count is None else self.take(f"{name}_{count + 1}")


def name_all(model: ir.Model, given: frozenset[str], outputs: Sequence[str], scope: Scope) -> None:
    """Name nodes like `layer1/0/conv1/Conv`, outputs after their node, constants after their use.

    Inputs and `given` parameters and buffers keep their names. `outputs` name the graph's outputs
    where there are as many names as outputs.
    """
    tensors = Names()
    graph = model.graph
    for value in graph.inputs:
        tensors.take(value.name or "")
    weights = [value for name, value in graph.initializers.items() if name in given]
    for value in weights:
        tensors.take(value.name or "")
    results = _free(graph, outputs)
    for name in results:
        tensors.take(name)
    _name_nodes(graph, scope, Names(), tensors)
    _name_operands(graph, given, tensors)
    for value, name in zip(graph.outputs, results, strict=True):
        value.name = name


def _free(graph: ir.Graph, outputs: Sequence[str]) -> list[str]:
    """Names of the outputs that collide with none of the inputs and weights."""
    wanted = list(outputs) if len(outputs) == len(graph.outputs) else []
    names = Names()
    for taken in (*(value.name for value in graph.inputs), *graph.initializers):
        names.take(taken or "")
    return [
        names.take(name) for name in wanted or [f"output_{i}" for i in range(len(graph.outputs))]
    ]


def _name_nodes(graph: ir.Graph, scope: Scope, nodes: Names, tensors: Names) -> None:
    for node in graph:
        node.name = nodes.take("/".join((*scope(node), node.op_type)))
        for index, value in enumerate(node.outputs):
            if value.is_graph_output() and value.graph is graph:
                continue
            single = len(node.outputs) == 1
            value.name = tensors.take(node.name if single else f"{node.name}/{index}")
        for subgraph in _subgraphs(node):
            _name_nodes(subgraph, scope, nodes, tensors)


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    import onnx_ir as ir

    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _name_operands(graph: ir.Graph, given: frozenset[str], tensors: Names) -> None:
    """Name constants after the first node that reads them and their role there."""
    constants = {v for name, v in graph.initializers.items() if name not in given}
    for node in graph.all_nodes():
        for index, value in enumerate(node.inputs):
            if value in constants and value is not None:
                constants.discard(value)
                _rename(value, tensors.take(f"{node.name}/{_role(node, index)}"))


def _rename(value: ir.Value, name: str) -> None:
    value.name = name
    if value.const_value is not None:
        value.const_value.name = name


def _role(node: ir.Node, index: int) -> str:
    """The operand's name in the operator's schema; `input_INDEX` without a schema."""
    import onnx

    try:
        inputs = onnx.defs.get_schema(node.op_type, node.domain).inputs
    except onnx.defs.SchemaError:
        return f"input_{index}"
    return inputs[min(index, len(inputs) - 1)].name
