"""Static types of every tensor of a model at the sizes that its inputs declare."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto

from onnxprof.model.graph.outline import Outline, outline
from onnxprof.model.shapes.engine import Engine
from onnxprof.model.shapes.rules.scope import Scope, shape_of, type_name
from onnxprof.records.layer import Shape

#: Contradictions that are put into words; one is enough to disbelieve a file.
_SHOWN = 3


def infer(model: ModelProto, trust_declared: bool = True, nodes: Outline | None = None) -> Scope:
    """Types of every tensor at the sizes that the model's inputs declare.

    `trust_declared` lets declared intermediate types fill in what inference cannot know;
    leave it off where the model was rewritten and they may be stale. They are not used either
    where one of them contradicts what follows from the graph: `disbelieved` says which. Never
    raises for a model that inference cannot handle: what it cannot know stays unknown. `nodes` is
    the outline of the model's graph, or of one with equal nodes; read here where it is not given.
    """
    graph = outline(model.graph) if nodes is None else nodes.onto(model.graph)
    scope = Engine(model, trusted=False).run(graph)
    if not trust_declared:
        return scope
    wrong = list(_contradictions(graph, scope))
    if wrong:
        scope.disbelieved = tuple(wrong[:_SHOWN])
        return scope
    return scope if _all_known(graph, scope) else Engine(model, True).run(graph)


def _contradictions(graph: Outline, scope: Scope) -> Iterator[str]:
    """Tensors whose declared sizes contradict those inferred from the inputs, in words."""
    for value in (*graph.graph.value_info, *graph.graph.output):
        known, declared = scope.shape(value.name), shape_of(value.type)
        if known is not None and declared is not None and _differ(known, declared):
            yield (
                f"{value.name!r} is declared as {_words(declared)}, "
                f"and is {_words(known)} by its graph"
            )
    for index, position, body in graph.inner():
        yield from _contradictions(body, scope.inner[index, position])


def _differ(a: Shape, b: Shape) -> bool:
    a, b = a or (), b or ()
    sizes = zip(a, b, strict=False)
    unequal = (isinstance(x, int) and isinstance(y, int) and x != y for x, y in sizes)
    return len(a) != len(b) or any(unequal)


def _words(shape: Shape) -> str:
    return "[" + ",".join("?" if d is None else str(d) for d in shape or ()) + "]"


def _all_known(graph: Outline, scope: Scope) -> bool:
    """Whether every shape is known, so that declarations would add nothing."""
    find = scope.finder()
    made = {find(name) for step in graph.steps for name in step.outputs if name}
    return all(held is not None and held.is_whole for held in made) and all(
        _all_known(body, scope.inner[index, position]) for index, position, body in graph.inner()
    )


__all__ = ["Scope", "infer", "shape_of", "type_name"]
