"""Marks on the nodes of OpenVINO's graph, read as evidence for layers of the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.backends.openvino.graphs.marks import Marks, has_unmarked, is_inner, marks_in
from onnxprof.provenance.congruence import constant_tensors
from onnxprof.provenance.topology import Graph, GraphNode

#: Kinds of nodes that do no work: data, and the ends of the graph.
_DATA = frozenset({"Input", "Const", "Output", "Parameter", "Constant", "Result"})
_CONSTANTS = ("Const", "Constant")
_INPUTS = ("Input", "Parameter")
_OUTPUTS = ("Output", "Result")
#: The frontend names the end of the graph by the output tensor's name and this suffix.
SINK = "/sink_port_0"
#: Operators that arrange data: a runtime may leave them out, and then no node does their work.
LAYOUT = frozenset(
    {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Cast", "CastLike", "Expand"}
)
#: Operators that pass their input on, so that a runtime drops them.
PASSIVE = frozenset({"Dropout", "Identity"})
#: Operators that copy; an in-place node needs no work for them.
_COPIES = frozenset({"Concat", "Split", "Slice"})
#: Kinds of nodes that arrange data and compute nothing.
_ARRANGING = frozenset({"Reorder", "Reshape", "Squeeze", "Unsqueeze", "Transpose"})
_COPYING = frozenset({"Concatenation", "Split", "Convert"})
#: Kinds of nodes that compute chains of operators, some of which may have lost their names.
_CHAINS = frozenset({"Subgraph", "Eltwise", "MHA", "ScaledDotProductAttention", "FakeQuantize"})
_QUANTISED = ("i8", "u8", "i4", "u4")

_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "QLinearConv"})
_PRODUCTS = frozenset({"MatMul", "Gemm", "MatMulInteger", "QLinearMatMul"})
#: The ONNX operators that a node of a kind must be, where it has no mark.
_KINDS: Mapping[str, frozenset[str]] = {
    "Convolution": _CONVOLUTIONS,
    "GroupConvolution": _CONVOLUTIONS,
    "Deconvolution": frozenset({"ConvTranspose"}),
    "FullyConnected": _PRODUCTS,
    "MatMul": _PRODUCTS,
    "RNNSeq": frozenset({"LSTM", "GRU", "RNN"}),
    "RNNCell": frozenset({"LSTM", "GRU", "RNN"}),
    "Softmax": frozenset({"Softmax"}),
}
#: Operators that a node which arranges data cannot have computed.
_COMPUTING = frozenset[str]().union(*_KINDS.values())

_Next = Callable[[int], Sequence[int]]
_Near = Callable[[str], Sequence[GraphNode]]
_Onward = Callable[[GraphNode], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RuntimeNode:
    """A node of the graph that runs, as the runtime describes it."""

    name: str
    kind: str
    originals: str = ""
    """The operations of the node, as the runtime lists them; empty for an inserted reorder."""
    implementation: str = ""
    inputs: tuple[int, ...] = ()
    """Positions of the nodes whose results it reads."""
    ran: bool = True
    """Whether the node does work at inference: not in place, not fused into another."""
    yields: tuple[str, ...] = ()
    """Types, layouts and shapes of the outputs."""
    computes: str = ""
    """The type that it computes in: `f32`."""

    @property
    def precision(self) -> str:
        """The type of the first output: `f32`, `u8`."""
        return self.yields[0].partition(",")[0].lower() if self.yields else ""


@dataclass(slots=True)
class Clues:
    """The marks of the runtime's nodes, and the edges of the original graph.

    The marks of a node that works name the layers that it computes. A mark on a node without
    work only tells which tensor it holds: the layer's output, unless the mark is of an operation
    inside the layer.
    """

    original: Graph
    nodes: Sequence[RuntimeNode]
    layers: list[tuple[str, ...]]
    """For each node that works or is data, the layers of its marks."""
    landmarks: list[tuple[str, ...]]
    """For each node without work, the layers whose output it passes on."""
    readers: list[list[int]]
    """For each node, the nodes that read it."""
    by_name: Mapping[str, GraphNode]
    produced: Mapping[str, GraphNode]
    consumers: Mapping[str, list[GraphNode]]
    constant: set[str]
    """Tensors that depend on no input."""
    reported: bool = False
    """Whether nodes list only the layer that they are named after, as in reports."""
    computed: set[str] = field(default_factory=set)
    """Layers named by data, or by a node that does more than arrange data."""
    lost: set[str] = field(default_factory=set)
    """Layers that were computed at inference by a node that does not name them."""

    @classmethod
    def gather(cls, original: Graph, nodes: Sequence[RuntimeNode], marks: Marks) -> Clues:
        """Read the marks and turn both graphs' edges around."""
        readers: list[list[int]] = [[] for _ in nodes]
        for place, node in enumerate(nodes):
            for source in dict.fromkeys(node.inputs):
                readers[source].append(place)
        by_name = {node.name: node for node in original.nodes}

        def known(marked: Iterable[str]) -> tuple[str, ...]:
            named = (name for m in marked for name in marks.get(m, ()) if name in by_name)
            return tuple(dict.fromkeys(named))

        listed = [marks_in(node.originals) for node in nodes]
        ends = [[mark for mark in marked if not is_inner(mark)] for marked in listed]
        clues = cls(
            original,
            nodes,
            [
                known(every if node.ran else passed if node.kind in _CONSTANTS else ())
                for node, every, passed in zip(nodes, listed, ends, strict=True)
            ],
            [
                known(() if node.ran or node.kind in _DATA else passed)
                for node, passed in zip(nodes, ends, strict=True)
            ],
            readers,
            by_name,
            original.producers(),
            original.consumers(),
            constant_tensors(original),
        )
        clues.computed = {
            name for i, names in enumerate(clues.layers) if not clues.arranges(i) for name in names
        }
        clues.layers = [
            clues._possible(names) if clues.arranges(i) else names
            for i, names in enumerate(clues.layers)
        ]
        clues.lost = set(clues._lost())
        return clues

    def _possible(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Of the layers that a node which arranges data names, those whose work it can have done.

        A Transpose before a FullyConnected may be named after the MatMul that became it.
        """
        return tuple(
            name
            for name in names
            if name in self.computed or self.by_name[name].op_type not in _COMPUTING
        )

    def _lost(self) -> Iterator[str]:
        named = {name for names in self.layers for name in names}
        idle = {name for names in self.landmarks for name in names}
        fixed = set(self.fixed()) | self.constant
        needed = self._reach(
            [t for t in self.original.outputs if t not in fixed],
            self._producer,
            lambda n: tuple(t for t in n.inputs if t not in fixed),
        )
        for name in needed - named:
            kind = self.by_name[name].op_type
            if kind in LAYOUT | PASSIVE or (kind in _COPIES and name in idle):
                continue
            if not self.constant.issuperset(self.by_name[name].outputs):
                yield name

    def fixed(self) -> list[str]:
        """Tensors that the graph that runs holds as constants, and no node computes."""
        live = {n for i, names in enumerate(self.layers) if not self.is_data(i) for n in names}
        held = {n for i, names in enumerate(self.layers) if self.is_data(i) for n in names}
        return [t for name in held - live for t in self.by_name[name].outputs]

    def is_data(self, place: int) -> bool:
        """Whether a node is data or an end of the graph."""
        return self.nodes[place].kind in _DATA

    def is_orphan(self, place: int) -> bool:
        """Whether a node does a layer's work without naming the layer."""
        node = self.nodes[place]
        return node.ran and bool(node.originals) and not self.layers[place]

    def arranges(self, place: int) -> bool:
        """Whether a node moves data and computes nothing."""
        return self.nodes[place].kind in _ARRANGING

    def may_compute(self, place: int) -> bool:
        """Whether a node can have done a layer's work that it does not name."""
        return not self.arranges(place) and self.nodes[place].kind not in _COPYING

    def may_hold(self, place: int, layers: set[str]) -> bool:
        """Whether a node can have computed these layers; only attention has products in chains."""
        kinds = {self.by_name[name].op_type for name in layers}
        lone = self.is_chain(place) and kinds & _PRODUCTS and "Softmax" not in kinds
        return self.may_compute(place) and not lone

    def is_chain(self, place: int) -> bool:
        """Whether a node computes operators one after the other."""
        return self.nodes[place].kind in _CHAINS

    def is_open(self, place: int) -> bool:
        """Whether a node lists operations that optimisation made, whose layers are not known."""
        return self.nodes[place].ran and has_unmarked(self.nodes[place].originals)

    def is_between(self, layer: str, some: set[str]) -> bool:
        """Whether a layer lies between two of these, so that a node with both computes it, too."""
        sides = (self.around(layer, behind=side) for side in (False, True))
        return all(not some.isdisjoint(side) for side in sides)

    def joins(self, place: int) -> bool:
        """Whether a node puts the results of others side by side."""
        return self.nodes[place].kind == "Concatenation"

    def widens(self, layer: str) -> bool:
        """Whether a layer turns eight bits into floating point."""
        node = self.by_name[layer]
        return node.op_type == "DequantizeLinear" and bool(node.inputs)

    def is_quantised_before(self, layer: str) -> bool:
        """Whether a layer reads a node's result in eight bits that no other node widened."""
        node = self.by_name[layer]
        makers = {maker.name for maker in self._producer(node.inputs[0])}
        return any(
            not makers.isdisjoint(self.layers[place]) and made.precision in _QUANTISED
            for place, made in enumerate(self.nodes)
        )

    def is_kind(self, place: int, layer: str, has: Iterable[str]) -> bool:
        """Whether a node must compute a layer of this operator, and `has` contains none yet."""
        kinds = _KINDS.get(self.nodes[place].kind, frozenset())
        taken = any(self.by_name[name].op_type in kinds for name in has)
        return self.by_name[layer].op_type in kinds and not taken

    def copied_into(self, place: int) -> tuple[str, ...]:
        """The in-place layers whose copying an inserted reorder does."""
        readers = self.readers[place]
        node = self.nodes[place]
        if not node.ran or node.originals or len(readers) != 1:
            return ()
        reader = self.nodes[readers[0]]
        if reader.ran or reader.kind != "Concatenation":
            return ()
        names = self.landmarks[readers[0]]
        return tuple(name for name in names if self.by_name[name].op_type == "Concat")

    def after(self, place: int) -> list[int]:
        """The nearest nodes behind this one that name layers, or are outputs."""
        return self._nearest(place, lambda at: self.readers[at], _OUTPUTS)

    def before(self, place: int) -> list[int]:
        """The nearest nodes before this one that name layers, or are inputs."""
        return self._nearest(place, lambda at: self.nodes[at].inputs, _INPUTS)

    def _nearest(self, place: int, step: _Next, ends: Sequence[str]) -> list[int]:
        nearest: dict[int, None] = {}
        seen, waiting = {place}, [place]
        while waiting:
            for at in step(waiting.pop()):
                if at in seen:
                    continue
                seen.add(at)
                if self.layers[at] or self.landmarks[at] or self.nodes[at].kind in ends:
                    nearest[at] = None
                else:
                    waiting.append(at)
        return sorted(nearest)

    def lost_between(self, before: Iterable[int], after: Iterable[int]) -> set[str]:
        """Layers on the way from some nodes to others that no working node names."""
        start = [tensor for place in before for tensor in self._yielded(place)]
        ahead = self._reach(
            start, self._free(lambda t: self.consumers.get(t, ())), lambda n: n.outputs
        )
        wanted = [tensor for place in after for tensor in self._wanted(place)]
        behind = self._reach(wanted, self._free(self._producer), lambda n: n.inputs)
        return ahead & behind & self.lost

    def _free(self, near: _Near) -> _Near:
        """The neighbours that may be passed over: lost layers, and those that arrange data."""

        def passed(tensor: str) -> list[GraphNode]:
            return [node for node in near(tensor) if self._is_passed(node)]

        return passed

    def _is_passed(self, node: GraphNode) -> bool:
        arranged = node.op_type in LAYOUT | PASSIVE and node.name not in self.computed
        return node.name in self.lost or arranged

    def _yielded(self, place: int) -> list[str]:
        names = self.layers[place] or self.landmarks[place]
        tensors = [tensor for name in names for tensor in self.by_name[name].outputs]
        return tensors if names else [self.nodes[place].name]

    def _wanted(self, place: int) -> list[str]:
        if self.landmarks[place]:
            return [t for name in self.landmarks[place] for t in self.by_name[name].outputs]
        if self.nodes[place].kind in _OUTPUTS:
            return [self.nodes[place].name.removesuffix(SINK)]
        return [t for name in self.layers[place] for t in self.by_name[name].inputs]

    def _producer(self, tensor: str) -> tuple[GraphNode, ...]:
        return (self.produced[tensor],) if tensor in self.produced else ()

    def _reach(self, tensors: Iterable[str], near: _Near, onward: _Onward) -> set[str]:
        reached: set[str] = set()
        waiting = list(tensors)
        while waiting:
            for node in near(waiting.pop()):
                if node.name not in reached:
                    reached.add(node.name)
                    waiting.extend(onward(node))
        return reached

    def around(self, layer: str, *, behind: bool) -> set[str]:
        """The nearest layers before or behind a layer, past lost and data-arranging ones."""
        node = self.by_name[layer]
        near: _Near = (lambda t: self.consumers.get(t, ())) if behind else self._producer
        ends: set[str] = set()

        def onward(met: GraphNode) -> tuple[str, ...]:
            if not self._is_passed(met):
                ends.add(met.name)
                return ()
            return met.outputs if behind else met.inputs

        self._reach(node.outputs if behind else node.inputs, near, onward)
        return ends
