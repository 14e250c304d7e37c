"""Branches that do not run at the sizes that were inferred."""

from __future__ import annotations

from onnxprof.model.graph.outline import Outline, Step
from onnxprof.model.shapes.rules.scope import Scope


def idle(graph: Outline, scope: Scope) -> set[int]:
    """The ids of the steps in branches whose condition is known to choose the other one."""
    found: set[int] = set()
    for index, position, body in graph.inner():
        if is_idle(graph.steps[index], position, scope):
            found.update(map(id, body.walk()))
        else:
            found |= idle(body, scope.inner[index, position])
    return found


def is_idle(step: Step, position: int, scope: Scope) -> bool:
    """Whether a graph that a node holds is a branch that is known not to run."""
    if step.op_type != "If" or not step.inputs:
        return False
    chosen = scope.value_of(step.inputs[0])
    if chosen is None or chosen.size != 1 or chosen.dtype == object:
        return False
    return step.bodies[position][0] != ("then_branch" if chosen.flat[0] else "else_branch")
