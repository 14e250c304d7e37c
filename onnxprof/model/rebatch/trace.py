"""Recognising batch axes in a graph whose inputs have a prime number as their batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from onnx import GraphProto

from onnxprof.model.graph.walk import captured, subgraphs
from onnxprof.model.rebatch.axes import BatchAxes
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.records.layer import Shape

#: Operators that depend on a tensor's shape, not on its contents.
ABOUT = ("Shape", "Size")


def scopes(graph: GraphProto, scope: Scope) -> Iterator[Scope]:
    """The scope of each node, in walk order."""
    for index, node in enumerate(graph.node):
        yield scope
        for position, (_, inner) in enumerate(subgraphs(node)):
            yield from scopes(inner, scope.inner[index, position])


def dependent(graph: GraphProto, batch: BatchAxes) -> set[str]:
    """Tensors whose contents depend on inputs with a batch, other than through shapes."""
    names = {name for name, _ in (*batch.axes, *batch.scaled)}
    _spread(graph, names)
    return names


def _spread(graph: GraphProto, names: set[str]) -> None:
    for node in graph.node:
        if node.op_type in ABOUT or not names.intersection((*node.input, *captured(node))):
            continue
        names.update(node.output)
        for _, body in subgraphs(node):
            names.update(i.name for i in body.input)
            _spread(body, names)


@lru_cache(maxsize=4096)
def marks(shape: Shape, prime: int) -> tuple[int, ...]:
    """The axes whose size is a multiple of the prime."""
    sizes = enumerate(shape or ())
    return tuple(i for i, d in sizes if isinstance(d, int) and d and d % prime == 0)


@lru_cache(maxsize=4096)
def count(shape: Shape) -> int | None:
    """The number of elements; None where an axis is not known."""
    sizes = [d for d in shape or () if isinstance(d, int)]
    return math.prod(sizes) if shape is not None and len(sizes) == len(shape) else None
