"""The measurement protocol: load, first inference, warm-up, then what the timer needs.

Latency is taken from an un-profiled session; steps from a traced one. Blocks of both
alternate, so that drift of the machine hits both alike. Where tracing distorts, prefixes of
the graph are timed un-profiled, interleaved with the whole.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from numpy.typing import NDArray

from onnxprof.analysis.warnings import INFLATION, warnings_of
from onnxprof.errors import BackendError
from onnxprof.machine.memory import available_bytes
from onnxprof.measure import cuts
from onnxprof.measure import repeats as repeating
from onnxprof.measure.budget import Amount, Budget
from onnxprof.measure.sampler import Clock, Progress, Sampler
from onnxprof.plugins.backend import (
    Backend,
    CutChecker,
    Launcher,
    MemoryBound,
    PrefixSource,
    Proof,
    Recorder,
    Session,
    StepRepeater,
    Trace,
    TracedSession,
    Understating,
    Verifiable,
    Workload,
)
from onnxprof.plugins.verbs import open_traced
from onnxprof.processes.garbage import no_garbage_collection
from onnxprof.records.layer import Tensor
from onnxprof.records.step import Timer
from onnxprof.records.timings import Timings, traced_by
from onnxprof.records.warning import RunWarning, WarningKind

#: Nanoseconds of inferences that are not sampled, after another process had the processor.
_REFILL = 1_000_000
#: Rounds of the model and one prefix below which prefixes are no more precise than the trace.
_FEWEST_ROUNDS = 10
#: The parts of the budget after which `auto` looks at the inflation.
_LOOKS = (0.3, 0.45, 0.6)
#: What `auto` may spend beyond the budget where only all of it showed that tracing distorts.
_EXTENSION = 0.25
#: The part of the free memory that prefixes may take.
_MEMORY = 0.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of `measure`."""

    timings: Timings
    trace: Trace
    outputs: tuple[Tensor, ...]
    warnings: tuple[RunWarning, ...]
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """The outputs of the un-profiled session, if they were to be kept."""
    proof: Proof | None = None
    """The check of the steps, if it was to be kept and the backend has one."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A loaded and warm model whose blocks the caller measures one by one.

    A traced block has the number of the un-profiled block before it.
    """

    sampler: Sampler
    plain: Session
    traced: TracedSession
    most: int
    """The most traced inferences of the measurement."""

    def measure_plain(self, ns: int) -> int:
        """Measure un-profiled inferences for about `ns`; returns the nanoseconds they took."""
        before = self.sampler.used_ns
        self.sampler.refill(partial(self.sampler.timed, self.plain), _REFILL)
        with no_garbage_collection():
            self.sampler.plain_block(self.plain, ns)
        return self.sampler.used_ns - before

    def measure_traced(self, ns: int) -> int:
        """Measure traced inferences for about `ns`, as many as the budget allows in that time."""
        before = self.sampler.used_ns
        share = 2 * ns / max(1, self.sampler.budget_ns)
        with no_garbage_collection():
            self.sampler.traced_block(self.traced, ns, max(1, int(self.most * share)))
        return self.sampler.used_ns - before


class Observer(Protocol):
    """Is called at moments when no latency is sampled."""

    def loaded(self, session: Session) -> None:
        """The un-profiled session is warm, and no other has been loaded."""

    def steady(self, session: Session) -> None:
        """All samples are taken; the session may go on inferring."""


def measure(
    backend: Backend,
    workload: Workload,
    budget: Budget,
    clock: Clock,
    progress: Progress,
    *,
    timer: Timer = Timer.AUTO,
    keep_values: bool = False,
    keep_proof: bool = False,
    wanted_cuts: Sequence[int] = (),
    wanted_repeats: Sequence[int] = (),
    observer: Observer | None = None,
    conduct: Callable[[Blocks], None] | None = None,
    warm: Callable[[int, int], None] = lambda *_: None,
    amount: Amount | None = None,
) -> Measurement:
    """Measure one workload, and keep output values and the check of the steps if asked to.

    `wanted_cuts` and `wanted_repeats` are those of another process, in the form of `Timings`; they
    are timed here, too, as far as memory allows. `amount` says how much to sample where the budget
    does not decide it; `conduct` measures the blocks in place of both, with the trace timer. `warm`
    gets the nanoseconds of loading and of one inference. Raises BackendError if the runtime fails.
    """
    sampler = Sampler(clock, progress, budget.ns, amount=amount or Amount())
    wanted = _Wanted(tuple(wanted_cuts), tuple(wanted_repeats))
    began = clock()
    progress("loading", 0.0)
    with backend.open(workload) as plain:
        load_ns = clock() - began
        progress("warming up", 0.0)
        first_ns = sampler.timed(plain)
        warmup = sampler.warm_up(plain)
        warm(load_ns, sampler.usual_ns)
        outputs = tuple(plain.outputs())
        values = plain.values() if keep_values else {}
        if observer is not None:
            observer.loaded(plain)
        progress("loading under the timer", sampler.spent)
        most = workload.most_traced
        with open_traced(backend, workload) as traced:
            if conduct is None:
                steps = _time_steps(sampler, plain, traced, most, timer, wanted)
            else:
                sampler.first_traced(traced)
                conduct(Blocks(sampler, plain, traced, most))
                steps = _named(_read(sampler, traced), traced, Timer.AUTO)
            proof = traced.proof() if keep_proof and isinstance(traced, Verifiable) else None
        if observer is not None:
            progress("watching power and memory", 1.0)
            del traced  # its memory must not count as the model's
            gc.collect()
            observer.steady(plain)
    timings = sampler.timings(
        load_ns, first_ns, warmup, steps.trace, steps.timer, steps.cuts, steps.repeats
    )
    sample_warnings = warnings_of(timings, steps.trace, workload, outputs)
    truncated = _truncated(steps.trace, sampler.traced_count)
    warnings = (*sample_warnings, *truncated, *steps.warnings)
    return Measurement(timings, steps.trace, outputs, warnings, values, proof)


