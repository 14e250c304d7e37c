"""Walking, checking and naming the nodes of an ONNX graph and its subgraphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from onnxprof.errors import ModelError
from onnxprof.model.graph import weights
from onnxprof.model.graph.data_files import DataFolder, stored_tensors

_SHOWN = 8


def subgraphs(node: NodeProto) -> Sequence[tuple[str, GraphProto]]:
    """The graphs that a control-flow node holds, with the attribute that holds each."""
    if not node.attribute:
        return ()
    return [pair for attribute in node.attribute for pair in _held_by(attribute)]


def _held_by(attribute: AttributeProto) -> Iterator[tuple[str, GraphProto]]:
    if attribute.HasField("g"):
        yield attribute.name, attribute.g
    for graph in attribute.graphs:
        yield attribute.name, graph


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


def normalise(model: ModelProto, path: Path) -> Naming:
    """Check the graph, sort its nodes if need be, and give every node a unique name.

    Changes the model in place. Raises ModelError for names that are not UTF-8, tensors that
    are produced twice or nowhere, and cycles.
    """
    for graph in graphs(model.graph):
        _check_text(graph, path)
    naming = _name_nodes(model.graph)
    moved = _order(model.graph, set(), path)
    return Naming(naming, moved or any(name != given for name, given in naming.items()))


def check_tensors(model: ModelProto, path: Path) -> None:
    """Compare every tensor stored anywhere in the message with its data. Raises ModelError."""
    data = DataFolder.of(path)
    for tensor in stored_tensors(model):
        weights.check(tensor, path, data)


def _check_text(graph: GraphProto, path: Path) -> None:
    for what, name in _names(graph):
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
    for node in graph.node:
        yield "node", node.name
        yield "operator", node.op_type
        yield "domain", node.domain
        yield from (("tensor", name) for name in (*node.input, *node.output))
        yield from (("attribute", attribute.name) for attribute in node.attribute)


def _name_nodes(graph: GraphProto) -> dict[str, str]:
    """Give each node a unique name; returns the file's name by unique name.

    Names from the file take precedence, those of the main graph over those of subgraphs.
    """
    top = list(graph.node)
    inner = [n for node in top for _, g in subgraphs(node) for n in walk(g)]
    nodes = top + inner
    given: dict[str, str] = {}
    waiting: list[NodeProto] = []
    tried: dict[str, int] = {}
    for node in nodes:
        if node.name and node.name not in given:
            given[node.name] = node.name
        else:
            waiting.append(node)
    for node in waiting:
        wanted = node.name or next((o for o in node.output if o), node.op_type)
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


def _order(graph: GraphProto, outer: set[str], path: Path) -> bool:
    """Sort the nodes of a graph and its subgraphs topologically; returns whether any moved."""
    given = outer | {i.name for i in graph.input} | initializer_names(graph)
    _check_single_producer(graph, initializer_names(graph) | set(true_inputs(graph)), path)
    needs = [reads(node) for node in graph.node]
    moved = not _is_sorted(graph, needs, given)
    if moved:
        order = _sorted_indices(graph, needs, given, path)
        nodes = [graph.node[i] for i in order]
        copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    everything = given | {name for node in graph.node for name in node.output}
    for output in graph.output:
        if output.name not in everything:
            raise ModelError(f"nothing produces the output {output.name!r}", where=str(path))
    for node in graph.node:
        for _, inner in subgraphs(node):
            moved = _order(inner, everything, path) or moved
    return moved


def _check_single_producer(graph: GraphProto, given: set[str], path: Path) -> None:
    seen = set(given)
    for node in graph.node:
        for name in node.output:
            if name and name in seen:
                raise ModelError(
                    f"the tensor {name!r} is produced twice, the second time by node {node.name!r}",
                    where=str(path),
                    remedy="Every tensor may have one producer; export the model again",
                )
            seen.add(name)


def _is_sorted(graph: GraphProto, needs: list[set[str]], given: set[str]) -> bool:
    ready = set(given)
    for node, need in zip(graph.node, needs, strict=True):
        if not need <= ready:
            return False
        ready.update(node.output)
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
