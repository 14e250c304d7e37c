"""Each step of a run against its ceilings, and the least possible latency of the network.

The roofline model (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009), with a roof for each
level of memory and a third one, what a node costs that does next to nothing. A bound holds for the
direct algorithm: a convolution by Winograd or FFT does fewer multiplications and may beat it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from onnxprof.analysis.once import once
from onnxprof.analysis.reconcile import Reconciliation, TimedRow, reconcile
from onnxprof.analysis.step_times import repeated
from onnxprof.reasons import ceilings as derived
from onnxprof.reasons.work import Costs, Work, counted, work_of
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run

#: A bound that is beaten by more is a fault of the model or of a ceiling.
TOLERANCE = 0.05
#: Marks of algorithms with fewer multiplications than the direct one.
_OTHER_ALGORITHMS = ("winograd", "wino", "fft")

#: Operators that yield strides over their input's memory, by backend: no byte need move.
_VIEWS = {"torch": frozenset(("Transpose", "Slice", "Split", "Expand"))}


class Binding(StrEnum):
    """What binds a step."""

    COMPUTE = "compute"
    MEMORY = "memory"
    OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True)
class Roof:
    """One row of a run's timing table that stands for a step, against the ceilings."""

    name: str
    time_ns: int | None
    work: Work | None
    """None for a step without layers: what it has to do is not known."""
    compute_ns: float | None = None
    memory_ns: float | None = None
    node_ns: float | None = None
    level: str = ""
    """The nearest level of memory that holds what the step goes over."""
    warm_ns: float | None = None
    """Alone with warm caches, where the timer measured that."""
    in_doubt: bool = False
    """Whether the samples do not even say how the row ranks; such a time beats no bound."""
    tick_ns: int = 0
    """The resolution of the timer, by which a time may be too short."""
    algorithm: str = ""
    """`winograd` or `fft` where the runtime says so: fewer operations than are counted."""

    @property
    def bound_ns(self) -> float:
        """The least time, by what is known."""
        return max(self.compute_ns or 0.0, self.memory_ns or 0.0, self.node_ns or 0.0)

    @property
    def binding(self) -> Binding | None:
        """Which ceiling is the closest; None where none is known."""
        times = {
            Binding.COMPUTE: self.compute_ns,
            Binding.MEMORY: self.memory_ns,
            Binding.OVERHEAD: self.node_ns,
        }
        known = {binding: ns for binding, ns in times.items() if ns}
        return max(known, key=lambda binding: known[binding], default=None)

    @property
    def bound(self) -> str:
        """What binds: `compute`, a level of memory such as `L2`, `overhead`; empty if unknown."""
        binding = self.binding
        if binding is None:
            return ""
        return self.level if binding is Binding.MEMORY else binding.value

    @property
    def fraction(self) -> float | None:
        """The least time over the time: 1 is all that is possible; None without either."""
        if not self.time_ns or self.work is None or self.binding is None:
            return None
        return self.bound_ns / self.time_ns

    @property
    def at_least(self) -> bool:
        """Whether something is unknown, so that the true bound may be higher.

        A step without layers, such as a reorder, does no work of the network: its bound is a
        node's overhead.
        """
        return self.work is not None and (bool(self.work.unknown) or self.compute_ns is None)

    @property
    def gflops(self) -> float | None:
        """The attained rate."""
        return self._rate(self.work.flops if self.work else None)

    @property
    def gbps(self) -> float | None:
        """The attained bandwidth."""
        return self._rate(self.work.bytes if self.work else None)

    def _rate(self, amount: int | None) -> float | None:
        return amount / self.time_ns if amount is not None and self.time_ns else None

    @property
    def waits_ns(self) -> float | None:
        """What it takes in the graph beyond its time alone, mostly waits for memory."""
        if self.warm_ns is None or self.time_ns is None:
            return None
        return max(0.0, self.time_ns - self.warm_ns)

    @property
    def is_beaten(self) -> bool:
        """Whether the step is faster than its bound by more than tolerance and resolution."""
        if self.fraction is None or self.time_ns is None or self.in_doubt:
            return False
        return self.time_ns + self.tick_ns < (1 - TOLERANCE) * self.bound_ns


