"""The measurement protocol: load, first inference, warm-up, then alternating blocks.

Latency is taken from an un-profiled session; steps from a traced one. Blocks of both
alternate, so that drift of the machine hits both alike.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from onnxprof import stats
from onnxprof.contracts import Backend, Session, Trace, TracedSession, Workload
from onnxprof.records import RunWarning, Samples, Tensor, Timings, WarningKind

Clock = Callable[[], int]
#: Called with what is going on and the share of the time budget that is spent.
Progress = Callable[[str, float], None]

#: Half of the median's 95 % interval, relative to the median, at which latency is settled.
PRECISION = 0.01
#: Two neighbouring windows of the warm-up whose medians differ by less are steady.
STEADY = 0.02
_WINDOW = 5
_BLOCKS = 12
_FEWEST_SLOW = 3  # what a model gets whose single inference exceeds the budget
_LONG = 20_000_000  # nanoseconds; filling the caches again is nothing beside it
_ENOUGH = 20
_TRACED_STEPS = 100_000  # step samples kept, and so profile events parsed
_INFLATION = 1.02
_UNATTRIBUTED = 0.02


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


def measure(
    backend: Backend, workload: Workload, budget: Budget, clock: Clock, progress: Progress
) -> Measurement:
    """Measure one workload. Raises BackendError where the runtime fails."""
    protocol = _Protocol(clock, progress, budget.ns)
    began = clock()
    progress("loading", 0.0)
    with backend.open(workload) as plain:
        load_ns = clock() - began
        progress("warming up", 0.0)
        first_ns = protocol.timed(plain)
        warmup = protocol.warm_up(plain)
        outputs = tuple(plain.outputs())
        progress("loading under the timer", protocol.spent)
        per_inference = _count(_TRACED_STEPS, max(1, len(workload.table.nodes)))
        with backend.open_traced(workload, per_inference) as traced:
            protocol.alternate(plain, traced, per_inference)
            progress("reading the trace", 1.0)
            trace = traced.trace()
    timings = protocol.timings(load_ns, first_ns, warmup, trace)
    return Measurement(timings, trace, outputs, warnings_of(timings, trace, workload, outputs))


def _count(total: int, each: int) -> int:
    return max(_ENOUGH, total // each)


@dataclass(slots=True)
class _Protocol:
    clock: Clock
    progress: Progress
    budget_ns: int
    used_ns: int = 0
    last_ns: int = 0
    latency: list[Samples] = field(default_factory=list)
    traced: list[tuple[int, int, int]] = field(default_factory=list)
    """Block of a traced inference, its position since loading, and how long it took."""
    traced_count: int = 0
    steady: bool = False

    @property
    def spent(self) -> float:
        return min(1.0, self.used_ns / self.budget_ns) if self.budget_ns else 1.0

    def timed(self, session: Session) -> int:
        """One inference, in nanoseconds, charged to the budget."""
        began = self.clock()
        session.infer()
        taken = self.clock() - began
        self.used_ns += taken
        self.last_ns = taken
        return taken

    def warm_up(self, session: Session) -> Samples:
        """Infer until two neighbouring windows agree, for at most 15 % of the budget."""
        times: list[int] = []
        limit = self.used_ns + int(self.budget_ns * 0.15)
        while not self.steady and (len(times) < 2 or self.used_ns < limit):
            times.append(self.timed(session))
            full = len(times) >= 2 * _WINDOW and len(times) % _WINDOW == 0
            self.steady = full and unsteadiness(times) <= STEADY
        return np.array(times, np.int64)

    def alternate(self, plain: Session, traced: TracedSession, most_traced: int) -> None:
        """Blocks of un-profiled and of traced inferences, until precise or out of budget."""
        left = max(self.budget_ns - self.used_ns, 0)
        self._trace_once(traced, keep=False)
        share = left / (2 * _BLOCKS)
        most_traced = max(2, most_traced // (2 * _BLOCKS))
        with _no_garbage_collection():
            while not self._is_done():
                self._plain_block(plain, share)
                self._traced_block(traced, share, most_traced)
                self.progress("measuring", self.spent)

    def _plain_block(self, session: Session, share: float) -> None:
        self._settle(lambda: self.timed(session))
        taken: list[int] = []
        began = self.used_ns
        while not taken or self.used_ns - began + taken[-1] < share:
            taken.append(self.timed(session))
        self.latency.append(np.array(taken, np.int64))

    def _traced_block(self, session: TracedSession, share: float, most: int) -> None:
        self._settle(lambda: self._trace_once(session, keep=False))
        began = self.used_ns
        for _ in range(most):
            last = self._trace_once(session, keep=True)
            if self.used_ns - began + last >= share:
                break

    def _settle(self, infer: Callable[[], int]) -> None:
        """One inference that brings the caches back; it is no sample. A long one needs none."""
        if self.last_ns < _LONG:
            infer()

    def _trace_once(self, session: TracedSession, *, keep: bool) -> int:
        taken = self.timed(session)
        if keep:
            self.traced.append((len(self.latency) - 1, self.traced_count, taken))
        self.traced_count += 1
        return taken

    def _is_done(self) -> bool:
        samples = sum(block.size for block in self.latency)
        blocks = len(self.latency)
        if self.used_ns >= self.budget_ns:
            return samples >= _FEWEST_SLOW
        if blocks < _BLOCKS or min(samples, len(self.traced)) < _ENOUGH:
            return False
        return stats.relative_half_width(np.concatenate(self.latency)) <= PRECISION

    def timings(self, load_ns: int, first_ns: int, warmup: Samples, trace: Trace) -> Timings:
        """Everything that was sampled; traced inferences that warmed caches are left out."""
        kept = np.array([position for _, position, _ in self.traced], np.int64)
        blocks = [np.full(b.size, i, np.int32) for i, b in enumerate(self.latency)]
        return Timings(
            load_ns=load_ns,
            first_ns=first_ns,
            warmup_ns=warmup,
            latency_ns=np.concatenate(self.latency),
            latency_block=np.concatenate(blocks),
            traced_ns=np.array([taken for _, _, taken in self.traced], np.int64),
            traced_block=np.array([block for block, _, _ in self.traced], np.int32),
            step_ns=np.ascontiguousarray(trace.step_ns[:, kept]),
        )


def unsteadiness(times: Sequence[int]) -> float:
    """How far apart the medians of a warm-up's last two windows are, relative to the last.

    NaN where the warm-up is too short to tell.
    """
    window = min(_WINDOW, len(times) // 2)
    if window < 2:
        return float("nan")
    before = float(np.median(times[-2 * window : -window]))
    last = float(np.median(times[-window:]))
    return abs(last - before) / last if last else 0.0


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def warnings_of(
    timings: Timings, trace: Trace, workload: Workload, outputs: tuple[Tensor, ...]
) -> tuple[RunWarning, ...]:
    """What a reader of these figures must know."""
    return (
        *_latency_warnings(timings),
        *_step_warnings(timings, trace),
        *_batch(workload, outputs),
    )


def _latency_warnings(timings: Timings) -> Iterator[RunWarning]:
    change = unsteadiness(timings.warmup_ns.tolist())
    if not change <= STEADY:
        yield RunWarning(WarningKind.UNSTEADY_WARMUP, change if change == change else 0.0)
    samples = timings.latency_ns
    if samples.size < _ENOUGH:
        yield RunWarning(WarningKind.FEW_SAMPLES, float(samples.size))
    low, high = stats.median_interval(samples)
    width = (high - low) / 2 / max(1, stats.median_ns(samples))
    if width > PRECISION:
        yield RunWarning(WarningKind.WIDE_INTERVAL, width)


def _step_warnings(timings: Timings, trace: Trace) -> Iterator[RunWarning]:
    total = max(1, stats.median_ns(timings.latency_ns))
    inflation = stats.median_ns(timings.traced_ns) / total
    if inflation > _INFLATION:
        yield RunWarning(WarningKind.TIMER_INFLATION, inflation)
    medians = np.median(timings.step_ns, axis=1) if timings.step_ns.size else np.zeros(0)
    overhead = 1 - float(medians.sum()) / total
    if overhead < -0.01:
        yield RunWarning(WarningKind.NEGATIVE_OVERHEAD, overhead)
    nobody = np.array([not step.layers for step in trace.steps], bool)
    if medians.sum() and (share := float(medians[nobody].sum() / medians.sum())) > _UNATTRIBUTED:
        yield RunWarning(WarningKind.UNATTRIBUTED_TIME, share)


def _batch(workload: Workload, outputs: tuple[Tensor, ...]) -> Iterator[RunWarning]:
    if workload.table.obstacle:
        batch = float(workload.table.batch)
        yield RunWarning(WarningKind.FIXED_BATCH, batch, workload.table.obstacle)
    declared = {t.name: t.shape for layer in workload.table.nodes for t in layer.outputs}
    for tensor in outputs:
        want = declared.get(tensor.name)
        got = tensor.shape
        if want and got and isinstance(want[0], int) and want[0] != got[0]:
            yield RunWarning(WarningKind.BATCH_LOST, float(str(got[0])), tensor.name)
