"""Layers far below what the device sustains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.reasons.roofline import Binding

#: Steps that attain less of their ceiling are far below it, if they are this much of the latency.
FAR, LEAST_SHARE = 0.3, 0.01


def _far(case: Case) -> Iterator[Finding]:
    if case.ceilings is None or not case.step_ns or not case.total_ns:
        return
    known = [(roof, steps) for roof, steps in case.roof_steps() if roof.fraction and steps]
    usual: dict[str, list[float]] = defaultdict(list)
    for roof, steps in known:
        usual[case.run.steps[steps[0]].op_type].append(roof.fraction or 0.0)
    for roof, steps in known:
        ns, fraction = case.time_ns(steps), roof.fraction or 0.0
        if fraction >= FAR or ns < LEAST_SHARE * case.total_ns or roof.binding is Binding.OVERHEAD:
            continue
        operator = case.run.steps[steps[0]].op_type
        typical = float(np.median(usual[operator]))
        spread = case.spread(steps)
        least = max(0.0, 1 - fraction / typical) if typical else 0.0
        yield Finding(
            "below-ceiling",
            f"{operator} {roof.name} attains {100 * fraction:.0f} % of its {roof.bound} ceiling",
            "Write it out with `onnxprof repro` and try other shapes, layouts or kernels",
            (case.layers_of(steps)),
            steps,
            (
                *case.times(steps),
                Figure("its bound", roof.bound_ns, Unit.NS),
                Figure("of its ceiling", fraction, Unit.FRACTION),
                Figure(f"the median of {operator} steps", typical, Unit.FRACTION),
            ),
            Gain(ns * least * (1 - spread), max(0.0, ns * (1 + spread) - roof.bound_ns)),
        )


RULES = (
    Rule(
        "below-ceiling",
        "steps of 1 % of the latency or more below 30 % of their ceiling, where ceilings are"
        " stored; of those that no call's cost binds",
        "from what the median step of that operator attains (0 if it is that one) to the ceiling",
        _far,
    ),
)
