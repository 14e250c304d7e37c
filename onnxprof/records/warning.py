"""All kinds of warnings of a run, with one entry for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from onnxprof.records.warning_entry import Entry, Figure, Unit, Values

_STEPS_TIME = "part of the steps' time"
_REFERENCE = "the reference (onnxruntime on the CPU, unoptimised)"


def _text(given: object, text: str) -> str:
    """The text if a figure or subject is given, else an empty string."""
    return text if given else ""


class WarningKind(StrEnum):
    """Kinds of warnings. A member is its name in stored runs; `entry` says what it means."""

    _value_: str
    entry: Entry

    def __new__(cls, entry: Entry) -> Self:
        """A member whose value is its name as text."""
        kind = str.__new__(cls, entry.name)
        kind._value_, kind.entry = entry.name, entry
        return kind

    UNSTEADY_WARMUP = Entry(
        "unsteady_warmup",
        value=Figure("by how much the last two groups' medians differ", Unit.FRACTION),
        words=lambda w: (
            "Inferences had not settled to a steady time when warm-up ended"
            + _text(w.value, f": the medians of its last two groups differ by {w.value}")
            + ". Use a larger --budget."
        ),
    )
    FEW_SAMPLES = Entry(
        "few_samples",
        value=Figure("un-profiled inferences", Unit.COUNT),
        words=lambda w: (
            f"Only {w.value} un-profiled inferences fitted into the budget: too few for a sound"
            " interval of the median. Use a larger --budget."
        ),
        from_samples=True,
    )
    WIDE_INTERVAL = Entry(
        "wide_interval",
        value=Figure(
            "half of the median's 95 % interval over the median; 0 for too few samples to have one",
            Unit.FRACTION,
        ),
        words=lambda w: (
            f"The median is known to ±{w.value} only, where ±1 % was asked for."
            " Quieten the machine or use a larger --budget."
            if w.value
            else "There are too few samples for a 95 % interval of the median."
        ),
        from_samples=True,
    )
    TIMER_INFLATION = Entry(
        "timer_inflation",
        value=Figure("traced over un-profiled latency", Unit.RATIO),
        words=lambda w: (
            f"With the profiler on, an inference takes {w.value} times as long: trust the order"
            " and the shares of the layers rather than their times."
        ),
        from_samples=True,
    )
    NEGATIVE_OVERHEAD = Entry(
        "negative_overhead",
        value=Figure("overhead over the un-profiled median; below 0", Unit.FRACTION),
        words=lambda w: (
            "The layers add up to more than the measured latency"
            + _text(w.value, f" by {w.value}")
            + ": the profiler's own cost is in the steps, so each layer's time is too long."
        ),
        from_samples=True,
    )
    HIGH_OVERHEAD = Entry(
        "high_overhead",
        value=Figure("overhead over the un-profiled median", Unit.FRACTION),
        bound=Figure("an empty call over that median, plus 0.03", Unit.FRACTION),
        words=lambda w: (
            f"{w.value} of the latency is in no layer, more than the {w.bound} that an empty"
            " call and a margin of 3 % explain: the machine was too noisy to divide it better,"
            " or the runtime spends that much between its steps."
        ),
        from_samples=True,
    )
    UNATTRIBUTED_TIME = Entry(
        "unattributed_time",
        value=Figure(f"{_STEPS_TIME} in steps of no layer", Unit.FRACTION),
        words=lambda w: (
            (f"{w.value} of the" if w.value else "Some of the")
            + " steps' time was spent in steps that could be tied to no layer."
        ),
        from_samples=True,
    )
    UNVERIFIED_TIME = Entry(
        "unverified_time",
        value=Figure(f"{_STEPS_TIME} in steps not checked by values", Unit.FRACTION),
        subject="why the longest of them was not checked",
        words=lambda w: (
            f"{w.value} of the steps' time belongs to layers by names and structure alone, not"
            f" checked by values ({w.subject}). onnxprof provenance lists the steps."
        ),
        from_samples=True,
    )
    FIXED_BATCH = Entry(
        "fixed_batch",
        value=Figure("the batch that was measured", Unit.COUNT),
        subject="the layer that forbids another, and why",
        words=lambda w: (
            "The model was measured at its own batch"
            + _text(w.value, f" of {w.value}")
            + _text(w.subject, f": {w.subject}")
            + "."
        ),
    )
    BATCH_LOST = Entry(
        "batch_lost",
        value=Figure("the output's batch", Unit.COUNT),
        subject="the output",
        words=lambda w: (
            f"{_output(w)} came out with "
            + (f"batch {w.value}" if w.value else "another batch")
            + ", not with the one asked for: distrust this run."
        ),
    )
    ITEMS_MIX = Entry(
        "items_mix",
        value=Figure("largest relative difference of an output; 0 if not known", Unit.FRACTION),
        subject="the layer or output where items meet",
        words=lambda w: (
            f"Items of the batch affect one another ({w.subject}): a batch of k is another"
            " amount of work than k runs of one item."
        ),
    )
    QUANTISED_TOGETHER = Entry(
        "quantised_together",
        subject="the layer that takes one scale of the whole batch",
        words=lambda w: (
            "Outputs of an item depend a little on what else is in its batch, since scales are"
            f" taken from the whole batch while it runs: {w.subject}."
        ),
    )
    ILL_CONDITIONED = Entry(
        "ill_conditioned",
        value=Figure("largest relative difference between batch and items", Unit.FRACTION),
        subject="the output",
        words=lambda w: (
            f"Output {w.subject} differs"
            + _text(w.value, f" by up to {w.value}")
            + " between a batch and single items, as it does where inputs change by a rounding"
            " error: the network is ill-conditioned."
        ),
    )
    BATCH_UNPROVEN = Entry(
        "batch_unproven",
        subject="what kept the check from an answer",
        words=lambda w: (
            "It was not checked that a batch of this size gives what its items give one by one"
            + _text(w.subject, f": {w.subject}")
            + "."
        ),
    )
    BUSY_MACHINE = Entry(
        "busy_machine",
        value=Figure("cores that other programs kept busy", Unit.CORES),
        words=lambda w: (
            "Other programs kept "
            + (f"{w.value} cores" if w.value else "the machine")
            + " busy during the measurement."
        ),
    )
    THROTTLED = Entry(
        "throttled",
        value=Figure("events, or readings where there is a bound", Unit.COUNT),
        bound=Figure("all readings beside the steady stretch; 0 for events", Unit.COUNT),
        subject="what held the device back",
        words=lambda w: (
            f"The device was held back in {w.value} of {w.bound} readings beside the steady"
            f" stretch ({w.subject}): the times are those of a slower device."
            if w.bound
            else f"The processor was held back during the measurement ({w.value} events,"
            f" {w.subject}): the times are those of a slower machine."
        ),
    )
    UNLOCKED_CLOCKS = Entry(
        "unlocked_clocks",
        subject="what may change the clock",
        words=lambda w: (
            f"The processor's clock may change at any time ({w.subject}); a fixed one makes"
            " times repeat better."
        ),
    )
    FALLBACK_PROVIDER = Entry(
        "fallback_provider",
        value=Figure(f"{_STEPS_TIME} that another provider spent", Unit.FRACTION),
        subject="that execution provider",
        words=lambda w: (
            f"{w.value} of the steps' time was spent by another execution provider than the"
            f" one that was asked for: {w.subject}."
        ),
    )
    WIDENED = Entry(
        "widened",
        value=Figure(f"{_STEPS_TIME} in casts that belong to no layer", Unit.FRACTION),
        subject="how many layers of half precision are computed in which type",
        words=lambda w: (
            f"As the graph that runs shows, {w.subject}: their times are those of the wider type"
            + _text(w.value, f", and {w.value} of the steps' time goes into casts around them")
            + "."
        ),
    )
    TRUNCATED_PROFILE = Entry(
        "truncated_profile",
        value=Figure("inferences in the runtime's profile", Unit.COUNT),
        bound=Figure("inferences under the profiler", Unit.COUNT),
        words=lambda w: (
            "The runtime's profile was full before the measurement ended: steps have the times"
            f" of its first {w.value} inferences alone."
        ),
    )
    NO_PREFIXES = Entry(
        "no_prefixes",
        subject="why prefixes could not be timed",
        words=lambda w: (
            "The prefix timer could not be used, and the profiler's times are shown"
            + _text(w.subject, f": {w.subject}")
            + "."
        ),
    )
    FEWER_PREFIXES = Entry(
        "fewer_prefixes",
        value=Figure("prefixes that all processes timed", Unit.COUNT),
        bound=Figure("the most prefixes that one process timed", Unit.COUNT),
        words=lambda w: (
            "Not every process timed the same prefixes, for lack of memory or because its steps ran"
            f" in another order: the {w.value} that all of them timed are used, so layers between"
            " two of these are known less well."
        ),
    )
    PREFIXES_DISAGREE = Entry(
        "prefixes_disagree",
        value=Figure("by which the longest prefix is faster than the model", Unit.FRACTION),
        words=lambda w: (
            f"The longest prefix, which is the whole model again, took {w.value}"
            f" {'less' if w.value.number > 0 else 'more'} time than the model itself; the"
            " layers were scaled to make up for it. The machine was noisy, or the model is so"
            " small that the place of its buffers in memory changes its time."
        ),
        from_samples=True,
    )
    DRIFT = Entry(
        "drift",
        value=Figure("change of the latency while measured; below 0 if it fell", Unit.FRACTION),
        words=lambda w: (
            f"Latency {'rose' if w.value.number > 0 else 'fell'} by {w.value} while it was"
            " measured: clocks, heat or other load changed."
        ),
        from_samples=True,
    )
    PARITY_FAILED = Entry(
        "parity_failed",
        value=Figure("the worst output's error; `inf` for NaN", Unit.FRACTION),
        bound=Figure("what low precision explains of it; 0 in full precision", Unit.FRACTION),
        subject="that output",
        words=lambda w: (
            f"{_output(w)} differs from {_REFERENCE}"
            + _text(w.value, f" by {'' if w.bound else 'up to '}{w.value}")
            + (
                f", where rounding to 16 bits or fewer explains {w.bound}"
                if w.bound
                else ", more than its type explains"
            )
            + ": fast or not, this answer is wrong."
        ),
    )
    UNTESTED_RUNTIME = Entry(
        "untested_runtime",
        subject="the version, and the oldest that is tested",
        words=lambda w: f"Not everything may work as it does with later versions: {w.subject}.",
    )
    RUNTIME_LACKS = Entry(
        "runtime_lacks",
        subject="the call, and what was done instead",
        words=lambda w: f"This version of the runtime lacks something: {w.subject}.",
    )
    STATES_KEPT = Entry(
        "states_kept",
        subject="the backend",
        words=lambda w: (
            "Each inference read the same states, from buffers that its outputs do not share:"
            f" {w.subject} hands none on."
        ),
    )
    LAUNCH_TIMES = Entry(
        "launch_times",
        value=Figure("part of the steps whose times rest on launches", Unit.FRACTION),
        subject="why launches are all that was timed",
        words=lambda w: (
            ("All steps" if w.value.number >= 1 else f"{w.value} of the steps")
            + " have times that rest on how long the host took to launch them, not on how long"
            f" the device took: {w.subject}."
            if w.value.number
            else "The layers have no times: all that could be timed is how long the host took to"
            f" launch the steps, not how long the device took: {w.subject}."
        ),
    )
    IMPORTED = Entry(
        "imported",
        value=Figure("inferences behind a step's time; 0 if not known", Unit.COUNT),
        subject="what the files do not tell",
        words=lambda w: f"Another program measured this: {w.subject}.",
    )
    PUBLISHED_BOUND = Entry(
        "published_bound",
        value=Figure("layers that were never timed", Unit.COUNT),
        subject="which layers those are, and what else the tables lack",
        words=lambda w: (
            "As published in 2020: cuDNN primitives timed one by one, a lower bound, no latency"
            " measured" + _text(w.subject, f"; {w.subject}") + "."
        ),
    )


def _output(values: Values) -> str:
    return f"Output {values.subject}" if values.subject else "An output"


@dataclass(frozen=True, slots=True)
class RunWarning:
    """One warning of a run; the entry of the kind defines the figures and the subject."""

    kind: WarningKind
    value: float = 0.0
    subject: str = ""
    """The layer or output concerned, or a reason."""
    bound: float = 0.0
    """The limit that the value is compared with."""
