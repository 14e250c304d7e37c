"""A report of OpenVINO's counters that came as a file, tied by the rules of the backend itself.

A report lists every executed node, in order, with name, type and implementation, but neither
edges nor the operations inside a node. So a node is assumed to read the one before it, and names
of the model replace marks. Ties on this basis are `inferred` at best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.graphs import tie as tie_nodes
from onnxprof.backends.openvino.graphs.marks import MARK
from onnxprof.backends.openvino.graphs.twins import twins
from onnxprof.provenance.names import Evidence, Names
from onnxprof.provenance.order import placed
from onnxprof.provenance.ties import TiedStep, Ties
from onnxprof.provenance.topology import Graph
from onnxprof.records.step import Confidence

#: From the operation in a report to the kind of node in the executed graph.
_KINDS: Mapping[str, str] = {
    "Parameter": "Input",
    "Result": "Output",
    "Constant": "Const",
    "Concat": "Concatenation",
    "VariadicSplit": "Split",
    "Convolution": "Convolution",
    "GroupConvolution": "GroupConvolution",
    "ConvolutionBackpropData": "Deconvolution",
    "GroupConvolutionBackpropData": "Deconvolution",
    "LSTMSequence": "RNNSeq",
    "GRUSequence": "RNNSeq",
    "RNNSequence": "RNNSeq",
    "AvgPool": "Pooling",
    "MaxPool": "Pooling",
}
#: Binary operations and activations: a node of these may compute a chain.
_ELEMENTWISE = frozenset(
    {"Add", "Subtract", "Multiply", "Divide", "Power", "Maximum", "Minimum", "Relu", "Sigmoid"}
    | {"Tanh", "Elu", "Clamp", "Swish", "HSwish", "Gelu", "Mish", "Erf", "Exp", "Sqrt", "Abs"}
)
_COPY = "Reorder"


def layers_of(name: str, names: Names) -> tuple[str, ...]:
    """The layers that a node is named after: layer name, output tensor, both, or with an ending.

    A convolution whose bias is apart is `NAME/WithoutBiases`; a layer with several outputs, or
    with a name that other layers share, is `NAME_TENSOR`.
    """
    if layers := names.named(name) or names.named(name.removesuffix("/WithoutBiases")):
        return layers
    cuts = (at for at, sign in enumerate(name) if sign == "_")
    made = (names.producer(name[at + 1 :]) for at in cuts)
    return next((layers for layers in made if layers and name.startswith(f"{layers[0]}_")), ())


def kind(operation: str) -> str:
    """The kind, in the executed graph, of a node with this operation in a report."""
    return "Eltwise" if operation in _ELEMENTWISE else _KINDS.get(operation, operation)


@dataclass(frozen=True, slots=True)
class Listed:
    """One node of a report, with the nodes that are fused into it."""

    name: str
    operation: str
    implementation: str
    unit: int
    """The number of the measured unit; -1 for a node without work."""
    row: int = 0
    """Position in the report."""
    taken: tuple[str, ...] = ()
    """Names of the nodes that are fused into this one."""


def tie(
    nodes: Sequence[Listed],
    names: Names,
    graph: Graph,
    evidence: Sequence[Evidence],
    original: Any,
) -> Ties:
    """Tie the units of a report to the layers of `original`, an ONNX graph of topology `graph`."""
    marks, made = _marked(nodes, names, _placed(nodes, graph, evidence))
    ties = tie_nodes(graph, made, marks, lambda: twins(original), reported=True)
    steps = [_step(step, nodes, evidence) for step in ties.steps]
    return Ties(tuple(steps), ties.folded)


def _placed(
    nodes: Sequence[Listed], graph: Graph, evidence: Sequence[Evidence]
) -> dict[int, tuple[str, ...]]:
    """The layers of each unit by names, or else by operator and execution order.

    A recurrent layer of two directions is two nodes, one after the other.
    """
    layers = {unit: entry.layers for unit, entry in enumerate(placed(graph, evidence))}
    last: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if node.unit >= 0 and node.operation.endswith("Sequence"):
            layers[node.unit] = layers[node.unit] or last.get(node.operation, ())
            last[node.operation] = layers[node.unit]
    return layers


def _marked(
    nodes: Sequence[Listed], names: Names, placed_layers: Mapping[int, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[RuntimeNode]]:
    """Marks for the layers, and the nodes as the runtime would describe them."""
    marks: dict[str, tuple[str, ...]] = {}
    made: list[RuntimeNode] = []
    copies: list[int] = []
    before = -1
    for place, node in enumerate(nodes):
        layers = [layers_of(name, names) for name in (node.name, *node.taken)]
        listed = [_mark(named, marks) if named else "?" for named in layers]
        if more := set(placed_layers.get(node.unit, ())).difference(*layers):
            listed.append(_mark(tuple(sorted(more)), marks))
        is_copy = node.operation == _COPY
        made.append(
            RuntimeNode(
                node.name,
                kind(node.operation),
                "" if is_copy else ",".join(listed),
                node.implementation,
                tuple(at for at in (before, *(() if is_copy else copies)) if at >= 0),
                ran=node.unit >= 0,
            )
        )
        if is_copy:
            copies.append(place)
        else:
            before, copies = place, []
    return marks, made


def _mark(layers: tuple[str, ...], marks: dict[str, tuple[str, ...]]) -> str:
    name = f"{MARK}{len(marks):06}~"
    marks[name] = layers
    return name


def _step(step: TiedStep, nodes: Sequence[Listed], evidence: Sequence[Evidence]) -> TiedStep:
    units = tuple(nodes[place].unit for place in step.members)
    if not step.layers:
        return TiedStep(units)
    source = next((evidence[unit].source for unit in units if evidence[unit].layers), "")
    return TiedStep(units, step.layers, Confidence.INFERRED, source or "operator and place")
