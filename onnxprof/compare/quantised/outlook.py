"""What becomes of a node's output: tells apart layers that read the same, without names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnxprof.compare.quantised.graph import Graph
from onnxprof.compare.quantised.operators import ABSORBED, QUANTISERS, float_operator
from onnxprof.records.layer import Layer

#: How many layers ahead.
_DEPTH = 6
#: The attribute that tools neither add nor write otherwise.
_KEPT = ("perm",)


def outlooks(graph: Graph) -> Mapping[str, tuple[int, ...]]:
    """For each node a number a depth: equal where the same layers follow, that many ahead.

    Layers that a quantised kernel may take in, and those that convert, do not count. (A
    Weisfeiler-Lehman colouring along the edges.)
    """
    nodes = [n for n in graph.nodes if not graph.is_fixed(n) and not _is_passed(graph, n)]
    after = {n.name: list(_following(graph, n)) for n in nodes}
    colour = {n.name: hash((float_operator(n.op_type), *_attributes(n))) for n in nodes}
    first, found = dict(colour), {n.name: [colour[n.name]] for n in nodes}
    for _ in range(_DEPTH):
        colour = {
            name: hash((first[name], *sorted((at, colour[then]) for at, then in after[name])))
            for name in colour
        }
        for name, value in colour.items():
            found[name].append(value)
    return {name: tuple(values) for name, values in found.items()}


def depth(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """How far ahead the same follows."""
    return sum(x == y for x, y in zip(a, b, strict=False))


def _attributes(node: Layer) -> Iterator[str]:
    told = dict(node.attributes)
    return (told.get(name, "") for name in _KEPT)


def _is_passed(graph: Graph, node: Layer) -> bool:
    light = node.op_type in ABSORBED and len(graph.data(node)) < 2
    return light or node.op_type in QUANTISERS


def _following(graph: Graph, node: Layer) -> Iterator[tuple[int, str]]:
    """(position among the data inputs, name) of the readers that count."""
    for reader, tensor in _read(graph, [t.name for t in node.outputs]):
        yield graph.data(reader).index(tensor), reader.name


def followers(graph: Graph, tensors: list[str]) -> Iterator[Layer]:
    """The readers of tensors that count, behind those that do not."""
    return (reader for reader, _ in _read(graph, tensors))


def _read(graph: Graph, tensors: list[str]) -> Iterator[tuple[Layer, str]]:
    waiting, seen = list(tensors), set[str]()
    while waiting:
        tensor = waiting.pop()
        for reader in graph.readers.get(tensor, ()):
            if tensor not in graph.data(reader):
                continue
            if not _is_passed(graph, reader):
                yield reader, tensor
            elif reader.name not in seen:
                seen.add(reader.name)
                waiting += [t.name for t in reader.outputs]
