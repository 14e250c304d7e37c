"""The budget that brings the 95 % interval of a run's median to ±1 %."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

from onnxprof.analysis import intervals
from onnxprof.analysis.grades import has_interval
from onnxprof.analysis.thresholds import ENOUGH, PRECISION
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import counted
from onnxprof.records.run import Run
from onnxprof.records.timings import Timings

#: No longer budget is proposed: a quieter machine helps more than an hour of sampling.
MOST_S = 3600
_MOST_PROCESSES = 1000
#: From here on a quieter machine is the better advice.
_LONG_S = 120
#: So many times its budget a run took far longer; the last block may exceed it a little.
_MUCH_LONGER = 1.5
#: Budgets are rounded up to one of these figures times a power of ten.
_STEPS = (1, 2, 3, 5, 8, 10)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to ask for."""

    seconds: float
    processes: int
    note: str
    """Why so much, in a sentence; empty where the run itself came to ±1 %."""


def estimate(run: Run) -> Estimate:
    """The budget that reaches ±1 %, from the run's samples.

    The half-width h of a median's interval falls with the square root of the number of samples
    (David and Nagaraja, Order Statistics, 3rd ed., section 7.1), which grows with the budget. So a
    run of B seconds with n samples needs B (h / 1 %)² seconds, and at least B · 20 / n, as fewer
    than 20 samples are never settled; a run that came to ±1 % with 20 or more needs what it had.
    B is the budget that the run's command states, or all of its samples where these took longer.
    Below six samples h is half of their range. Of several processes the spread between them counts,
    which only more processes narrow: their number grows by the same factor. The seconds are
    rounded up to 1, 2, 3, 5 or 8 times a power of ten.

    It holds for a machine as noisy as that of the run, whose samples are taken for independent.
    Where a number of inferences or a least duration was asked for, that is what is repeated.
    """
    had, processes = stated_budget(run), run.request.processes
    if run.request.iterations or run.request.duration:
        return Estimate(had, processes, "")
    timings = run.timings
    if timings is None or not timings.latency_ns.size:
        return Estimate(had, processes, "")
    spent = max(had, _sampled_s(timings))
    width, factor = _half_width(timings), _factor(timings)
    if factor <= 1:
        return Estimate(had if spent == had else _rounded(spent), processes, "")
    wanted = spent * factor
    capped = not wanted <= MOST_S
    return Estimate(
        float(MOST_S) if capped else _rounded(wanted),
        processes if processes == 1 else _more(processes, factor),
        _note(width, int(timings.latency_ns.size), had, spent, wanted),
    )


def stated_budget(run: Run) -> float:
    """Seconds that the run's command states; the usual 5 where it states none."""
    from onnxprof.measure.budget import Budget

    usual = Budget().seconds
    try:
        words = shlex.split(run.command)
        seconds = float(words[words.index("--budget") + 1])
    except (ValueError, IndexError):
        return usual
    return seconds if 0 < seconds <= MOST_S else usual


def _sampled_s(timings: Timings) -> float:
    """All samples of whole inferences, in seconds; those of prefixes are parts of rounds."""
    kept = (timings.warmup_ns, timings.latency_ns, timings.traced_ns)
    return float(sum(float(samples.sum()) for samples in kept)) / 1e9


def _half_width(timings: Timings) -> float:
    low, high = intervals.latency_interval(timings)
    median = intervals.median_ns(timings.latency_ns)
    return (high - low) / 2 / median if median else math.inf


def _factor(timings: Timings) -> float:
    """By how much there must be more samples; 1 where there are enough."""
    count, width = int(timings.latency_ns.size), _half_width(timings)
    if count >= ENOUGH and width <= PRECISION:
        return 1.0
    return max((width / PRECISION) ** 2, ENOUGH / count, 1.0)


def _more(processes: int, factor: float) -> int:
    wanted = processes * factor
    return math.ceil(wanted) if wanted < _MOST_PROCESSES else _MOST_PROCESSES


def _rounded(seconds: float) -> float:
    """Up to 1, 2, 3, 5 or 8 times a power of ten, at least one second."""
    if seconds <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(seconds))
    step = next(step for step in _STEPS if step * power >= seconds * (1 - 1e-9))
    return float(min(step * power, MOST_S))


def _note(width: float, count: int, had: float, spent: float, wanted: float) -> str:
    samples = f"{counted(count, 'sample', 'samples')} in {spent:.3g} s"
    if spent > _MUCH_LONGER * had:
        samples += f", longer than its budget of {had:g} s since its inferences are long"
    known = math.isfinite(width) and has_interval(count)
    reached = f"is known to ±{percent(width)}, with" if known else "has"
    head = f"This run {reached} {samples}"
    if not wanted <= MOST_S:
        return f"{head}; times vary so much that an hour is too short for ±1 %, so find the cause"
    quieter = "; a quieter machine takes less" if wanted > _LONG_S else ""
    return f"{head}; where times vary as much, ±1 % takes the budget above{quieter}"
