"""A model with the executed bodies of control flow in the main graph.

Tensors inside of a subgraph cannot be outputs of a model. Here the branch that an If takes
replaces the If, and the first iteration of a Loop or Scan stands beside the node, so that their
tensors can be read like all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

from onnxprof.provenance.onnx_graph import graph_attributes, read_graph, read_node
from onnxprof.provenance.topology import Graph, GraphNode

#: Path of a body: position of the control-flow node and name of the attribute, outermost first.
Path = tuple[tuple[int, str], ...]

NEVER_RUN = "its branch did not run"
HIDDEN = "it runs inside a subgraph, whose values cannot be read"


@dataclass(frozen=True, slots=True)
class Pending:
    """A control-flow node in the unfolded graph without a body beside it."""

    path: Path
    """Path of the graph that holds the node, and the position in that graph."""
    node: onnx.NodeProto
    """The node, with tensor names of the unfolded graph."""


@dataclass(slots=True)
class Unfolded:
    """An unfolded model; nodes are numbered as in `TiedNodes`."""

    model: onnx.ModelProto
    graph: Graph
    places: dict[int, int] = field(default_factory=dict)
    """From the number of a node to the position in `graph`."""
    unread: dict[int, str] = field(default_factory=dict)
    """From the numbers of other nodes to the reason why they are not in `graph`."""
    skipped: frozenset[str] = frozenset()
    """Names of nodes in branches that were not taken."""
    passing: frozenset[str] = frozenset()
    """Names of the Ifs whose branch stands in the main graph."""
    pending: list[Pending] = field(default_factory=list)


def unfolded(model: onnx.ModelProto, taken: Mapping[Path, bool]) -> Unfolded:
    """Put executed bodies into the main graph; `taken` says of bodies whether they ran.

    Tensors of a body keep their names if these are unique in the model and the body replaces
    the node; else the node's name is added.
    """
    if not has_bodies(model.graph):
        places = {i: i for i in range(len(model.graph.node))}
        return Unfolded(model, read_graph(model.graph), places)
    return _Unfolding(model, taken).run()


def has_bodies(graph: onnx.GraphProto) -> bool:
    """Whether any node has a subgraph."""
    return any(True for node in graph.node for _ in graph_attributes(node))


class _Unfolding:
    """The unfolding of one model."""

    def __init__(self, model: onnx.ModelProto, taken: Mapping[Path, bool]) -> None:
        self._model, self._taken = model, taken
        self._defined = Counter(_every_name(model.graph))
        self._first: dict[Path, int] = {}
        _number(model.graph, (), 0, self._first)
        self._protos: list[onnx.NodeProto] = []
        self._nodes: list[GraphNode] = []
        self._results: list[str] = []
        self._skipped: set[str] = set()
        self._passing: set[str] = set()
        self._made = onnx.ModelProto()
        self._made.CopyFrom(model)
        self._unfolded = Unfolded(self._made, Graph((), frozenset()))

    def run(self) -> Unfolded:
        """Visit every graph that stands in the main graph."""
        self._visit(self._model.graph, (), {})
        del self._made.graph.node[:]
        self._made.graph.node.extend(self._protos)
        read = read_graph(self._made.graph)
        self._unfolded.graph = replace(
            read, nodes=tuple(self._nodes), outputs=(*read.outputs, *self._results)
        )
        self._unfolded.skipped = frozenset(self._skipped)
        self._unfolded.passing = frozenset(self._passing)
        return self._unfolded

    def _visit(self, graph: onnx.GraphProto, path: Path, names: Mapping[str, str]) -> None:
        for place, node in enumerate(graph.node):
            given = renamed(node, names)
            bodies = {(*path, (place, a.name)): a.g for a in graph_attributes(node)}
            ran = next((p for p in bodies if self._taken.get(p)), None)
            if ran is not None and node.op_type == "If":
                self._branch(given, bodies[ran], ran, names)
            else:
                if ran is not None:
                    self._iteration(given, bodies[ran], ran, names)
                elif bodies and not any(p in self._taken for p in bodies):
                    self._unfolded.pending.append(Pending((*path, (place, "")), given))
                self._protos.append(given)
                self._nodes.append(read_node(given))
            self._unfolded.places[self._first[path] + place] = len(self._nodes) - 1
            for other in bodies.keys() - {ran}:
                self._leave_out(bodies[other], other, ran is not None)

    def _leave_out(self, body: onnx.GraphProto, path: Path, another_ran: bool) -> None:
        for place, node in enumerate(body.node):
            number = self._first[path] + place
            self._unfolded.unread[number] = NEVER_RUN if another_ran else HIDDEN
            if another_ran:
                self._skipped.add(node.name)
            for inner in graph_attributes(node):
                self._leave_out(inner.g, (*path, (place, inner.name)), another_ran)

    def _branch(
        self, node: onnx.NodeProto, body: onnx.GraphProto, path: Path, names: Mapping[str, str]
    ) -> None:
        """Add the nodes of a branch, and nodes that pass the results on under the If's names."""
        inner = {**names, **self._own_names(node, body, once=True)}
        self._add_constants(body, inner)
        self._visit(body, path, inner)
        results = [inner.get(o.name, o.name) for o in body.output]
        for source, target in zip(results, node.output, strict=False):
            if target:
                self._protos.append(make_node("Identity", [source], [target]))
        self._passing.add(node.name)
        read = tuple(dict.fromkeys((*node.input, *results)))
        self._nodes.append(GraphNode(node.name, "If", read, tuple(filter(None, node.output))))

    def _iteration(
        self, node: onnx.NodeProto, body: onnx.GraphProto, path: Path, names: Mapping[str, str]
    ) -> None:
        """Add the nodes of a Loop's or Scan's body, reading the values of the first iteration."""
        inner = {**names, **self._own_names(node, body, once=False)}
        read = self._loop_reads if node.op_type == "Loop" else self._scan_reads
        for value, source in zip(body.input, read(node, body), strict=False):
            inner[value.name] = source
        self._add_constants(body, inner)
        self._visit(body, path, inner)
        self._results += [inner.get(o.name, o.name) for o in body.output]

    def _loop_reads(self, node: onnx.NodeProto, body: onnx.GraphProto) -> Iterator[str]:
        given = [*node.input, "", ""]
        dims = [len(value.type.tensor_type.shape.dim) for value in body.input[:2]]
        yield self._constant(node, "iteration", np.zeros([1] * dims[0], np.int64))
        yield given[1] or self._constant(node, "condition", np.ones([1] * dims[1], np.bool_))
        yield from node.input[2:]

    def _scan_reads(self, node: onnx.NodeProto, body: onnx.GraphProto) -> Iterator[str]:
        """Names of the states, and of the first slice of each scanned tensor."""
        del body
        states = node.input[: len(node.input) - scanned(node)]
        yield from states
        axes, turned = _ints(node, "scan_input_axes"), _ints(node, "scan_input_directions")
        for i, name in enumerate(node.input[len(states) :]):
            first = np.array(-1 if turned[i : i + 1] == [1] else 0, np.int64)
            index, part = self._constant(node, f"first {i}", first), self._new(node, f"slice {i}")
            axis = axes[i] if i < len(axes) else 0
            self._protos.append(make_node("Gather", [name, index], [part], axis=axis))
            yield part

    def _own_names(self, node: onnx.NodeProto, body: onnx.GraphProto, once: bool) -> dict[str, str]:
        return {
            name: name if once and self._defined[name] == 1 else self._new(node, name)
            for name in _names(body)
        }

    def _new(self, node: onnx.NodeProto, name: str) -> str:
        made = f"{node.name or node.op_type}/{name}"
        while made in self._defined:
            made += "'"
        self._defined[made] += 1
        return made

    def _constant(self, node: onnx.NodeProto, name: str, value: np.ndarray) -> str:
        made = self._new(node, name)
        self._made.graph.initializer.append(numpy_helper.from_array(value, made))
        return made

    def _add_constants(self, body: onnx.GraphProto, names: Mapping[str, str]) -> None:
        for tensor in body.initializer:
            self._made.graph.initializer.add().CopyFrom(tensor)
            self._made.graph.initializer[-1].name = names[tensor.name]
        for sparse in body.sparse_initializer:
            self._made.graph.sparse_initializer.add().CopyFrom(sparse)
            self._made.graph.sparse_initializer[-1].values.name = names[sparse.values.name]


