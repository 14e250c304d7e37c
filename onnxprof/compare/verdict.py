"""Slower, faster, the same or undecided: the rule, and what forbids a verdict.

docs/compare.md has both for users, publish/text/verdicts.py the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from onnxprof.analysis.grades import has_interval
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind

#: The smallest change that matters, as a fraction, where none is given.
THRESHOLD = 0.02
#: Share of false alarms among the rows of a family that are called slower or faster.
FALSE_DISCOVERIES = 0.05


class Verdict(StrEnum):
    """What can be said of B against A."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNDECIDED = "undecided"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


class Caveat(StrEnum):
    """What limits verdicts, or what a reader of them must know; the weightiest first."""

    WRONG_OUTPUTS = "wrong_outputs"
    MODELS_DIFFER = "models_differ"
    QUANTISED = "quantised"
    NO_COMMON_LAYER = "no_common_layer"
    ONE_STEP = "one_step"
    NO_STEP_TIMES = "no_step_times"
    NO_LATENCY = "no_latency"
    AVERAGED = "averaged"
    COARSE = "coarse"
    INFERRED = "inferred"
    TIMER_INFLATION = "timer_inflation"
    TIMERS_DIFFER = "timers_differ"
    FEW_SAMPLES = "few_samples"
    NOT_DECIDED = "not_decided"
    BUSY_MACHINE = "busy_machine"
    SINGLE_PROCESS = "single_process"


@dataclass(frozen=True, slots=True)
class Remark:
    """One caveat, and the numbers of the sides or columns that it is about; none for all."""

    kind: Caveat
    columns: tuple[int, ...] = ()


def verdict(
    ratio: float, interval: tuple[float, float], threshold: float, q: float | None = None
) -> Verdict:
    """What a ratio of B over A and its 95 % interval say.

    A row of a family that was tested has `q`, the false-discovery rate at which it would be
    called different; a row for itself is called so where its interval excludes the threshold.
    """
    low, high = interval
    least, most = 1 / (1 + threshold), 1 + threshold
    differs = q <= FALSE_DISCOVERIES if q is not None else low > most or high < least
    if differs:
        return Verdict.SLOWER if ratio > 1 else Verdict.FASTER
    return Verdict.SAME if least < low and high < most else Verdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class Side:
    """What limits the verdicts on the runs of one side."""

    processes: int
    busy: bool
    inflated: bool
    """Whether the timer made inferences longer."""
    wrong: bool
    timers: frozenset[tuple[str, str]]
    """Backend and timer: each runtime's profiler has a cost of its own."""
    few_samples: bool = False
    """Whether the latencies are too few for a 95 % interval."""
    few_layer_samples: bool = False
    """Whether what the layers' times come from is."""

    @classmethod
    def of(cls, runs: Sequence[Run], processes: int) -> Side:
        """Of runs that have so many processes together."""
        kinds = {warning.kind for run in runs for warning in run.warnings}
        timings = [run.timings for run in runs if run.timings is not None]
        return cls(
            processes,
            busy=WarningKind.BUSY_MACHINE in kinds,
            inflated=WarningKind.TIMER_INFLATION in kinds,
            wrong=any(run.parity is not None and run.parity.passed is False for run in runs),
            timers=frozenset((run.request.backend, run.timer) for run in runs),
            few_samples=_are_few(sum(int(t.latency_ns.size) for t in timings)),
            few_layer_samples=_are_few(sum(map(_layer_samples, runs))),
        )


def _are_few(samples: int) -> bool:
    return samples > 0 and not has_interval(samples)


def _layer_samples(run: Run) -> int:
    """Inferences, or rounds of prefixes, that the times of layers come from; averages are none."""
    timings = run.timings
    if timings is None or (run.origin is not None and run.origin.averaged):
        return 0
    if timings.timer is Timer.PREFIX:
        return int(timings.prefix_ns.shape[-1])
    return int(timings.step_ns.shape[-1])


def has_latency_interval(a: Side, b: Side) -> bool:
    """Whether the ratio of the latencies has a 95 % interval: six samples on either side."""
    return not (a.few_samples or b.few_samples)


def has_layer_intervals(a: Side, b: Side) -> bool:
    """Whether the ratios of layers have 95 % intervals: six samples of either kind on each side."""
    return has_latency_interval(a, b) and not (a.few_layer_samples or b.few_layer_samples)


def decides_latency(a: Side, b: Side) -> bool:
    """Whether the latencies may be called slower, faster or the same.

    Fewer than six samples have no 95 % interval; and where one process ran on a busy machine,
    nothing tells its luck from a change.
    """
    return has_latency_interval(a, b) and _is_quiet(a, b)


def _is_quiet(a: Side, b: Side) -> bool:
    return min(a.processes, b.processes) > 1 or not (a.busy or b.busy)


def decides_layers(a: Side, b: Side) -> bool:
    """Nor does anything tell a layer's change from what the timer of one side alone adds to it."""
    alike = len(a.timers | b.timers) == 1
    told = decides_latency(a, b) and has_layer_intervals(a, b)
    return told and (alike or not (a.inflated or b.inflated))


def limits(sides: Sequence[Side], baseline: int = 0, *, in_turn: bool = False) -> Iterator[Remark]:
    """What limits the verdicts on these sides against the baseline's.

    In turn, what the timer adds has been taken off.
    """
    base = sides[baseline]
    others = [i for i in range(len(sides)) if i != baseline]
    told = [i for i in others if decides_latency(base, sides[i])]
    rest = sorted([baseline, *told]) if told else []
    found = {
        Caveat.WRONG_OUTPUTS: [i for i, side in enumerate(sides) if side.wrong],
        Caveat.TIMER_INFLATION: [
            i for i, side in enumerate(sides) if side.inflated and not in_turn
        ],
        Caveat.FEW_SAMPLES: [
            i for i, side in enumerate(sides) if not has_layer_intervals(side, side)
        ],
        Caveat.NOT_DECIDED: [i for i in others if not _is_quiet(base, sides[i])],
        Caveat.BUSY_MACHINE: [i for i in rest if sides[i].busy],
        Caveat.SINGLE_PROCESS: [i for i in rest if sides[i].processes == 1],
    }
    yield from (Remark(kind, tuple(about)) for kind, about in found.items() if about)


def ordered(remarks: Sequence[Remark]) -> tuple[Remark, ...]:
    """The weightiest first."""
    weights = list(Caveat)
    return tuple(sorted(remarks, key=lambda remark: weights.index(remark.kind)))
