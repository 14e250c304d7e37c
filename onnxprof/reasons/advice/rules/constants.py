"""Parts of the graph that follow from constants, and were computed all the same."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Finding, Rewrite
from onnxprof.reasons.advice.base.rule import REMOVED, Rule


def _unfolded(case: Case) -> Iterator[Finding]:
    steps = [n for n in range(len(case.step_ns)) if _is_constant(case, n)]
    if steps:
        yield Finding(
            "unfolded-constants",
            f"{len(steps)} × a step that computes what no input of the model changes",
            "Compute them once and store the results as initializers",
            *(case.layers_of(steps), tuple(steps), case.times(steps)),
            case.gain_of_removal(steps),
            rewrite=Rewrite.CONSTANTS,
        )


def _is_constant(case: Case, number: int) -> bool:
    layers = [case.layers.get(name) for name in case.run.steps[number].layers]
    return bool(layers) and all(
        layer is not None
        and layer.op_type != "Constant"
        and layer.outputs
        and all(t.name in case.constants for t in layer.outputs)
        for layer in layers
    )


RULES = (
    Rule(
        "unfolded-constants",
        "executed steps all of whose inputs follow from constants",
        REMOVED,
        _unfolded,
    ),
)
