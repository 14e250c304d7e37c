"""Recognising batch axes in a graph whose inputs have a prime number as their batch."""

from __future__ import annotations

import math
from functools import lru_cache

from onnxprof.model.graph.outline import Outline
from onnxprof.model.graph.walk import captured
from onnxprof.model.rebatch.axes import BatchAxes
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.records.layer import Shape

#: Operators that depend on a tensor's shape, not on its contents.
ABOUT = ("Shape", "Size")


def scopes(graph: Outline, scope: Scope) -> list[Scope]:
    """The scope of each node, in walk order."""
    found: list[Scope] = []
    done = 0
    for index, position, body in graph.inner():
        found += [scope] * (index + 1 - done)
        found += scopes(body, scope.inner[index, position])
        done = index + 1
    return found + [scope] * (len(graph.steps) - done)


def dependent(graph: Outline, batch: BatchAxes) -> set[str]:
    """Tensors whose contents depend on inputs with a batch, other than through shapes."""
    names = {name for name, _ in (*batch.axes, *batch.scaled)}
    _spread(graph, names)
    return names


def _spread(graph: Outline, names: set[str]) -> None:
    for step in graph.steps:
        needs = (*step.inputs, *captured(step.node)) if step.bodies else step.inputs
        if step.op_type in ABOUT or names.isdisjoint(needs):
            continue
        names.update(step.outputs)
        for _, body in step.bodies:
            names.update(i.name for i in body.graph.input)
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
