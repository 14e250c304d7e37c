"""Branches that do not run at the sizes that were inferred."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from onnxprof.model.graph.outline import Outline, Step
from onnxprof.model.shapes.rules.scope import Scope

BRANCHES = ("then_branch", "else_branch")


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
    runs = branch(scope.value_of(step.inputs[0]))
    return runs is not None and step.bodies[position][0] != BRANCHES[runs]


def branch(condition: NDArray[Any] | None) -> int | None:
    """Which branch of an If runs, 0 for the first; None where its condition is not known."""
    if condition is None or condition.size != 1 or condition.dtype == object:
        return None
    return 0 if condition.flat[0] else 1
