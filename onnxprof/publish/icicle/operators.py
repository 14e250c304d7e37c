"""The time of a run by operator: a fused step counts as what does most of its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprof.analysis.reconcile import Status, TimedRow
from onnxprof.publish.drawing.plot import COMPUTE

#: Operators that are listed; the others are one line.
MOST = 8


@dataclass(frozen=True, slots=True)
class Sum:
    """Steps of one operator, and the time that they take together."""

    operator: str
    ns: int
    steps: int


def by_operator(rows: Sequence[TimedRow]) -> list[Sum]:
    """The operators of the steps that have a time, those that take longest first."""
    operators = {row.layer.name: row.layer.op_type for row in rows if row.layer}
    found: dict[str, Sum] = {}
    for row in rows:
        if row.step and row.median_ns is not None and row.status is not Status.FUSED:
            name = operator(row, operators)
            old = found.get(name, Sum(name, 0, 0))
            found[name] = Sum(name, old.ns + row.median_ns, old.steps + 1)
    return sorted(found.values(), key=lambda each: -each.ns)


def shown(sums: Sequence[Sum]) -> list[Sum]:
    """The first of them, the others as one where there are several."""
    if len(sums) <= MOST + 1:
        return list(sums)
    rest = sums[MOST:]
    ns, steps = sum(each.ns for each in rest), sum(each.steps for each in rest)
    return [*sums[:MOST], Sum(f"{len(rest)} others", ns, steps)]


def operator(row: TimedRow, operators: Mapping[str, str]) -> str:
    """What a step counts as: its main operator, else that of its first layer, else the runtime's.

    `operators` are those of layers by name.
    """
    if row.layer is None:
        return row.step.op_type if row.step else ""
    return main_operator(row, operators) or row.layer.op_type


def main_operator(row: TimedRow, operators: Mapping[str, str]) -> str:
    """What a step computes besides its first layer; empty where that says it."""
    if row.step is None or row.layer is None or row.layer.op_type in COMPUTE:
        return ""
    covered = (operators.get(name, "") for name in row.step.layers)
    return next((name for name in covered if name in COMPUTE), "")
