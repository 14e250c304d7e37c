"""Marks, colours and legends of verdicts, and sentences for caveats, for every table."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.compare.verdict import FALSE_DISCOVERIES, Caveat, Remark, Verdict
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable

#: Marks after a ratio of times; none for an undecided one.
MARKS = {Verdict.SLOWER: "▲", Verdict.FASTER: "▼", Verdict.SAME: "="}
#: Marks after a speed-up in per cent, whose sign is the direction.
SIGNED_MARKS = {Verdict.SLOWER: "*", Verdict.FASTER: "*", Verdict.SAME: "="}
#: Icons before a verdict's word in Markdown.
ICONS = {Verdict.SLOWER: "🔴 ", Verdict.FASTER: "🟢 "}
#: Colours of a terminal.
STYLES = {Verdict.SLOWER: "red", Verdict.FASTER: "green", Verdict.UNDECIDED: "dim"}
#: Mark after a time whose step was assigned to layers by inference.
INFERRED = "~"

_UNTOLD = "the measurement does not tell"
#: Sentences of caveats, printed after the names of the runs concerned.
_CAVEATS = {
    Caveat.WRONG_OUTPUTS: "outputs differ from the reference's: fast or not, wrong.",
    Caveat.MODELS_DIFFER: (
        "another model file than the baseline's; layers were matched by their names."
    ),
    Caveat.QUANTISED: (
        "a quantised form of the float network; its layers stand under the names of the float"
        " layers that they were matched with."
    ),
    Caveat.NO_COMMON_LAYER: "no layer has the same name on both sides: only latency is compared.",
    Caveat.ONE_STEP: "ran as one step, which tells nothing of its layers; it is in the sums alone.",
    Caveat.NO_STEP_TIMES: "no layer was timed; it is in the median alone.",
    Caveat.NO_LATENCY: (
        "imported without un-profiled latencies, so its overhead is not known; shares are of its"
        " steps' sum."
    ),
    Caveat.AVERAGED: (
        "its step times are averages that another program wrote; ratios of its layers have no"
        " interval."
    ),
    Caveat.COARSE: (
        "one step covers most of the layers, so they are one block; leave it out to see more."
    ),
    Caveat.INFERRED: f"{INFERRED} marks steps whose layers were not checked by values.",
    Caveat.TIMER_INFLATION: (
        "the timer made inferences longer: trust the layers' order and shares; changes of short"
        " layers read too small. Against another runtime's timer, or another kind of timer, no"
        " layer is called slower or faster."
    ),
    Caveat.TIMERS_DIFFER: "the sides' layers were timed by different timers.",
    Caveat.FEW_SAMPLES: (
        "fewer than six samples, which have a range and no 95 % interval: nothing is called slower"
        " or faster. Measure with a larger --budget."
    ),
    Caveat.NOT_DECIDED: (
        "one process on a side, and a busy machine: nothing is called slower or faster. Measure"
        " with --processes 10, or on an idle machine."
    ),
    Caveat.BUSY_MACHINE: "other programs kept the machine busy; expect wide intervals.",
    Caveat.SINGLE_PROCESS: (
        "one process: how far processes differ is assumed, not measured, so only large changes"
        " are reported. Measure with --processes 10."
    ),
}


def remark_text(remark: Remark, names: Sequence[str]) -> str:
    """A caveat as sentences, after the names of its columns; `names` are those of all columns."""
    about = ", ".join(printable(names[i]) for i in remark.columns)
    words = _CAVEATS[remark.kind]
    return f"{about}: {words}" if about else words[0].upper() + words[1:]


def mark(verdict: Verdict | None, blank: str = "") -> str:
    """The mark after a ratio of times; `blank` if there is none."""
    return MARKS.get(verdict, blank) if verdict else blank


def marks_text(threshold: float) -> str:
    """A legend of the marks after ratios."""
    much = percent(threshold)
    return (
        f"{MARKS[Verdict.SLOWER]} slower, {MARKS[Verdict.FASTER]} faster: by more than {much}, with"
        f" 95 % confidence; {MARKS[Verdict.SAME]} within ±{much}; no mark: {_UNTOLD}."
    )


def signed_marks_text(threshold: float) -> str:
    """A legend of the marks after speed-ups."""
    much = percent(threshold)
    return (
        f"{SIGNED_MARKS[Verdict.FASTER]} faster (+) or slower (-) by more than {much}, with 95 %"
        f" confidence; {SIGNED_MARKS[Verdict.SAME]} within ±{much}; no mark: {_UNTOLD}."
    )


def words_text(threshold: float) -> str:
    """A legend of the verdicts' words, for rows that are judged together."""
    much = percent(threshold)
    return (
        f"slower, faster: by more than {much}, at most {100 * FALSE_DISCOVERIES:.0f} % of such rows"
        f" by chance; same: the interval is within ±{much}; undecided: {_UNTOLD}."
    )
