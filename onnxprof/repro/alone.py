"""A step alone against the same step in its network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.records.run import Run
from onnxprof.records.step import Step

#: How far the time alone may be from the time in the network before the difference is explained.
CLOSE = 0.10


@dataclass(frozen=True, slots=True)
class Alone:
    """Nanoseconds of a step in its network and alone."""

    in_network_ns: int
    alone_ns: int
    """Of the steps that cover the same layers."""
    others: tuple[tuple[str, int], ...]
    """Operators that the runtime added around them alone, with their times."""
    overhead_ns: int
    """Of the call alone, interruptions included."""
    total_ns: int
    """The un-profiled median alone: `alone_ns`, `others` and `overhead_ns` together."""
    in_network: tuple[str, ...]
    """Operators that the layers ran as."""
    alone: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """Alone over in the network; None where either has no time."""
        if self.in_network_ns <= 0 or self.alone_ns <= 0:
            return None
        return self.alone_ns / self.in_network_ns

    @property
    def is_close(self) -> bool:
        """Whether both are within 10 %."""
        return self.ratio is not None and abs(self.ratio - 1) <= CLOSE


def against_network(run: Run, step: Step, alone: Run) -> Alone:
    """Compare the step of a run with the run of the step alone. Raises StoreError without times."""
    times = divided(run).whole_ns
    chosen = [i for i, one in enumerate(run.steps) if not set(one.layers).isdisjoint(step.layers)]
    own = divided(alone).whole_ns
    inside = [i for i, one in enumerate(alone.steps) if one.layers]
    outside = [i for i, one in enumerate(alone.steps) if not one.layers]
    sums = reconcile(alone)
    others: Counter[str] = Counter()
    for i in outside:
        others[alone.steps[i].op_type] += int(own[i])
    alone_ns = int(own[inside].sum())
    return Alone(
        in_network_ns=int(times[chosen].sum()),
        alone_ns=alone_ns,
        others=tuple(others.items()),
        overhead_ns=sums.total_ns - alone_ns - sum(others.values()),
        total_ns=sums.total_ns,
        in_network=_operators([run.steps[i] for i in chosen]),
        alone=_operators([alone.steps[i] for i in inside]),
    )


def _operators(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(sorted(step.op_type for step in steps))


def reasons(found: Alone) -> tuple[str, ...]:
    """What is known of why the times differ; empty where they are close."""
    if found.is_close or found.ratio is None:
        return ()
    told = []
    if found.alone != found.in_network:
        told.append(
            f"alone the layers run as {_listed(found.alone)}, in the network as"
            f" {_listed(found.in_network)}"
        )
    if found.others:
        names = _listed(tuple(name for name, _ in found.others))
        told.append(f"the runtime adds {names} around them, so their data lie in another layout")
    if found.ratio < 1:
        told.append(
            "alone its inputs and weights stay in the caches, which other layers use in the network"
        )
    else:
        told.append(
            "alone its inputs come from outside, not from a step that has just written them"
        )
    return tuple(told)


def _listed(names: Sequence[str]) -> str:
    counted = Counter(names)
    return ", ".join(f"{n} × {name}" if n > 1 else name for name, n in counted.items())
