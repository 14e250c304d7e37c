"""The words of a gate's outcome, shared by its terminal, Markdown and annotation forms."""

from __future__ import annotations

from math import ceil

from onnxprof.compare.changes import Row
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.compare.verdict import Verdict
from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.rule import Judgement, Spread, plain_alarms, seen_from, unchanged_alarms
from onnxprof.publish.text import verdicts
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import counted, printable

#: Verdicts on layers that a reader is shown first.
_LOUD = (Verdict.SLOWER, Verdict.FASTER, Verdict.ONLY_A, Verdict.ONLY_B)
#: What differs between two versions of a model; that they take turns on the same cores is not it.
_EXPECTED = ("model digest",)
#: Layers by how much they gained or lost, where none is called slower or faster.
_LARGEST = 5


def percent(fraction: float) -> str:
    """`5 %`, `2.7 %`, `0.03 %`: two significant digits."""
    value = 100 * fraction
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def chance(fraction: float) -> str:
    """How often something happens; what is tiny is less than a thousandth."""
    return percent(fraction) if fraction >= 0.001 else "less than 0.1 %"


def rate(fraction: float) -> str:
    """How often something happens at most."""
    return f"at most {percent(fraction)}" if fraction >= 0.001 else chance(fraction)


def confidence(gated: Gated) -> str:
    """The share of both bounds' intervals that hold: `98 %`."""
    return f"{100 * (1 - 2 * gated.rule.level):.3g} %"


def headline(gated: Gated) -> str:
    """What came of it, in a line."""
    failed, slower = (_part(gated, kind) for kind in (Outcome.FAILED, Outcome.SLOWER))
    if failed:
        return f"{failed}not measured"
    if slower:
        return f"{slower}slower by more than {limit(gated)}"
    if gated.stopped:
        return f"{_of(gated, len(gated.stopped))}not shown to be {required(gated)}"
    return f"nothing is shown to be slower by more than {limit(gated)}"


def _part(gated: Gated, kind: Outcome) -> str:
    """How many cases have an outcome; empty for none."""
    count = sum(case.outcome is kind for case in gated.cases)
    return _of(gated, count) if count else ""


def _of(gated: Gated, count: int) -> str:
    return f"{count} of {len(gated.cases)} " + ("case " if len(gated.cases) == 1 else "cases ")


def required(gated: Gated) -> str:
    """What a model has to be shown to be; empty where nothing is asked."""
    words = {
        Requirement.SAME: "the same",
        Requirement.NO_SLOWER: f"within {limit(gated)}",
        Requirement.FASTER: "faster",
    }
    return words[gated.required] if gated.required is not None else ""


def limit(gated: Gated) -> str:
    """The largest slowdown that passes."""
    return percent(gated.rule.max_slowdown)


def interval(judged: Judgement) -> str:
    """The bounds of the ratio."""
    return f"{judged.low:.3f} to {judged.high:.3f}"


def times(case: Case) -> tuple[str, str]:
    """The latencies of the old and the new version; empty where nothing was measured."""
    if case.pair is None:
        return "", ""
    row = case.pair.latency
    return duration(row.a_ns or 0), duration(row.b_ns or 0)


def verdict_text(gated: Gated, case: Case) -> str:
    """A sentence on the outcome of a case."""
    if case.outcome is Outcome.NEW and case.why:
        return f"New: the model of {case.origin} does not have this phase: {case.why}"
    if case.outcome is Outcome.NEW:
        return f"New: {case.origin} has no such model, so there is nothing to compare it with."
    if case.outcome is Outcome.UNCHANGED:
        return f"Unchanged: the same bytes as in {case.origin}, so nothing was measured."
    judged = case.judgement
    if case.outcome is Outcome.FAILED or judged is None:
        return f"Failed: {case.why}"
    old, new = times(case)
    figures = f"{judged.ratio:.3f} times {case.origin} ({interval(judged)}), {old} → {new}"
    return f"{case.outcome.capitalize()}: {figures}; {_meaning(gated, case, judged)}."


