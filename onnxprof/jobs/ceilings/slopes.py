"""One point: two lengths of a chain, un-profiled, in turn, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from onnxprof.errors import BackendError
from onnxprof.jobs.ceilings.graphs import write
from onnxprof.jobs.ceilings.probes import Probe
from onnxprof.plugins.backend import Backend, Session, Workload
from onnxprof.plugins.verbs import open_traced
from onnxprof.records.ceilings import CeilingsKey, Point
from onnxprof.records.step import Step

#: Rounds of a point: the fewest, those that give a good interval, and the most.
_FEWEST, _ENOUGH, _MOST = 3, 9, 80
#: A point with few rounds may take so many times its part of the budget.
_LONGER = 3
#: A burst of inferences takes about so long, and has so many at least and at most.
_BURST_NS, _LARGEST_BURST = 1_000_000, 40
_WARM_NS, _LEAST_WARM, _MOST_WARM = 5_000_000, 2, 10
#: Inferences that are longer bring their data back by themselves.
_LONG_NS = 3_000_000
#: Of a burst the time that a quarter of the inferences does not exceed: what interrupts only adds.
_QUIET = 0.25

Clock = Callable[[], int]


def point(probe: Probe) -> Point:
    """The point of a probe before anything is timed."""
    return Point(
        kind=probe.kind,
        size=probe.size,
        precision=probe.precision,
        flops=probe.flops,
        moved_bytes=probe.moved_bytes,
        working_set_bytes=probe.working_set_bytes,
        short=probe.short,
        long=probe.long,
    )


def workload(probe: Probe, copies: int, key: CeilingsKey, folder: Path) -> Workload:
    """A chain, ready for a backend. Raises OnnxprofError where its inputs cannot be made."""
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import open_model, prepare
    from onnxprof.model.layers import inspect

    path = write(probe, copies, folder)
    model, batch = open_model(str(path)), probe.shape[0]
    table = inspect(model, batch, {})
    return Workload(
        model=prepare(model, batch, {}),
        table=table,
        inputs=generate(table, 0, {}),
        threads=key.threads,
        provider=key.provider,
        own_process=True,
        device=key.device_id,
    )


def sampled(
    backend: Backend,
    works: tuple[Workload, Workload],
    seconds: float,
    clock: Clock,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The two lengths in each round, which take about so many seconds together."""
    with ExitStack() as opened:
        sessions = [opened.enter_context(backend.open(work)) for work in works]
        bursts = [_burst_length(session, clock) for session in sessions]
        taken: tuple[list[int], list[int]] = ([], [])
        began, budget_ns = clock(), round(seconds * 1e9)
        while _goes_on(len(taken[0]), (clock() - began) / budget_ns):
            for which in (0, 1)[:: -1 if len(taken[0]) % 2 else 1]:
                taken[which].append(_burst_ns(sessions[which], bursts[which], clock))
    return tuple(taken[0]), tuple(taken[1])


def _goes_on(rounds: int, spent: float) -> bool:
    """Whether there is another round; `spent` is the used part of the budget."""
    if spent >= 1:
        return rounds < _FEWEST or (rounds < _ENOUGH and spent < _LONGER)
    return rounds < _MOST


def executed(backend: Backend, work: Workload) -> tuple[Step, ...]:
    """The steps that the runtime makes of a chain."""
    with open_traced(backend, work) as session:
        session.infer()
        return session.trace().steps


def refuse_merged(steps: tuple[Step, ...], copies: int) -> None:
    """Raise BackendError where copies were not executed one by one: they would look too cheap."""
    count = sum(step.nodes for step in steps)
    if count < copies:
        raise BackendError(f"{copies} copies run as {count} {'step' if count == 1 else 'steps'}")


def steps_text(steps: tuple[Step, ...]) -> str:
    """`24 Conv, 1 ReorderInput`: operators by how often they occur."""
    counts = Counter(step.op_type for step in steps)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common(4))


def _burst_length(session: Session, clock: Clock) -> int:
    """Warm the session; the number of inferences of a burst."""
    began, count, last = clock(), 0, 0
    while count < _LEAST_WARM or (clock() - began < _WARM_NS and count < _MOST_WARM):
        start = clock()
        session.infer()
        count, last = count + 1, clock() - start
    if last > _LONG_NS:
        return 1
    return min(_LARGEST_BURST, max(2, _BURST_NS // max(1, last)))


def _burst_ns(session: Session, count: int, clock: Clock) -> int:
    """A quiet inference of a burst, after one that brings the session's data back."""
    if count > 1:
        session.infer()
    taken = []
    for _ in range(count):
        began = clock()
        session.infer()
        taken.append(clock() - began)
    return round(float(np.quantile(taken, _QUIET)))
