"""The measurement protocol: load, first inference, warm-up, then what the timer needs.

Latency is taken from an un-profiled session; steps from a traced one. Blocks of both
alternate, so that drift of the machine hits both alike. Where tracing distorts, prefixes of
the graph are timed un-profiled, interleaved with the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from onnxprof import cuts
from onnxprof.cautions import INFLATION, warnings_of
from onnxprof.contracts import (
    Backend,
    BackendError,
    PrefixSource,
    Session,
    Trace,
    TracedSession,
    Workload,
)
from onnxprof.records import RunWarning, Tensor, Timings, WarningKind
from onnxprof.sampling import Clock, Progress, Sampler

_TRACED_STEPS = 100_000  # step samples kept, and so profile events parsed
_FEWEST_TRACED = 20
#: Rounds of the model and one prefix below which prefixes tell no more than the trace.
_FEWEST_ROUNDS = 10
#: The part of the budget after which `auto` looks at the inflation.
_PROBE = 0.3
#: The part of the free memory that prefixes may take.
_MEMORY = 0.5


class Timer(StrEnum):
    """How steps are timed."""

    AUTO = "auto"
    TRACE = "trace"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure one model at one batch size, in seconds, loading not counted."""

    seconds: float = 5.0

    @property
    def ns(self) -> int:
        """The same in nanoseconds."""
        return int(self.seconds * 1e9)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What `measure` found."""

    timings: Timings
    trace: Trace
    outputs: tuple[Tensor, ...]
    warnings: tuple[RunWarning, ...]
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """The outputs of the un-profiled session, if they were to be kept."""


def measure(
    backend: Backend,
    workload: Workload,
    budget: Budget,
    clock: Clock,
    progress: Progress,
    *,
    timer: Timer = Timer.AUTO,
    keep_values: bool = False,
    wanted_cuts: Sequence[int] = (),
) -> Measurement:
    """Measure one workload, and keep its outputs' values if asked to.

    `wanted_cuts` are the prefixes that another process timed, as `Timings.prefix_steps`; they
    are timed here, too, as far as memory allows. Raises BackendError where the runtime fails.
    """
    sampler = Sampler(clock, progress, budget.ns)
    began = clock()
    progress("loading", 0.0)
    with backend.open(workload) as plain:
        load_ns = clock() - began
        progress("warming up", 0.0)
        first_ns = sampler.timed(plain)
        warmup = sampler.warm_up(plain)
        outputs = tuple(plain.outputs())
        values = plain.values() if keep_values else {}
        progress("loading under the timer", sampler.spent)
        most = max(_FEWEST_TRACED, _TRACED_STEPS // max(1, len(workload.table.nodes)))
        with backend.open_traced(workload, most) as traced:
            steps = _time_steps(sampler, plain, traced, most, timer, wanted_cuts)
    timings = sampler.timings(load_ns, first_ns, warmup, steps.trace, steps.cuts)
    told = warnings_of(timings, steps.trace, workload, outputs)
    truncated = _truncated(steps.trace, sampler.traced_count)
    return Measurement(timings, steps.trace, outputs, (*told, *truncated, *steps.warnings), values)


def _truncated(trace: Trace, inferences: int) -> Iterator[RunWarning]:
    kept = trace.step_ns.shape[1]
    if kept < inferences:
        yield RunWarning(WarningKind.TRUNCATED_PROFILE, float(kept), bound=float(inferences))


@dataclass(frozen=True, slots=True)
class _Steps:
    trace: Trace
    cuts: tuple[int, ...] = ()
    warnings: tuple[RunWarning, ...] = ()


def _time_steps(
    sampler: Sampler,
    plain: Session,
    traced: TracedSession,
    most: int,
    timer: Timer,
    wanted: Sequence[int],
) -> _Steps:
    """Trace, look at what tracing costs, and go on with prefixes where that is too much."""
    if timer is Timer.TRACE:
        return _traced(sampler, plain, traced, most)
    limit = sampler.used_ns + int((sampler.budget_ns - sampler.used_ns) * _PROBE)
    sampler.alternate(plain, traced, most, limit)
    if timer is Timer.AUTO and not (isinstance(traced, PrefixSource) and _worth_cutting(sampler)):
        return _traced(sampler, plain, traced, most)
    sampler.progress("reading the trace", sampler.spent)
    trace = traced.trace()
    try:
        return _Steps(trace, _by_prefixes(sampler, plain, traced, trace, wanted))
    except (BackendError, MemoryError) as error:
        sampler.prefix_ns.clear()
        sampler.probed = 0
        reason = str(error) or "out of memory"
    _time_empty(sampler, traced, trace)
    return _Steps(trace, (), (RunWarning(WarningKind.NO_PREFIXES, subject=reason),))


def _worth_cutting(sampler: Sampler) -> bool:
    """Whether tracing distorts, and the budget has time for rounds enough to do better."""
    left = sampler.budget_ns - sampler.used_ns
    return sampler.inflates(INFLATION) and cuts.rounds(left, sampler.median_ns) >= _FEWEST_ROUNDS


def _traced(sampler: Sampler, plain: Session, traced: TracedSession, most: int) -> _Steps:
    sampler.alternate(plain, traced, most, sampler.budget_ns)
    sampler.progress("reading the trace", 1.0)
    trace = traced.trace()
    _time_empty(sampler, traced, trace)
    return _Steps(trace)


def _time_empty(sampler: Sampler, traced: TracedSession, trace: Trace) -> None:
    """What a call costs that computes nothing, to judge the overhead by, where it can be had."""
    if isinstance(traced, PrefixSource) and trace.length:
        with suppress(BackendError, MemoryError):
            sampler.time_empty(traced.prefixes((0,))[0])


def _by_prefixes(
    sampler: Sampler,
    plain: Session,
    traced: TracedSession,
    trace: Trace,
    wanted: Sequence[int],
) -> tuple[int, ...]:
    """Time prefixes and return the cuts. Raises BackendError where there can be none."""
    if not isinstance(traced, PrefixSource) or not trace.length:
        raise BackendError("the executed graph cannot be cut")
    sampler.progress("loading prefixes", sampler.spent)
    most = cuts.affordable(sampler.budget_ns - sampler.used_ns, sampler.median_ns)
    places, sessions = _open(traced, trace, most, wanted)
    sampler.interleave(plain, sessions)
    return places


def _open(
    traced: PrefixSource, trace: Trace, most: int, wanted: Sequence[int]
) -> tuple[tuple[int, ...], Sequence[Session]]:
    """The prefixes' sessions, fewer where they would not fit into memory.

    Those that are wanted, if they are of as long a graph, whatever time there is for them.
    """
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    ends = list(traced.prefixes((0, trace.length)))
    for session in ends:
        session.infer()
    each = max(process.memory_info().rss - before, 1)
    fitting = max(1, int(psutil.virtual_memory().available * _MEMORY / each))
    if wanted and wanted[-1] == trace.length:
        places = cuts.thinned(wanted, fitting)
    else:
        places = cuts.place(trace, min(most, fitting))
    inner = list(traced.prefixes(places[1:-1]))
    return places, [ends[0], *inner, ends[1]]