def _number(graph: onnx.GraphProto, path: Path, start: int, numbers: dict[Path, int]) -> int:
    """Number a graph's nodes, then those of the bodies; returns the next free number."""
    numbers[path] = start
    after = start + len(graph.node)
    for place, node in enumerate(graph.node):
        for body in graph_attributes(node):
            after = _number(body.g, (*path, (place, body.name)), after, numbers)
    return after


def scanned(node: onnx.NodeProto) -> int:
    """The number of a Scan's inputs that are scanned; these are the last ones."""
    return next((a.i for a in node.attribute if a.name == "num_scan_inputs"), 0)


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [])


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of the tensors that a graph defines, inputs left out."""
    yield from (name for node in graph.node for name in node.output if name)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)


def _every_name(graph: onnx.GraphProto) -> Iterator[str]:
    yield from _names(graph)
    yield from (value.name for value in graph.input)
    for node in graph.node:
        for body in graph_attributes(node):
            yield from _every_name(body.g)


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of a node with renamed tensors, subgraphs included."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    made.input[:] = [names.get(name, name) for name in node.input]
    made.output[:] = [names.get(name, name) for name in node.output]
    for body in graph_attributes(made):
        _rename(body.g, names)
    return made


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    own = {*_names(graph), *(value.name for value in graph.input)}
    captured = {name: new for name, new in names.items() if name not in own and name != new}
    if not captured:
        return
    for i, node in enumerate(graph.node):
        graph.node[i].CopyFrom(renamed(node, captured))
    for value in graph.output:
        value.name = captured.get(value.name, value.name)
