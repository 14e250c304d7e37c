"""Time that goes to calls rather than to work."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Figure, Finding, Gain, Unit
from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.reasons.roofline import Binding

#: The part of the latency from which on overhead binds a network, and of a step's time its call.
_BOUND, _MOSTLY = 1 / 3, 0.5


def _calls(case: Case) -> Iterator[tuple[tuple[int, ...], float]]:
    """Steps that no more than a call's cost binds, with that cost; where ceilings are stored."""
    if case.ceilings is None or not case.step_ns:
        return
    for roof, steps in case.roof_steps():
        if roof.binding is Binding.OVERHEAD and roof.node_ns and roof.time_ns and steps:
            yield steps, roof.node_ns


def _mostly_calls(case: Case) -> Iterator[Finding]:
    small = [
        (steps, node_ns)
        for steps, node_ns in _calls(case)
        if 0 < case.time_ns(steps) <= node_ns / _MOSTLY
    ]
    steps = tuple(n for numbers, _ in small for n in numbers)
    if not steps:
        return
    high = sum(min(node_ns, case.time_ns(numbers)) for numbers, node_ns in small)
    yield Finding(
        "call-overhead",
        f"{len(steps)} × a step that takes little more than a call does",
        "Use a larger batch, or have them fused: by another runtime, or by writing them as fewer"
        " layers",
        *(case.layers_of(steps), steps),
        (*case.times(steps), Figure("a node that does nothing", small[0][1], Unit.NS)),
        Gain(0.0, high * (1 + case.spread(steps))),
    )


def _launch_bound(case: Case) -> Iterator[Finding]:
    sums = case.sums
    if not sums.is_whole or not case.step_ns or case.total_ns <= 0:
        return
    steps = tuple(n for numbers, _ in _calls(case) for n in numbers)
    outside = max(0, sums.overhead_ns)
    bound = outside + case.time_ns(steps)
    if bound <= _BOUND * case.total_ns:
        return
    spared = max(0.0, outside - (sums.empty_ns or 0))
    calls = sum(min(node_ns, case.time_ns(numbers)) for numbers, node_ns in _calls(case))
    yield Finding(
        "launch-bound",
        f"{100 * bound / case.total_ns:.0f} % of the latency goes to calls, not to work",
        "Use a larger batch, fewer and larger layers, or a mode that replays the whole network at"
        " once (CUDA graphs, --provider compile)",
        *(case.layers_of(steps), steps),
        (
            Figure("outside of the steps", outside, Unit.NS),
            Figure("steps bound by their call", len(steps), Unit.COUNT),
            Figure("their time", case.time_ns(steps), Unit.NS),
            *([Figure("an empty call", sums.empty_ns, Unit.NS)] if sums.empty_ns else []),
        ),
        Gain(0.0, spared + calls),
    )


RULES = (
    Rule(
        "call-overhead",
        "steps of which a call takes half of the time or more, where ceilings are stored",
        "0 to one call for each",
        _mostly_calls,
    ),
    Rule(
        "launch-bound",
        "networks whose overhead and steps bound by their call are above a third of the latency",
        "0 to the overhead beyond an empty call and one call for each of those steps",
        _launch_bound,
    ),
)
