"""What a run's warnings say, in plain words, for terminals and pages alike."""

from __future__ import annotations

from collections.abc import Callable

from onnxprof.publish.text.safe import printable
from onnxprof.publish.text.sentences import percent
from onnxprof.records.warning import RunWarning, WarningKind


def warning_text(warning: RunWarning) -> str:
    """What the caveat means for a reader of the numbers, in one or two sentences.

    Values as `measure` gives them: a count of inferences for FEW_SAMPLES; a batch for
    FIXED_BATCH and BATCH_LOST; cores for BUSY_MACHINE; traced over un-profiled for
    TIMER_INFLATION; the largest error (1e308 for NaNs) for PARITY_FAILED; a number of prefixes
    for FEWER_PREFIXES, of events for THROTTLED, or of readings where it has a bound; fractions
    for the rest, for PREFIXES_DISAGREE that by which the longest prefix is faster.
    """
    if warning.kind is WarningKind.HIGH_OVERHEAD:
        return _high(warning.value, warning.bound)
    if warning.kind is WarningKind.PARITY_FAILED and warning.bound:
        return _failed_in_low_precision(warning.value, warning.subject, warning.bound)
    if warning.kind is WarningKind.THROTTLED and warning.bound:
        return _slowed(warning.value, warning.bound, warning.subject)
    return _WORDS[warning.kind](warning.value, warning.subject)


def _unsteady(value: float, _: str) -> str:
    much = (
        f": the medians of its last two groups of inferences differ by {percent(value)}"
        if value
        else ""
    )
    return f"Warm-up ended before inferences took a steady time{much}. Give it a larger --budget."


def _few(value: float, _: str) -> str:
    return (
        f"Only {value:.0f} un-profiled inferences fitted into the budget: too few for a sound"
        " interval of the median. Give it a larger --budget."
    )


def _wide(value: float, _: str) -> str:
    if value == float("inf"):
        return "There are too few samples for a 95 % interval of the median."
    return (
        f"The median is known to ±{percent(value)} only, where ±1 % was asked for."
        " Quieten the machine or give it a larger --budget."
    )


def _inflated(value: float, _: str) -> str:
    return (
        f"With the profiler on, an inference takes {value:.2f} times as long: trust the order and"
        " the shares of the layers rather than their times."
    )


def _negative(value: float, _: str) -> str:
    much = f" by {percent(abs(value))}" if value else ""
    return (
        f"The layers add up to more than the measured latency{much}: the profiler's own cost is in"
        " the steps, so each layer reads too long."
    )


def _high(value: float, bound: float) -> str:
    return (
        f"{percent(value)} of the latency is in no layer, more than the {percent(bound)} that an"
        " empty call and a margin of 3 % explain: the machine was too noisy to divide it better, or"
        " the runtime spends that much between its steps."
    )


def _unverified(value: float, reason: str) -> str:
    return (
        f"{percent(value)} of the steps' time belongs to layers by names and structure alone, not"
        f" checked by values ({reason}). onnxprof provenance lists the steps."
    )


def _unattributed(value: float, _: str) -> str:
    much = f"{percent(value)} of the steps' time" if value else "Some of the steps' time"
    return f"{much} was spent in steps that could be tied to no layer."


def _fixed(value: float, subject: str) -> str:
    size = f" of {value:.0f}" if value else ""
    reason = f": {printable(subject).rstrip('.')}" if subject else ""
    return f"The model was measured at its own batch{size}{reason}."


def _lost(value: float, subject: str) -> str:
    name = f"Output {printable(subject)}" if subject else "An output"
    size = f"batch {value:.0f}" if value else "another batch"
    return f"{name} came out with {size}, not with the one asked for: distrust this run."


def _items_mix(_: float, subject: str) -> str:
    return (
        f"Items of the batch affect one another ({printable(subject)}): a batch of k is another"
        " amount of work than k runs of one item."
    )


def _quantised_together(_: float, subject: str) -> str:
    return (
        "Outputs of an item depend a little on what else is in its batch, since scales are taken"
        f" from the whole batch while it runs: {printable(subject).rstrip('.')}."
    )


def _ill_conditioned(value: float, subject: str) -> str:
    much = f" by up to {percent(value)}" if value else ""
    return (
        f"Output {printable(subject)} differs{much} between a batch and single items, as it does"
        " where inputs change by a rounding error: the network is ill-conditioned."
    )


def _unproven(_: float, subject: str) -> str:
    why = f": {printable(subject).rstrip('.')}" if subject else ""
    return f"It was not checked that this batch gives what single items give{why}."


def _no_prefixes(_: float, subject: str) -> str:
    why = f": {printable(subject)}" if subject else ""
    return f"The prefix timer could not be used, and the profiler's times are shown{why}."