def _truncated(trace: Trace, inferences: int) -> Iterator[RunWarning]:
    kept = trace.step_ns.shape[1]
    if 0 < kept < inferences:
        yield RunWarning(WarningKind.TRUNCATED_PROFILE, float(kept), bound=float(inferences))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Cuts and repeats of an earlier process of the same measurement; empty in the first."""

    cuts: tuple[int, ...] = ()
    repeats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Steps:
    trace: Trace
    timer: Timer = Timer.TRACE
    cuts: tuple[int, ...] = ()
    repeats: tuple[int, ...] = ()
    warnings: tuple[RunWarning, ...] = ()


def _time_steps(
    sampler: Sampler,
    plain: Session,
    traced: TracedSession,
    most: int,
    timer: Timer,
    wanted: _Wanted,
) -> _Steps:
    """Time the steps with the requested timer, or a fitting one for `auto`.

    Raises BackendError where the requested timer is not available.
    """
    if timer in (Timer.TRACE, Timer.CUPTI):
        steps = _traced(sampler, plain, traced, most)
    else:
        steps = _fitting(sampler, plain, traced, most, timer, wanted)
    if timer is Timer.CUPTI and steps.timer is not Timer.CUPTI:
        raise BackendError("there is no cupti timer here", remedy="Leave --timer away")
    return _named(steps, traced, timer)


def _named(steps: _Steps, traced: TracedSession, timer: Timer) -> _Steps:
    """Mark launch times with a warning, and drop them unless the trace timer was requested.

    The warning's value is the part of the steps whose times are based on launches.
    """
    reason = traced.launches if isinstance(traced, Launcher) else ""
    if not reason:
        return steps
    count = len(steps.trace.steps)
    if steps.cuts:
        part = 1 - (len(steps.cuts) - 1) / max(1, count)
        caveat = RunWarning(WarningKind.LAUNCH_TIMES, part, reason)
        return _warned(steps, caveat) if part > 0 else steps
    if timer is Timer.TRACE:
        return _warned(steps, RunWarning(WarningKind.LAUNCH_TIMES, 1.0, reason))
    why = "; ".join([reason, *(warning.subject for warning in steps.warnings)])
    bare = replace(steps.trace, step_ns=steps.trace.step_ns[:, :0])
    return _Steps(bare, warnings=(RunWarning(WarningKind.LAUNCH_TIMES, 0.0, why),))


def _warned(steps: _Steps, warning: RunWarning) -> _Steps:
    return replace(steps, warnings=(*steps.warnings, warning))


def _fitting(
    sampler: Sampler,
    plain: Session,
    traced: TracedSession,
    most: int,
    timer: Timer,
    wanted: _Wanted,
) -> _Steps:
    """Trace, and go on with prefixes where tracing slows the model down too much."""
    blind = isinstance(traced, Launcher) and bool(traced.launches)
    exact = isinstance(traced, Recorder) and traced.on_device
    cuttable = isinstance(traced, PrefixSource) and not exact
    sure = blind or timer is not Timer.AUTO
    gaps = cuttable and isinstance(traced, Understating) and traced.leaves_out
    alternate = partial(sampler.alternate, plain, traced, most)
    if not _found_out(sampler, alternate, sure, cuttable, gaps):
        return _read(sampler, traced)
    sampler.progress("reading the trace", sampler.spent)
    trace, blocks = traced.trace(), len(sampler.latency)
    try:
        return _by_prefixes(sampler, plain, traced, trace, wanted)
    except (BackendError, MemoryError) as error:
        sampler.without_prefixes(plain, blocks)
        reason = str(error) or "out of memory"
    _time_empty(sampler, traced, trace)
    caveat = RunWarning(WarningKind.NO_PREFIXES, subject=reason)
    return _warned(_Steps(trace, traced_by(trace.host_ns)), caveat)


def _found_out(
    sampler: Sampler, alternate: Callable[[int], None], sure: bool, cuttable: bool, gaps: bool
) -> bool:
    """Trace until prefixes are known to be better, or the budget is used up."""
    began, left = sampler.used_ns, sampler.budget_ns - sampler.used_ns
    for part in _LOOKS:
        alternate(began + int(left * part))
        if sure or (cuttable and _worth_cutting(sampler, gaps)):
            return True
    alternate(sampler.budget_ns)
    more = int(left * _EXTENSION)
    if not cuttable or not sampler.overstates() or not _has_rounds(sampler, more):
        return False
    sampler.budget_ns = sampler.used_ns + more
    return True


def _worth_cutting(sampler: Sampler, gaps: bool) -> bool:
    """Whether tracing distorts or misses time, and there is time for rounds to do better."""
    left = sampler.budget_ns - sampler.used_ns
    return (gaps or sampler.inflates(INFLATION)) and _has_rounds(sampler, left)


def _has_rounds(sampler: Sampler, left_ns: int) -> bool:
    return cuts.rounds(left_ns, sampler.median_ns) >= _FEWEST_ROUNDS


def _traced(sampler: Sampler, plain: Session, traced: TracedSession, most: int) -> _Steps:
    sampler.alternate(plain, traced, most, sampler.budget_ns)
    return _read(sampler, traced)


def _read(sampler: Sampler, traced: TracedSession) -> _Steps:
    sampler.progress("reading the trace", 1.0)
    trace = traced.trace()
    _time_empty(sampler, traced, trace)
    return _Steps(trace, traced_by(trace.host_ns))


def _time_empty(sampler: Sampler, traced: TracedSession, trace: Trace) -> None:
    """Time an empty call, with which the overhead is compared, where the session has one."""
    if isinstance(traced, PrefixSource) and trace.length:
        with suppress(BackendError, MemoryError):
            sampler.time_empty(traced.prefixes((0,))[0])


def _by_prefixes(
    sampler: Sampler,
    plain: Session,
    traced: TracedSession,
    trace: Trace,
    wanted: _Wanted,
) -> _Steps:
    """Time prefixes, and short steps alone. Raises BackendError if the graph cannot be cut."""
    if not isinstance(traced, PrefixSource) or not trace.length:
        raise BackendError("the executed graph cannot be cut")
    sampler.progress("loading prefixes", sampler.spent)
    repeats = _repeat(sampler, traced, trace, wanted.repeats)
    left, known = sampler.budget_ns - sampler.used_ns, repeating.known(trace, repeats)
    most = cuts.affordable(left, sampler.median_ns, known)
    places, sessions = _open(traced, trace, most, wanted.cuts)
    sampler.interleave(plain, sessions)
    return _Steps(trace, Timer.PREFIX, places, repeats)


def _repeat(
    sampler: Sampler, traced: TracedSession, trace: Trace, settled: Sequence[int]
) -> tuple[int, ...]:
    """Time short steps alone: `settled`, the ones of another process, if there are any."""
    left = max(0, sampler.budget_ns - sampler.used_ns)
    asked = repeating.of(settled) or repeating.wanted(trace, left)
    if not asked or not isinstance(traced, StepRepeater):
        return ()
    sampler.progress("repeating short steps", sampler.spent)
    try:
        opened = traced.repeated(asked)
    except (BackendError, MemoryError):
        return ()
    steps = sorted(opened)
    limit = sampler.used_ns + int(left * repeating.SHARE)
    sessions = [opened[step] for step in steps]
    sampler.repeat(sessions, repeating.FEWEST_ROUNDS, repeating.ROUNDS, limit)
    return repeating.listed(opened, asked, len(trace.steps))


def _device_memory(traced: PrefixSource) -> int | None:
    return traced.free_bytes() if isinstance(traced, MemoryBound) else None


def _open(
    traced: PrefixSource, trace: Trace, most: int, wanted: Sequence[int]
) -> tuple[tuple[int, ...], Sequence[Session]]:
    """The cuts and the prefixes' sessions, fewer where they would not fit into memory.

    `wanted` cuts are used, whatever time is left, if they belong to a graph of the same length.
    """
    import psutil

    process = psutil.Process()
    before, left = process.memory_info().rss, _device_memory(traced)
    ends = list(traced.prefixes((0, trace.length)))
    for session in ends:
        session.infer()
    prefix_bytes = max(process.memory_info().rss - before, 1)
    fitting = max(1, int(available_bytes() * _MEMORY / prefix_bytes))
    still = _device_memory(traced)
    if left is not None and still is not None:
        fitting = max(1, min(fitting, int(still * _MEMORY / max(left - still, 1))))
    if wanted and wanted[-1] == trace.length:
        places = cuts.thinned(wanted, fitting)
    else:
        places = cuts.place(trace, min(most, fitting))
    if isinstance(traced, CutChecker):
        places = tuple(traced.cuttable(places))
    inner = list(traced.prefixes(places[1:-1]))
    return places, [ends[0], *inner, ends[1]]
