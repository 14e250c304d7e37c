"""A report of OpenVINO's counters that came as a file, tied by the rules of the backend itself.

A report lists every node of the graph that ran, in its order, with name, type and what computes
it, but neither edges nor, inside a node, the operations. So nodes are taken to read the one
before them, and names that are known to the model stand for marks. What rests on that is
`inferred` at best.
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

#: What the graph that runs calls nodes which reports list by their operation.
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
#: Operations of two operands and activations: such a node may compute a chain of them.
_ELEMENTWISE = frozenset(
    {"Add", "Subtract", "Multiply", "Divide", "Power", "Maximum", "Minimum", "Relu", "Sigmoid"}
    | {"Tanh", "Elu", "Clamp", "Swish", "HSwish", "Gelu", "Mish", "Erf", "Exp", "Sqrt", "Abs"}
)
_COPY = "Reorder"


def layers_of(name: str, names: Names) -> tuple[str, ...]:
    """The layers that a node is called after: by name, by output, by both, or with an ending.

    A convolution whose bias was taken out is `NAME/WithoutBiases`; a layer of several outputs, or
    one that shares its name, is `NAME_TENSOR`.
    """
    if found := names.named(name) or names.named(name.removesuffix("/WithoutBiases")):
        return found
    cuts = (at for at, sign in enumerate(name) if sign == "_")
    made = (names.producer(name[at + 1 :]) for at in cuts)
    return next((found for found in made if found and name.startswith(f"{found[0]}_")), ())


def kind(operation: str) -> str:
    """What the graph that runs calls a node of an operation."""
    return "Eltwise" if operation in _ELEMENTWISE else _KINDS.get(operation, operation)


@dataclass(frozen=True, slots=True)
class Listed:
    """One node of a report, those that it took in apart."""

    name: str
    operation: str
    implementation: str
    unit: int
    """Which of the measured units it is; -1 for what does no work."""
    row: int = 0
    """Its place in the report."""
    taken: tuple[str, ...] = ()
    """Names of the nodes that it took in."""


def tie(
    nodes: Sequence[Listed],
    names: Names,
    graph: Graph,
    evidence: Sequence[Evidence],
    original: Any,
) -> Ties:
    """Tie the units of a report to the layers of `original`, an ONNX graph of topology `graph`."""
    marks, made = _marked(nodes, names, _placed(nodes, graph, evidence))
    found = tie_nodes(graph, made, marks, lambda: twins(original), reported=True)
    steps = [_step(step, nodes, evidence) for step in found.steps]
    return Ties(tuple(steps), found.folded)


def _placed(
    nodes: Sequence[Listed], graph: Graph, evidence: Sequence[Evidence]
) -> dict[int, tuple[str, ...]]:
    """The layers of each unit by its names, or else by its operator and when it ran.

    A recurrent layer of two directions is two nodes, one after the other.
    """
    layers = {unit: found.layers for unit, found in enumerate(placed(graph, evidence))}
    last: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if node.unit >= 0 and node.operation.endswith("Sequence"):
            layers[node.unit] = layers[node.unit] or last.get(node.operation, ())
            last[node.operation] = layers[node.unit]
    return layers


def _marked(
    nodes: Sequence[Listed], names: Names, placed_layers: Mapping[int, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[RuntimeNode]]:
    """The nodes as the runtime would describe them, and the marks that stand for layers."""
    marks: dict[str, tuple[str, ...]] = {}
    made: list[RuntimeNode] = []
    copies: list[int] = []
    before = -1
    for place, node in enumerate(nodes):
        layers = [layers_of(name, names) for name in (node.name, *node.taken)]
        listed = [_mark(found, marks) if found else "?" for found in layers]
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
    told = next((evidence[unit].told for unit in units if evidence[unit].layers), "")
    return TiedStep(units, step.layers, Confidence.INFERRED, told or "operator and place")
