"""The least possible latency of a network: its steps at their ceilings, added up.

Four sums, none of which is above the one before it in the same order of execution: with the fusion
that ran and with perfect fusion, in sequence and along the critical path. With perfect fusion, only
layers with multiply-accumulates are left as work of their own; all others (activations, sums,
normalisations, copies) ride along with what produces their input and cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprof.analysis.once import once
from onnxprof.reasons import ceilings as derived
from onnxprof.reasons.roofline import Rates, Roofline, step_rows
from onnxprof.reasons.work import Costs, Work, work_of_layer


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of a run's latency, in nanoseconds."""

    measured_ns: int
    """The un-profiled median, less interruptions where these are known."""
    call_ns: float
    """An empty call, which is in all of the bounds."""
    in_sequence_ns: float
    critical_path_ns: float
    """As if branches ran at the same time, each as fast as if it were alone."""
    fused_in_sequence_ns: float
    fused_critical_path_ns: float
    at_least: bool
    """Whether the cost of some step is unknown, so that the true bounds may be higher."""
    other_algorithms: tuple[str, ...] = ()
    """Steps that may beat their bound by Winograd or FFT."""


def bounds(roofs: Roofline) -> Bounds | None:
    """The bounds of a run; None without ceilings."""
    return once(_bounds, roofs)


def _bounds(roofs: Roofline) -> Bounds | None:
    if roofs.ceilings is None:
        return None
    call = derived.call_ns(roofs.ceilings) or 0.0
    rates, alone = Rates.of(roofs.ceilings), once(_alone, roofs.costs)
    ran = [roof.bound_ns for roof in roofs.roofs]
    names = _layers(roofs)
    fused = [
        min(whole, sum(_anchor_ns(alone[name], rates) for name in members))
        for whole, members in zip(ran, names, strict=True)
    ]
    edges = _edges(names, roofs)
    return Bounds(
        measured_ns=roofs.sums.total_ns - (roofs.sums.interruptions_ns or 0),
        call_ns=call,
        in_sequence_ns=call + sum(ran),
        critical_path_ns=call + _longest(ran, edges),
        fused_in_sequence_ns=call + sum(fused),
        fused_critical_path_ns=call + _longest(fused, edges),
        at_least=any(roof.at_least for roof in roofs.roofs),
        other_algorithms=tuple(roof.name for roof in roofs.roofs if roof.algorithm),
    )


def _layers(roofs: Roofline) -> list[tuple[str, ...]]:
    """The layers of each row, those left out that were computed together with an equal one."""
    steps = [row.step for row in step_rows(roofs.sums)]
    return [
        tuple(n for n in step.layers if n in roofs.costs.costs and n not in step.shared)
        if step
        else ()
        for step in steps
    ]


def _alone(costs: Costs) -> dict[str, Work]:
    """What each layer has to do by itself."""
    return {name: work_of_layer(name, costs) for name in costs.costs}


def _anchor_ns(work: Work, rates: Rates) -> float:
    """The least time of a layer with multiply-accumulates; 0 for any other."""
    if not work.macs:
        return 0.0
    compute, memory = rates.times(work)
    return max(compute or 0.0, memory or 0.0, rates.node_ns or 0.0)


def _edges(names: Sequence[Sequence[str]], roofs: Roofline) -> Mapping[int, frozenset[int]]:
    """Which earlier rows each row waits for, by the tensors between their layers.

    A layer without a row passes on what it waits for. Rows are in the order of execution, and an
    edge against it (a step that was split in two) is left out: the path only gets shorter.
    """
    order = _order(roofs)
    row_of = {name: number for number, members in enumerate(names) for name in members}
    behind: dict[str, frozenset[int]] = {}
    edges: dict[int, set[int]] = defaultdict(set)
    for layer in roofs.run.table.nodes:
        waits = frozenset().union(*(behind.get(t.name, frozenset()) for t in layer.inputs))
        row = row_of.get(layer.name)
        if row is not None:
            edges[row] |= {other for other in waits if order[other] < order[row]}
            waits = frozenset((row,))
        behind |= dict.fromkeys((t.name for t in layer.outputs), waits)
    return {row: frozenset(others) for row, others in edges.items()}


def _order(roofs: Roofline) -> list[tuple[int, int]]:
    """The position of each row in the order of execution."""
    rows = step_rows(roofs.sums)
    return [(row.step.position if row.step else 0, number) for number, row in enumerate(rows)]


def _longest(times: Sequence[float], edges: Mapping[int, frozenset[int]]) -> float:
    """The longest way through rows, by what each takes; edges lead back to earlier rows."""
    done: dict[int, float] = {}
    waiting = list(range(len(times)))
    while waiting:
        row = waiting[-1]
        missing = [other for other in edges.get(row, ()) if other not in done]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        before = max((done[other] for other in edges.get(row, ())), default=0.0)
        done[row] = before + times[row]
    return max(done.values(), default=0.0)
