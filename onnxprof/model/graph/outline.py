"""A graph's nodes as plain Python values, read from their messages once.

Reading a field of a protobuf message makes a new object each time; what walks a graph of many
nodes more than once walks its outline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from onnx import GraphProto, NodeProto

#: Attributes of more bytes are tensors, which few nodes share.
_MOST_BYTES = 4096


class Form:
    """What nodes with equal operators, attributes and patterns of operands have in common."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Step:
    """A node with the fields that are read most."""

    node: NodeProto
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    has_attributes: bool
    bodies: tuple[tuple[str, Outline], ...] = ()
    """The graphs that a control-flow node holds, with the attribute that holds each."""
    form: Form | None = None
    """Set by `assign_forms`; None for a node with bodies."""


@dataclass(slots=True, eq=False)
class Outline:
    """The nodes of one graph, in file order."""

    graph: GraphProto
    steps: list[Step]
    controls: tuple[int, ...] = field(init=False)
    """Positions of the nodes that hold graphs."""

    def __post_init__(self) -> None:
        self.controls = tuple(i for i, step in enumerate(self.steps) if step.bodies)

    def inner(self) -> Iterator[tuple[int, int, Outline]]:
        """(node's position, graph's position among the node's graphs, graph) of each body."""
        for index in self.controls:
            for position, (_, body) in enumerate(self.steps[index].bodies):
                yield index, position, body

    def all(self) -> Iterator[Outline]:
        """The outline, then that of every graph nested in it, outer ones first."""
        yield self
        for _, _, body in self.inner():
            yield from body.all()

    def walk(self) -> Iterable[Step]:
        """Every node in file order; the nodes of a body follow their control-flow node."""
        return self._nested() if self.controls else self.steps

    def _nested(self) -> Iterator[Step]:
        for step in self.steps:
            yield step
            for _, body in step.bodies:
                yield from body.walk()

    def onto(self, graph: GraphProto) -> Outline:
        """The outline of a graph with equal nodes, and other types of inputs and outputs."""
        if self.graph is graph:
            return self
        if not self.controls:
            return Outline(graph, self.steps)
        steps = list(self.steps)
        for index in self.controls:
            old, node = steps[index], graph.node[index]
            pairs = zip(old.bodies, held_graphs(node), strict=True)
            bodies = tuple((name, body.onto(inner)) for (name, body), (_, inner) in pairs)
            steps[index] = Step(
                node, old.op_type, old.domain, old.inputs, old.outputs, True, bodies
            )
        return Outline(graph, steps)


def outline(graph: GraphProto) -> Outline:
    """Read a graph's nodes."""
    return Outline(graph, steps(graph.node))


def steps(nodes: Iterable[NodeProto]) -> list[Step]:
    """Read nodes, with the graphs that they hold."""
    return [_step(node) for node in nodes]


def _step(node: NodeProto) -> Step:
    attributes = node.attribute
    step = Step(
        node,
        node.op_type,
        node.domain,
        tuple(node.input),
        tuple(node.output),
        bool(attributes),
    )
    if attributes and any(a.HasField("g") or a.graphs for a in attributes):
        step.bodies = tuple((name, outline(inner)) for name, inner in held_graphs(node))
    return step


def held_graphs(node: NodeProto) -> Iterator[tuple[str, GraphProto]]:
    """The graphs that a node's attributes hold, with the attribute that holds each."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for graph in attribute.graphs:
            yield attribute.name, graph


class Reading:
    """The outline of one model's graph, read when it is first used; not pickled."""

    def __init__(self, graph: Outline | None = None) -> None:
        self._graph = graph

    def of(self, graph: GraphProto) -> Outline:
        """The outline; `graph` is the same at every call."""
        if self._graph is None:
            self._graph = outline(graph)
        return self._graph

    def __reduce__(self) -> tuple[type[Reading], tuple[()]]:
        return Reading, ()


def assign_forms(graph: Outline) -> None:
    """Set the form of every node that has none, equal forms as one object."""
    known: dict[object, Form] = {}
    for step in graph.walk():
        if step.form is None and not step.bodies:
            key = _content(step)
            step.form = Form() if key is None else known.setdefault(key, Form())


def _content(step: Step) -> object:
    """All that determines a form; None for a node with large attributes."""
    attributes: tuple[bytes, ...] = ()
    if step.has_attributes:
        held = step.node.attribute
        attributes = tuple([a.SerializeToString(deterministic=True) for a in held])
        if sum(map(len, attributes)) > _MOST_BYTES:
            return None
    made = len(step.outputs) if all(step.outputs) else tuple(map(bool, step.outputs))
    return step.op_type, step.domain, attributes, _pattern(step.inputs), made


def _pattern(names: Sequence[str]) -> int | tuple[int, ...]:
    """The count of names that all differ, else each one's first place; -1 for those left out."""
    if len(names) == 1 and names[0]:
        return 1
    if len(set(names)) == len(names) and "" not in names:
        return len(names)
    first: dict[str, int] = {}
    return tuple(first.setdefault(n, i) if n else -1 for i, n in enumerate(names))
