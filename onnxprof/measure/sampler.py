"""Taking samples: warm-up, alternating blocks, interleaved prefixes, all within one budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.analysis.thresholds import ENOUGH, PRECISION, STEADY, WINDOW, unsteadiness
from onnxprof.measure.budget import Amount
from onnxprof.plugins.backend import Recorder, Session, Trace, TracedSession
from onnxprof.processes.garbage import no_garbage_collection
from onnxprof.records.step import Timer
from onnxprof.records.timings import Samples, Timings

Clock = Callable[[], int]
#: Called with what is going on and the share of the time budget that is spent.
Progress = Callable[[str, float], None]
#: Traced over un-profiled latency above which the overhead is certain to fall below -1 %.
OVERSTATED = 1.01
_BLOCKS = 24
_FEWEST_SLOW = 3  # samples of a model whose single inference exceeds the budget
_LONG = 20_000_000  # nanoseconds; filling the caches again is nothing beside it
_BURST = 2_000_000  # nanoseconds that one session has to itself in a round of prefixes
_ROUNDS = 40
_EMPTY_CALLS = 40
_PLAIN = 3  # bursts of the model itself in a round: everything is scaled to its median
_BOTH = 2  # un-profiled inferences take half of the time where their number is given


@dataclass(slots=True)
class Sampler:
    """Runs sessions and keeps the duration of every inference."""

    clock: Clock
    progress: Progress
    budget_ns: int
    used_ns: int = 0
    last_ns: int = 0
    latency: list[Samples] = field(default_factory=list)
    traced: list[tuple[int, int, int]] = field(default_factory=list)
    """Block, position since loading and nanoseconds of traced inferences."""
    traced_count: int = 0
    probed: int = 0
    """The number of blocks of `latency` that only served to measure the cost of tracing."""
    prefix_ns: list[Samples] = field(default_factory=list)
    """One array [prefixes, inferences] a round."""
    repeat_ns: list[Samples] = field(default_factory=list)
    """One array [steps that are repeated] a round."""
    empty: list[int] = field(default_factory=list)
    steady: bool = False
    usual_ns: int = 0
    """Nanoseconds of an inference at the end of the warm-up."""
    block_ns: float = 0.0
    """Length of a block when un-profiled and traced ones alternate."""
    amount: Amount = field(default_factory=Amount)
    """How much was asked for, where that is not left to the budget."""
    least_ns: int = 0
    """What is to be used before sampling may end."""
    kept: int = 0
    """Un-profiled samples so far, without those that only showed what tracing costs."""

    @property
    def spent(self) -> float:
        """The share of the budget that is used."""
        return min(1.0, self.used_ns / self.budget_ns) if self.budget_ns else 1.0

    def inflates(self, bound: float) -> bool:
        """Whether traced over un-profiled exceeds the bound, and not by chance alone.

        The ratio is the median over neighbouring blocks. It may be chance where the 95 % interval
        of the median contains 1, or where there are too few blocks for an interval.
        """
        ratios = intervals.inflation_ratios(self._sampled())
        return (
            ratios.size > 1
            and intervals.interval_of(ratios)[0] > 1
            and float(np.median(ratios)) > bound
        )

    def overstates(self) -> bool:
        """Whether the sum of the steps would exceed the latency by over 1 %."""
        ratios = intervals.inflation_ratios(self._sampled())
        return ratios.size > 1 and intervals.interval_of(ratios)[0] > OVERSTATED

    @property
    def median_ns(self) -> float:
        """Un-profiled median so far."""
        return float(np.median(np.concatenate(self.latency)))

    def timed(self, session: Session) -> int:
        """One inference, in nanoseconds, charged to the budget."""
        began = self.clock()
        session.infer()
        taken = self.clock() - began
        self.used_ns += taken
        self.last_ns = taken
        return taken

    def warm_up(self, session: Session) -> Samples:
        """Infer until two neighbouring windows agree, for at most 15 % of the budget.

        At least two inferences, or one if an inference is so long that warm caches do not matter;
        exactly as many as were asked for, if a number was given.
        """
        times: list[int] = []
        limit = self.used_ns + int(self.budget_ns * 0.15)
        while self._warms_on(len(times), limit):
            times.append(self.timed(session))
            full = len(times) >= 2 * WINDOW and len(times) % WINDOW == 0
            self.steady = full and unsteadiness(times) <= STEADY
        self.usual_ns = int(np.median(times[-WINDOW:])) if times else self.last_ns
        self._provide()
        return np.array(times, np.int64)

    def _warms_on(self, done: int, limit_ns: int) -> bool:
        """Whether the warm-up has another inference."""
        if self.amount.warmup is not None:
            return done < self.amount.warmup
        return not self.steady and (done < self._least_calls() or self.used_ns < limit_ns)

    def _provide(self) -> None:
        """Bring the budget to what was asked for, now that it is known what an inference takes."""
        if self.amount.iterations:
            self.budget_ns = self.used_ns + _BOTH * self.amount.iterations * max(1, self.usual_ns)
        if self.amount.seconds:
            self.least_ns = self.used_ns + round(self.amount.seconds * 1e9)
            self.budget_ns = max(self.budget_ns, self.least_ns)

    @property
    def _wanted(self) -> float:
        """How many un-profiled samples are still to be taken at most."""
        return self.amount.iterations - self.kept if self.amount.iterations else float("inf")

    def _most_in_block(self) -> float:
        """How many samples the next block may have: a given number is spread over all blocks."""
        return min(self._wanted, -(-self.amount.iterations // _BLOCKS) or float("inf"))

    def _keep(self, taken: Samples) -> None:
        """Keep a block of un-profiled samples."""
        self.latency.append(taken)
        self.kept += taken.size

    def alternate(
        self, plain: Session, traced: TracedSession, most_traced: int, limit_ns: int
    ) -> None:
        """Blocks of un-profiled and of traced inferences, until precise or at the limit.

        Call it again with a later limit to go on. Blocks are as long as the whole budget
        divides into at the first call, whatever the limit.
        """
        self.first_traced(traced)
        if not self.block_ns:
            self.block_ns = max(self.budget_ns - self.used_ns, 0) / (2 * _BLOCKS)
        counted = bool(self.amount.iterations)  # blocks are so many inferences, not so long
        share = float("inf") if counted else self.block_ns
        most_traced = max(2, most_traced // (2 * _BLOCKS))
        with no_garbage_collection():
            while not self._is_done(limit_ns):
                before = self.used_ns
                self.plain_block(plain, share)
                took = self.used_ns - before
                self.traced_block(traced, took if counted else share, most_traced)
                self.progress("measuring", self.spent)

    def first_traced(self, session: TracedSession) -> None:
        """One traced inference that is not sampled, unless there was one already."""
        if not self.traced_count:
            self._trace_once(session, keep=False)

    def refill(self, infer: Callable[[], int], ns: int) -> None:
        """Infer for `ns`, unsampled, to refill the caches after another process used them."""
        before = self.used_ns
        while self.last_ns < _LONG and self.used_ns - before < ns:
            infer()

    def plain_block(self, session: Session, share: float) -> None:
        """One block of un-profiled inferences for `share` nanoseconds, at least one."""
        self._settle(partial(self.timed, session))
        taken: list[int] = []
        began, most = self.used_ns, self._most_in_block()
        while not taken or (len(taken) < most and self.used_ns - began + taken[-1] < share):
            taken.append(self.timed(session))
        self._keep(np.array(taken, np.int64))

    def traced_block(self, session: TracedSession, share: float, most: int) -> None:
        """One block of traced inferences for `share` nanoseconds, at least one, at most `most`."""
        with session.recording() if isinstance(session, Recorder) else nullcontext():
            self._settle(lambda: self._trace_once(session, keep=False))
            began = self.used_ns
            for _ in range(most):
                last = self._trace_once(session, keep=True)
                if self.used_ns - began + last >= share:
                    break

    def _settle(self, infer: Callable[[], int]) -> None:
        """One unsampled inference that refills the caches; none if inferences are long."""
        if self.last_ns < _LONG:
            infer()

    def _trace_once(self, session: TracedSession, *, keep: bool) -> int:
        taken = self.timed(session)
        if keep:
            self.traced.append((len(self.latency) - 1, self.traced_count, taken))
        self.traced_count += 1
        return taken

    def _is_done(self, limit_ns: int) -> bool:
        samples = sum(block.size for block in self.latency)
        if self.amount.iterations:
            is_look = limit_ns < self.budget_ns and self.kept >= _FEWEST_SLOW
            return self._wanted <= 0 or (is_look and self.used_ns >= limit_ns)
        if self.used_ns >= limit_ns:
            return samples >= _FEWEST_SLOW
        if self.used_ns < self.least_ns or len(self.latency) < _BLOCKS:
            return False
        if min(samples, len(self.traced)) < ENOUGH:
            return False
        return intervals.relative_half_width(np.concatenate(self.latency)) <= PRECISION

    def interleave(self, plain: Session, prefixes: Sequence[Session]) -> None:
        """Rounds of bursts of the model and every prefix, until precise or the budget is used.

        The order reverses from round to round, so that a steady drift cancels.
        """
        self.probed, self.kept = len(self.latency), 0
        for session in prefixes:
            for _ in range(self._least_calls()):
                self.timed(session)
        burst = self._burst()
        with no_garbage_collection():
            while not self._rounds_done():
                self._round(plain, prefixes, burst)
                self.progress("measuring prefixes", self.spent)

    def _least_calls(self) -> int:
        """The least number of warm-up inferences."""
        return 2 if self.last_ns < _LONG else 1

    def _burst(self) -> int:
        return max(1, int(_BURST / self.median_ns))

    def _plain(self, burst: int) -> int:
        """Inferences of the model itself in a round: one burst where the budget is over anyway."""
        if self.amount.iterations:
            return min(_PLAIN * burst, self.amount.iterations - self.kept)
        return burst * (_PLAIN if self.used_ns < self.budget_ns else 1)

    def _round(self, plain: Session, prefixes: Sequence[Session], burst: int) -> None:
        taken = np.zeros((len(prefixes), burst), np.int64)
        order = list(range(-1, len(prefixes)))
        for number in order[:: -1 if len(self.prefix_ns) % 2 else 1]:
            if number < 0 and self._wanted <= 0:
                continue
            session = plain if number < 0 else prefixes[number]
            self._settle(partial(self.timed, session))
            count = self._plain(burst) if number < 0 else burst
            times = np.array([self.timed(session) for _ in range(count)], np.int64)
            if number < 0:
                self._keep(times)
            else:
                taken[number] = times
        self.prefix_ns.append(taken)

    def _rounds_done(self) -> bool:
        rounds = len(self.prefix_ns)
        if self.amount.iterations:
            return self._wanted <= 0 and rounds >= _FEWEST_SLOW
        if self.used_ns >= self.budget_ns:
            return rounds >= _FEWEST_SLOW
        if rounds < _ROUNDS or self.used_ns < self.least_ns:
            return False
        latency = np.concatenate(self.latency[self.probed :])
        return intervals.relative_half_width(latency) <= PRECISION

    def without_prefixes(self, plain: Session, blocks: int) -> None:
        """Forget prefixes that failed; `blocks` of un-profiled samples had been taken before.

        Where an amount was asked for, the rest of it is taken un-profiled.
        """
        self.prefix_ns.clear()
        self.repeat_ns.clear()
        self.probed = 0
        if self.amount.iterations:
            del self.latency[blocks:]
        self.kept = sum(block.size for block in self.latency)
        with no_garbage_collection():
            while self._wanted > 0 if self.amount.iterations else self.used_ns < self.least_ns:
                self.plain_block(plain, self.block_ns)

    def repeat(self, sessions: Sequence[Session], fewest: int, most: int, limit_ns: int) -> None:
        """Rounds of one inference of every session, in an order that reverses from round to round.

        At least `fewest` rounds, then up to `most` until `limit_ns` of the budget are used.
        """
        with no_garbage_collection():
            while len(self.repeat_ns) < most:
                if len(self.repeat_ns) >= fewest and self.used_ns >= limit_ns:
                    break
                self.repeat_ns.append(self._repeat_round(sessions))
                self.progress("repeating short steps", self.spent)

    def _repeat_round(self, sessions: Sequence[Session]) -> Samples:
        taken = np.zeros(len(sessions), np.int64)
        for i in range(len(sessions))[:: -1 if len(self.repeat_ns) % 2 else 1]:
            self.timed(sessions[i])  # unsampled: weights and values return to the caches
            taken[i] = self.timed(sessions[i])
        return taken

    def time_empty(self, session: Session) -> None:
        """A few dozen calls of an empty session."""
        for _ in range(2):
            self.timed(session)
        with no_garbage_collection():
            self.empty = [self.timed(session) for _ in range(_EMPTY_CALLS)]

    def timings(
        self,
        load_ns: int,
        first_ns: int,
        warmup: Samples,
        trace: Trace,
        timer: Timer,
        cuts: tuple[int, ...],
        repeats: tuple[int, ...] = (),
    ) -> Timings:
        """Everything that was sampled; inferences that only warmed caches are left out."""
        self.forget(trace)
        kept = np.array([position for _, position, _ in self.traced], np.int64)
        none = np.zeros((0, 0), np.int64)
        return replace(
            self._sampled(),
            timer=timer,
            load_ns=load_ns,
            first_ns=first_ns,
            warmup_ns=np.concatenate([warmup, *self.latency[: self.probed]]),
            step_ns=np.ascontiguousarray(trace.step_ns[:, kept]),
            host_ns=np.ascontiguousarray(trace.host_ns[:, kept]) if trace.host_ns.size else none,
            prefix_ns=np.concatenate(self.prefix_ns, axis=1) if cuts else none,
            prefix_steps=cuts,
            empty_ns=np.array(self.empty, np.int64),
            repeats=repeats,
            repeat_ns=np.array(self.repeat_ns).T if repeats else none,
        )

    def forget(self, trace: Trace) -> None:
        """Drop traced inferences that a truncated trace does not hold."""
        self.traced = [
            inference for inference in self.traced if inference[1] < trace.step_ns.shape[1]
        ]

    def _sampled(self) -> Timings:
        """Un-profiled and traced inferences so far, without their steps."""
        latency = self.latency[self.probed :]
        blocks = [np.full(b.size, i, np.int32) for i, b in enumerate(latency, self.probed)]
        return Timings(
            load_ns=0,
            first_ns=0,
            warmup_ns=np.zeros(0, np.int64),
            latency_ns=np.concatenate(latency),
            latency_block=np.concatenate(blocks),
            traced_ns=np.array([taken for _, _, taken in self.traced], np.int64),
            step_ns=np.zeros((0, 0), np.int64),
            traced_block=np.array([block for block, _, _ in self.traced], np.int32),
        )