def _meaning(gated: Gated, case: Case, judged: Judgement) -> str:
    if case.outcome is Outcome.SLOWER:
        return f"more than the {limit(gated)} that passes"
    within = "" if judged.within else "not shown to be "
    asked = f", and --require {gated.required} asks for more" if gated.stops(case) else ""
    return f"{within}within the limit of {limit(gated)}{asked}"


def noise_text(gated: Gated, noise: Spread) -> str:
    """How far processes scatter here, and what the gate sees and mistakes because of that."""
    rule, pairs = gated.rule, gated.pairs
    seen, unchanged = seen_from(noise, pairs, rule), unchanged_alarms(noise, pairs, rule)
    return (
        f"processes of one model scatter by {percent(noise.of_processes)} here. {pairs} pairs of"
        f" them tell differences from {percent(gated.sees(noise))} on: a slowdown of"
        f" {percent(seen)} is found 9 times in 10, an unchanged model is called slower in"
        f" {rate(unchanged)} of gates. One run of each and a limit of {limit(gated)} would be wrong"
        f" about an unchanged model in {chance(plain_alarms(noise, rule))} of gates"
    )


def blunt_text(gated: Gated, noise: Spread) -> str:
    """What to do where the machine is too noisy for the limit."""
    enough = gated.enough(noise)
    if enough is None:
        remedy = "no number of pairs up to 400 would; take a quieter machine or a higher limit"
    else:
        budget = ceil(enough * gated.process_seconds)
        remedy = f"--processes {enough} --budget {budget} would"
    return (
        f"too noisy to tell a slowdown of {limit(gated)} from none with {gated.pairs} pairs of"
        f" processes: {remedy}"
    )


def notes(case: Case) -> list[str]:
    """What limits the figures of a case, and what differs besides the model."""
    if case.pair is None:
        return []
    facts = [
        printable(fact.sentence("in the old", "in the new version"))
        for fact in case.pair.differences
        if fact.what not in _EXPECTED
    ]
    return facts + [verdicts.remark_text(remark, ("old", "new")) for remark in case.pair.remarks]


def rows(case: Case, most: int) -> tuple[list[Row], bool]:
    """Layers that changed, the largest change first; whether any is called so.

    Where none is and the model is slower or faster, those that gained or lost the most time.
    """
    if case.pair is None:
        return [], False
    loud = [row for row in case.pair.rows if row.verdict in _LOUD]
    if not loud and case.outcome not in (Outcome.SLOWER, Outcome.FASTER):
        return [], False
    shown = sorted(loud or case.pair.rows, key=lambda row: -abs(changed_ns(row)))
    return shown[: most if loud else min(most, _LARGEST)], bool(loud)


def changed_ns(row: Row) -> float:
    """What a row gained."""
    return (row.b_ns or 0.0) - (row.a_ns or 0.0)


def layers_text(called: bool, more: int) -> str:
    """What stands above the layers."""
    left = f"; {counted(more, 'more is', 'more are')} not shown" if more else ""
    if called:
        return f"Layers that changed, the largest change first{left}"
    return "No layer by itself changed beyond chance; these differ the most"


def rule_text(gated: Gated) -> str:
    """The legend of the verdicts; empty where nothing was measured."""
    if all(case.judgement is None for case in gated.cases):
        return ""
    need = f", or not shown to be {required(gated)}" if gated.required is not None else ""
    return (
        f"Old and new were measured in turn, {gated.pairs} pairs of fresh processes. slower: the"
        f" {confidence(gated)} interval lies beyond {limit(gated)}; same: it is within"
        f" ±{limit(gated)}; undecided: neither. False alarms: at most"
        f" {percent(gated.rule.false_alarms)} of gates. The gate stops what is slower than the"
        f" limit{need}."
    )
