"""Static types of every tensor of a model at the sizes that its inputs declare."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, ModelProto

from onnxprof.model.graph.walk import subgraphs
from onnxprof.model.shapes.engine import Engine
from onnxprof.model.shapes.rules.scope import Scope, shape_of, type_name
from onnxprof.records.layer import Shape

#: Contradictions that are put into words; one is enough to disbelieve a file.
_SHOWN = 3


def infer(model: ModelProto, trust_declared: bool = True) -> Scope:
    """Types of every tensor at the sizes that the model's inputs declare.

    `trust_declared` lets declared intermediate types fill in what inference cannot know;
    leave it off where the model was rewritten and they may be stale. They are not used either
    where one of them contradicts what follows from the graph: `disbelieved` says which. Never
    raises for a model that inference cannot handle: what it cannot know stays unknown.
    """
    scope = Engine(model, trusted=False).run(model.graph)
    if not trust_declared:
        return scope
    wrong = list(_contradictions(model.graph, scope))
    if wrong:
        scope.disbelieved = tuple(wrong[:_SHOWN])
        return scope
    return scope if _all_known(model.graph, scope) else Engine(model, True).run(model.graph)


def _contradictions(graph: GraphProto, scope: Scope) -> Iterator[str]:
    """Tensors whose declared sizes contradict those inferred from the inputs, in words."""
    for value in (*graph.value_info, *graph.output):
        known, declared = scope.shape(value.name), shape_of(value.type)
        if known is not None and declared is not None and _differ(known, declared):
            yield (
                f"{value.name!r} is declared as {_words(declared)}, "
                f"and is {_words(known)} by its graph"
            )
    for index, node in enumerate(graph.node):
        for position, (_, inner) in enumerate(subgraphs(node)):
            yield from _contradictions(inner, scope.inner[index, position])


def _differ(a: Shape, b: Shape) -> bool:
    a, b = a or (), b or ()
    sizes = zip(a, b, strict=False)
    unequal = (isinstance(x, int) and isinstance(y, int) and x != y for x, y in sizes)
    return len(a) != len(b) or any(unequal)


def _words(shape: Shape) -> str:
    return "[" + ",".join("?" if d is None else str(d) for d in shape or ()) + "]"


def _all_known(graph: GraphProto, scope: Scope) -> bool:
    """Whether every shape is known, so that declarations would add nothing."""
    names = (name for node in graph.node for name in node.output if name)
    whole = all((shape := scope.shape(name)) is not None and None not in shape for name in names)
    return whole and all(
        _all_known(inner, scope.inner[index, position])
        for index, node in enumerate(graph.node)
        for position, (_, inner) in enumerate(subgraphs(node))
    )


__all__ = ["Scope", "infer", "shape_of", "type_name"]