def _disagree(value: float, _: str) -> str:
    return (
        f"The model cut into prefixes took {percent(abs(value))} {'less' if value > 0 else 'more'}"
        " time than the model itself; the layers were scaled to make up for it. The machine was"
        " noisy, or the model is so small that the place of its buffers matters."
    )


def _truncated(value: float, _: str) -> str:
    return (
        f"The runtime's profile was full before the measurement ended: steps have the times of its"
        f" first {value:.0f} inferences alone."
    )


def _fewer_prefixes(value: float, _: str) -> str:
    return (
        f"Memory did not allow each process as many prefixes as another: the {value:.0f} that all"
        " of them timed were used, so layers between two of them are known less well."
    )


def _throttled(value: float, subject: str) -> str:
    return (
        f"The processor was held back during the measurement ({value:.0f} events,"
        f" {printable(subject)}): the times are those of a slower machine."
    )


def _slowed(value: float, bound: float, subject: str) -> str:
    return (
        f"The device was held back in {value:.0f} of {bound:.0f} readings beside the steady"
        f" stretch ({printable(subject)}): the times are those of a slower device."
    )


def _unlocked(_: float, subject: str) -> str:
    return (
        f"The processor's clock may change at any time ({printable(subject)}); a fixed one makes"
        " times repeat better."
    )


def _fallback(value: float, subject: str) -> str:
    return (
        f"{percent(value)} of the steps' time was spent by another execution provider than the"
        f" one that was asked for: {printable(subject)}."
    )


def _busy(value: float, _: str) -> str:
    cores = f" {value:.1f} cores" if value else " the machine"
    return f"Other programs kept{cores} busy during the measurement."


def _failed_parity(value: float, subject: str) -> str:
    name = f"Output {printable(subject)}" if subject else "An output"
    much = "" if value >= _ENDLESS else f" by up to {percent(value)}"
    return (
        f"{name} differs from the reference (onnxruntime on the CPU, unoptimised){much}, more"
        " than its type explains: fast or not, this answer is wrong."
    )


def _failed_in_low_precision(value: float, subject: str, bound: float) -> str:
    much = "" if value >= _ENDLESS else f" by {percent(value)}"
    return (
        f"Output {printable(subject)} differs from the reference (onnxruntime on the CPU,"
        f" unoptimised){much}, where rounding to 16 bits or fewer explains {percent(bound)}: fast"
        " or not, this answer is wrong."
    )


def _imported(_: float, subject: str) -> str:
    return f"Another program measured this: {printable(subject).rstrip('.')}."


def _drifted(value: float, _: str) -> str:
    direction = "rose" if value > 0 else "fell"
    return (
        f"Latency {direction} by {percent(abs(value))} while it was measured:"
        " clocks, heat or other load changed."
    )


def _launches(value: float, subject: str) -> str:
    why = printable(subject)
    if not value:
        return f"The layers have no times, since none could be had but those of launches: {why}."
    what = "All steps" if value >= 1 else f"{percent(value)} of the steps"
    return (
        f"{what} have times that rest on how long the host took to launch them, not on how long"
        f" the device took: {why}."
    )


#: As which infinities are stored.
_ENDLESS = 1e308
#: HIGH_OVERHEAD is not among them: it has two figures.
_WORDS: dict[WarningKind, Callable[[float, str], str]] = {
    WarningKind.UNSTEADY_WARMUP: _unsteady,
    WarningKind.FEW_SAMPLES: _few,
    WarningKind.WIDE_INTERVAL: _wide,
    WarningKind.TIMER_INFLATION: _inflated,
    WarningKind.NEGATIVE_OVERHEAD: _negative,
    WarningKind.UNATTRIBUTED_TIME: _unattributed,
    WarningKind.UNVERIFIED_TIME: _unverified,
    WarningKind.FIXED_BATCH: _fixed,
    WarningKind.BATCH_LOST: _lost,
    WarningKind.ITEMS_MIX: _items_mix,
    WarningKind.QUANTISED_TOGETHER: _quantised_together,
    WarningKind.ILL_CONDITIONED: _ill_conditioned,
    WarningKind.BATCH_UNPROVEN: _unproven,
    WarningKind.BUSY_MACHINE: _busy,
    WarningKind.THROTTLED: _throttled,
    WarningKind.UNLOCKED_CLOCKS: _unlocked,
    WarningKind.FALLBACK_PROVIDER: _fallback,
    WarningKind.TRUNCATED_PROFILE: _truncated,
    WarningKind.FEWER_PREFIXES: _fewer_prefixes,
    WarningKind.NO_PREFIXES: _no_prefixes,
    WarningKind.PREFIXES_DISAGREE: _disagree,
    WarningKind.DRIFT: _drifted,
    WarningKind.PARITY_FAILED: _failed_parity,
    WarningKind.LAUNCH_TIMES: _launches,
    WarningKind.IMPORTED: _imported,
}
