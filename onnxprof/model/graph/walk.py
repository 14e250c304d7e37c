"""Walking, checking and naming the nodes of an ONNX graph and its subgraphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto

from onnxprof.errors import ModelError
from onnxprof.model.graph import weights
from onnxprof.model.graph.data_files import DataFolder, stored_tensors
from onnxprof.model.graph.outline import Outline, Step, held_graphs, outline

_SHOWN = 8


def subgraphs(node: NodeProto) -> Sequence[tuple[str, GraphProto]]:
    """The graphs that a control-flow node holds, with the attribute that holds each."""
    return list(held_graphs(node)) if node.attribute else ()


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph, then every graph nested in it, outer ones first."""
    yield graph
    for node in graph.node:
        for _, inner in subgraphs(node):
            yield from graphs(inner)


def walk(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node in file order; the nodes of a subgraph follow their control-flow node."""
    for node in graph.node:
        yield node
        for _, inner in subgraphs(node):
            yield from walk(inner)


def initializer_names(graph: GraphProto) -> set[str]:
    """Names of the graph's own stored tensors, sparse ones included."""
    sparse = {s.values.name for s in graph.sparse_initializer}
    return {t.name for t in graph.initializer} | sparse


def true_inputs(graph: GraphProto) -> list[str]:
    """Graph inputs that are not initializers (before IR 4 every initializer is an input too)."""
    stored = initializer_names(graph)
    return [i.name for i in graph.input if i.name not in stored]


def captured(node: NodeProto) -> set[str]:
    """Names of outer tensors that the node's subgraphs read."""
    names: set[str] = set()
    if not node.attribute:
        return names
    for _, graph in subgraphs(node):
        inside = {i.name for i in graph.input} | initializer_names(graph)
        inside.update(name for inner in graph.node for name in inner.output)
        used = {name for inner in graph.node for name in inner.input}
        used.update(output.name for output in graph.output)
        for inner in graph.node:
            used |= captured(inner)
        names |= used - inside
    return names - {""}


def reads(node: NodeProto) -> set[str]:
    """Every tensor the node needs, those that its subgraphs capture included."""
    return ({name for name in node.input if name}) | captured(node)


@dataclass(frozen=True, slots=True)
class Naming:
    """Which nodes of a model were renamed or moved."""

    given: dict[str, str]
    """Layer name to the name in the file (empty where the file gives none)."""
    changed: bool
    """The nodes differ from the file's, in a name or in their order."""


def normalise(
    model: ModelProto, path: Path, nodes: Outline | None = None
) -> tuple[Naming, Outline]:
    """Check the graph, sort its nodes if need be, and give every node a unique name.

    Changes the model in place, whose `nodes` may have been read before; returns them as they are
    then. Raises ModelError for names that are not UTF-8, tensors that are produced twice or
    nowhere, and cycles.
    """
    graph = nodes or outline(model.graph)
    for each in graph.all():
        _check_text(each, path)
    naming = _name_nodes(graph)
    moved = _order(graph, (), path)
    changed = moved or any(name != given for name, given in naming.items())
    return Naming(naming, changed), outline(model.graph) if moved else graph


def check_tensors(model: ModelProto, nodes: Outline, path: Path) -> None:
    """Compare every tensor stored anywhere in the message with its data. Raises ModelError.

    `nodes` are those of the model's graph.
    """
    data = DataFolder.of(path)
    inside = (stored_tensors(step.node) for step in nodes.steps if step.has_attributes)
    rest = (
        stored_tensors(model.graph, frozenset({"node"})),
        stored_tensors(model, frozenset({"graph"})),
    )
    for tensor in chain.from_iterable((*inside, *rest)):
        weights.check(tensor, path, data)


def _check_text(graph: Outline, path: Path) -> None:
    words: list[str] = []
    for step in graph.steps:
        words += (step.node.name, step.op_type, step.domain, *step.inputs, *step.outputs)
        if step.has_attributes:
            words += [attribute.name for attribute in step.node.attribute]
    words += [name for _, name in _names(graph.graph)]
    try:
        "".join(words)
    except TypeError:
        _refuse_text(graph.graph, path)


def _refuse_text(graph: GraphProto, path: Path) -> None:
    for what, name in (*_names(graph), *_node_names(graph)):
        # protobuf hands out bytes where a string field is not UTF-8
        if isinstance(name, bytes):
            raise ModelError(
                f"the {what} name {name!r} is not UTF-8",
                where=str(path),
                remedy="Export the model again with readable names",
            )


def _names(graph: GraphProto) -> Iterator[tuple[str, str]]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield "tensor", value.name
        for dim in value.type.tensor_type.shape.dim:
            yield "dimension", dim.dim_param
    for tensor in graph.initializer:
        yield "initializer", tensor.name


def _node_names(graph: GraphProto) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        yield "node", node.name
        yield "operator", node.op_type
        yield "domain", node.domain
        yield from (("tensor", name) for name in (*node.input, *node.output))
        yield from (("attribute", attribute.name) for attribute in node.attribute)


def _name_nodes(graph: Outline) -> dict[str, str]:
    """Give each node a unique name; returns the file's name by unique name.

    Names from the file take precedence, those of the main graph over those of subgraphs.
    """
    given: dict[str, str] = {}
    waiting: list[Step] = []
    tried: dict[str, int] = {}
    inner = (s for i in graph.controls for _, g in graph.steps[i].bodies for s in g.walk())
    for step in (*graph.steps, *inner):
        name = step.node.name
        if name and name not in given:
            given[name] = name
        else:
            waiting.append(step)
    for step in waiting:
        node = step.node
        wanted = node.name or next((o for o in step.outputs if o), step.op_type)
        name = unused(wanted, given.__contains__, tried)
        given[name] = node.name
        node.name = name
    return given


def unused(wanted: str, taken: Callable[[str], bool], tried: dict[str, int] | None = None) -> str:
    """The name itself, or with the first suffix `#2`, `#3`, … that makes it new.

    `tried` remembers where to go on, so that naming many nodes alike stays linear.
    """
    name, count = wanted, 1
    while taken(name):
        count = max(count, tried.get(wanted, 1) if tried is not None else 1) + 1
        name = f"{wanted}#{count}"
    if tried is not None:
        tried[wanted] = count
    return name


def _order(graph: Outline, outer: tuple[set[str], ...], path: Path) -> bool:
    """Sort the nodes of a graph and its subgraphs topologically; returns whether any moved.

    `outer` are the names that each graph around this one provides, innermost last.
    """
    message = graph.graph
    stored = initializer_names(message)
    _check_single_producer(graph, stored | set(true_inputs(message)), path)
    own = stored | {i.name for i in message.input}
    moved = not _is_sorted(graph, own, outer)
    if moved:
        _sort(message, own.union(*outer), path)
    own.update(*(step.outputs for step in graph.steps))
    around = (*outer, own)
    for output in message.output:
        if not any(output.name in names for names in around):
            raise ModelError(f"nothing produces the output {output.name!r}", where=str(path))
    # the nodes of a graph that was sorted are copies
    for _, _, inner in (outline(message) if moved else graph).inner():
        moved = _order(inner, around, path) or moved
    return moved


def _sort(graph: GraphProto, given: set[str], path: Path) -> None:
    needs = [reads(node) for node in graph.node]
    nodes = [graph.node[i] for i in _sorted_indices(graph, needs, given, path)]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _check_single_producer(graph: Outline, given: set[str], path: Path) -> None:
    made = [name for step in graph.steps for name in step.outputs if name]
    if len(given.union(made)) == len(given) + len(made):
        return
    seen = set(given)
    for step in graph.steps:
        for name in step.outputs:
            if name and name in seen:
                raise ModelError(
                    f"the tensor {name!r} is produced twice, "
                    f"the second time by node {step.node.name!r}",
                    where=str(path),
                    remedy="Every tensor may have one producer; export the model again",
                )
            seen.add(name)


def _is_sorted(graph: Outline, given: set[str], outer: tuple[set[str], ...]) -> bool:
    ready = {*given, ""}
    for step in graph.steps:
        needs = (*step.inputs, *captured(step.node)) if step.bodies else step.inputs
        if not ready.issuperset(needs):
            missing = set(needs) - ready
            if not all(any(name in names for names in outer) for name in missing):
                return False
        ready.update(step.outputs)
    return True


def _sorted_indices(
    graph: GraphProto, needs: list[set[str]], given: set[str], path: Path
) -> list[int]:
    producer = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    waits: list[set[int]] = []
    followers: list[list[int]] = [[] for _ in needs]
    for i, need in enumerate(needs):
        missing = sorted(name for name in need - given if name not in producer)
        if missing:
            raise ModelError(
                f"node {graph.node[i].name!r} reads {missing[0]!r}, which nothing produces",
                where=str(path),
                remedy="Export the model again",
            )
        waits.append({producer[name] for name in need - given})
        for before in waits[i]:
            followers[before].append(i)
    return _kahn(graph, waits, followers, path)


def _kahn(
    graph: GraphProto, waits: list[set[int]], followers: list[list[int]], path: Path
) -> list[int]:
    import heapq

    left = [len(w) for w in waits]
    ready = [i for i, count in enumerate(left) if count == 0]
    order: list[int] = []
    while ready:
        at = heapq.heappop(ready)
        order.append(at)
        for follower in followers[at]:
            left[follower] -= 1
            if left[follower] == 0:
                heapq.heappush(ready, follower)
    if len(order) < len(waits):
        _refuse_cycle(graph, waits, {i for i, count in enumerate(left) if count}, path)
    return order


def _refuse_cycle(graph: GraphProto, waits: list[set[int]], stuck: set[int], path: Path) -> None:
    trail: list[int] = []
    at = min(stuck)
    while at not in trail:
        trail.append(at)
        at = min(waits[at] & stuck)
    cycle = [graph.node[i].name for i in reversed(trail[trail.index(at) :])]
    names = " -> ".join(cycle[:_SHOWN] + (["…"] if len(cycle) > _SHOWN else cycle[:1]))
    raise ModelError(
        f"the graph has a cycle: {names}",
        where=str(path),
        remedy="No runtime can order these nodes; export the model again",
    )
