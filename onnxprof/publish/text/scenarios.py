"""A load scenario in words: what was asked, what came of it, how far it is LoadGen's own time."""

from __future__ import annotations

from onnxprof.publish.text.numbers import duration, percent, rate
from onnxprof.publish.text.safe import counted, printable
from onnxprof.publish.text.sentences import threads
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import RULES_S, RULES_SAMPLES, Asked, Scenario
from onnxprof.records.scenarios.run import Probe, ScenarioRun

#: What each scenario is judged by, for headings.
JUDGED = {
    Scenario.SINGLE_STREAM: "90th percentile of the latency",
    Scenario.MULTI_STREAM: "99th percentile of the latency of a query of 8 samples",
    Scenario.SERVER: "queries a second within the target latency",
    Scenario.OFFLINE: "samples a second",
}
_LOADS = {
    Scenario.SINGLE_STREAM: "one sample after another",
    Scenario.MULTI_STREAM: "queries of 8 samples, one after another",
    Scenario.SERVER: "queries at random moments",
    Scenario.OFFLINE: "all samples at once",
}
#: Behind figures in tables.
QUICK, INVALID = "q", "!"
LEGEND = f"{QUICK}: quick, shorter than the rules have it; {INVALID}: LoadGen calls it invalid."
_NO_FIGURE, _NO_RATE = "-", "none"
#: From which part of a result on LoadGen's own time is worth a remark.
_MUCH = 0.05


def figure(run: ScenarioRun) -> str:
    """The result with its unit: `12.4 ms`, `41.2 queries/s`.

    `none` where the target latency does not hold, `-` where there is no result.
    """
    value = run.figure
    if value is None:
        return _NO_FIGURE if run.answer is None else _NO_RATE
    if run.asked.scenario is Scenario.SERVER:
        return f"{rate(value)} queries/s"
    if run.asked.scenario is Scenario.OFFLINE:
        return f"{rate(value)} samples/s"
    return duration(value)


def marks(run: ScenarioRun) -> str:
    """What must be known of a figure in a table: quick, invalid."""
    is_invalid = run.answer is not None and not run.answer.valid
    return (QUICK if run.asked.is_quick else "") + (INVALID if is_invalid else "")


def asked_text(asked: Asked) -> str:
    """The load and the system under it."""
    parts = [_LOADS[asked.scenario]]
    if asked.scenario is Scenario.SERVER:
        parts.append(f"99 % of them within {duration(asked.target_latency_ns)}")
        parts.append(f"{rate(asked.rate)} a second" if asked.rate else "the highest rate")
    parts.append(system_text(asked))
    if asked.scenario is Scenario.OFFLINE:
        parts.append(f"{asked.samples:,} samples at least")
    return "; ".join([*parts, f"{asked.duration_s:g} s at least"])


def system_text(asked: Asked) -> str:
    """As in `2 sessions of 1 thread, batches up to 8, waiting 2 ms, optimisation level basic`."""
    text = f"{counted(asked.sessions, 'session', 'sessions')} of {threads(asked.threads)}"
    text += f", batches up to {asked.max_batch}" if asked.max_batch > 1 else ", batch 1"
    text += f", waiting {duration(asked.max_wait_ns)}" if asked.max_wait_ns else ""
    return ", ".join([text, *asked.setup.words])


def quick_text(asked: Asked) -> str:
    """How a run falls short of the rules; empty where it does not."""
    if not asked.is_quick:
        return ""
    text = f"Quick: {asked.duration_s:g} s, where the rules have {RULES_S:.0f} s"
    if asked.scenario is Scenario.OFFLINE and asked.samples < RULES_SAMPLES:
        text += f" and {RULES_SAMPLES:,} samples"
    return f"{text}."


def result_text(run: ScenarioRun) -> str:
    """The figure, and the samples behind it. The run has an answer."""
    answer = _answer(run)
    if run.asked.scenario is Scenario.OFFLINE:
        return f"{figure(run)}, over {counted(answer.samples, 'sample', 'samples')}"
    queries = counted(answer.queries, "query", "queries")
    name = f"{_ordinal(100 * answer.percentile)} percentile"
    if run.asked.scenario is not Scenario.SERVER:
        return f"{figure(run)} at the {name}, over {queries}"
    within = f"{name} {duration(answer.percentile_ns)}"
    late = f", {answer.over_latency:,} of them late" if answer.over_latency else ""
    return f"{_rate_text(run, answer)}; {within}, over {queries}{late}"


def _rate_text(run: ScenarioRun, answer: Answer) -> str:
    """The rate that held, or at which rate the latency is what follows."""
    if answer.latency_met:
        return figure(run)
    at = f"at {rate(answer.scheduled_rate)} queries/s"
    return f"too late {at}" if run.asked.rate else f"no rate is in time: {at}"


def validity_text(answer: Answer) -> str:
    """Whether LoadGen calls the run valid, and why not."""
    if answer.valid:
        bound = duration(answer.estimate_ns)
        return verdict_text(answer) + (
            f"; with 99 % confidence, at most {bound}" if answer.estimate_ns else ""
        )
    words = f" LoadGen on early stopping: {printable(answer.early_stopping)}"
    told = words if answer.early_stopping and not answer.early_stopping_met else ""
    return f"{verdict_text(answer)}.{told}"


def verdict_text(answer: Answer) -> str:
    """`yes`, or `no` and why."""
    return "yes" if answer.valid else f"no: {'; '.join(answer.reasons)}"


def floor_text(run: ScenarioRun) -> str:
    """What LoadGen and the queue take by themselves, beside the result."""
    answer, floor = _answer(run), run.floor
    if floor is None:
        return "not measured"
    if run.asked.scenario is Scenario.OFFLINE:
        share = answer.completed_rate / floor.completed_rate if floor.completed_rate else 0.0
        text = (
            f"a system that does nothing: {rate(floor.completed_rate)} samples/s;"
            f" its time of a sample is {percent(share)} of the result's"
        )
    else:
        share = floor.percentile_ns / answer.percentile_ns if answer.percentile_ns else 0.0
        text = (
            f"a system that does nothing: {duration(floor.percentile_ns)} at this percentile,"
            f" {percent(share)} of the result"
        )
    note = "; so much of it may be LoadGen's own" if share > _MUCH else ""
    return f"{text}{note}"


def behind_text(run: ScenarioRun) -> str:
    """In few words: LoadGen's floor and how many samples are behind the figure."""
    answer, floor = _answer(run), run.floor
    parts = []
    if floor is not None:
        is_offline = run.asked.scenario is Scenario.OFFLINE
        least = f"{rate(floor.completed_rate)}/s" if is_offline else duration(floor.percentile_ns)
        parts.append(f"floor {least}")
    return ", ".join([*parts, counted(answer.samples, "sample", "samples")])


def search_text(probes: tuple[Probe, ...]) -> str:
    """What rates were tried and which of them held; empty without a search."""
    if not probes:
        return ""
    tried = ", ".join(f"{rate(p.rate)}{'' if p.held else ' (late)'}" for p in probes)
    return f"{counted(len(probes), 'rate', 'rates')} beside it: {tried}"


def batches_text(batches: tuple[tuple[int, int], ...]) -> str:
    """How many inferences had so many samples: `812 of 1, 44 of 2, 3 of 5`."""
    return ", ".join(f"{count:,} of {size}" for size, count in batches)


def _answer(run: ScenarioRun) -> Answer:
    assert run.answer is not None
    return run.answer


def _ordinal(percentile: float) -> str:
    return f"{percentile:.4g}th"