@dataclass(frozen=True)
class Roofline:
    """All rows of a run that stand for steps, in the order of its table."""

    run: Run
    sums: Reconciliation
    costs: Costs
    roofs: tuple[Roof, ...]
    ceilings: Ceilings | None

    @cached_property
    def by_name(self) -> dict[str, Roof]:
        """Roofs by the row's name; the first of several of one name."""
        return {roof.name: roof for roof in reversed(self.roofs)}

    @property
    def beaten(self) -> tuple[Roof, ...]:
        """Those that are faster than their bound, other algorithms left out."""
        return tuple(roof for roof in self.roofs if roof.is_beaten and not roof.algorithm)


def roofline(
    run: Run,
    ceilings: Ceilings | None,
    sums: Reconciliation | None = None,
    known: Costs | None = None,
) -> Roofline:
    """Hold each step of a run to its ceilings; without ceilings, what it does and attains.

    `sums` and `known`, the costs of its table, are for callers that have them already. Raises
    StoreError for a run without times.
    """
    sums = sums or reconcile(run)
    known = known or counted(run.table)
    alone = _alone(run)
    rates, tick_ns = Rates.of(ceilings) if ceilings else None, _tick_ns(run)
    views = _VIEWS.get(run.request.backend, frozenset())
    works = [once(work_of, row.step, known, views) if row.step else None for row in step_rows(sums)]
    roofs = tuple(
        replace(_roof(row, work, rates, alone), tick_ns=tick_ns, in_doubt=row.doubt is not None)
        for row, work in zip(step_rows(sums), works, strict=True)
    )
    return Roofline(run, sums, known, roofs, ceilings)


def _tick_ns(run: Run) -> int:
    """What every sample of a step is a multiple of; 0 where none says."""
    if run.timings is None or not run.timings.step_ns.size:
        return 0
    return int(np.gcd.reduce(run.timings.step_ns, axis=None))


def step_rows(sums: Reconciliation) -> list[TimedRow]:
    """The rows that have a step and are its home."""
    return [row for row in sums.rows if row.step is not None and row.median_ns is not None]


def _alone(run: Run) -> dict[str, float]:
    """What each step takes alone, by its name, where that was measured."""
    if run.timings is None or not run.timings.repeat_ns.size:
        return {}
    pairs = zip(run.steps, repeated(run.timings).tolist(), strict=True)
    return {step.name: ns for step, ns in pairs if ns == ns}


class Rates:
    """Ceilings, looked up once for each precision."""

    def __init__(self, ceilings: Ceilings) -> None:
        self._ceilings = ceilings
        self._envelope = derived.envelope(ceilings)
        self._computes = {
            name: found.best
            for name in derived.precisions(ceilings)
            if (found := derived.compute(ceilings, name))
        }
        node = derived.node_ns(ceilings)
        self.node_ns = node.best if node else None

    @classmethod
    def of(cls, ceilings: Ceilings) -> Rates:
        """Those of these ceilings, looked up once."""
        return once(cls, ceilings)

    def compute(self, precision: str) -> float | None:
        """GFLOP/s; a narrow type may be computed as float32 where that is faster."""
        if precision not in self._computes:
            return None
        return max(self._computes[precision], self._computes.get("float32", 0.0))

    def times(self, work: Work) -> tuple[float | None, float | None]:
        """The least nanoseconds of arithmetic and of memory; None where one is not known."""
        rate = self.compute(work.precision)
        compute = 0.0 if not work.least_flops else work.least_flops / rate if rate else None
        return compute, derived.moving_ns(self._ceilings, self._envelope, work.least_bytes)

    def level(self, work: Work) -> str:
        """Where the working set is."""
        return derived.level_of(self._ceilings, work.least_bytes)


def _roof(row: TimedRow, work: Work | None, rates: Rates | None, alone: dict[str, float]) -> Roof:
    assert row.step is not None
    warm = alone.get(row.step.name)
    text = f"{row.step.op_type} {row.step.runtime_name} {row.step.evidence}".lower()
    algorithm = next((name for name in _OTHER_ALGORITHMS if name in text), "")
    if rates is None:
        return Roof(row.name, row.median_ns, work, warm_ns=warm, algorithm=algorithm)
    compute, memory = rates.times(work) if work else (None, None)
    level = rates.level(work) if work else ""
    return Roof(
        *(row.name, row.median_ns, work, compute, memory, rates.node_ns, level, warm),
        algorithm=algorithm,
    )
