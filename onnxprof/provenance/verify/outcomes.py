"""What verdicts mean for the steps of a run: their confidence, and the layers that they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from onnxprof.provenance.verify.verdicts import Outcome, Verdict
from onnxprof.records.step import Confidence, Step

#: The evidence of a tie that was made by values, because the one by names was refuted.
BY_VALUE = "values of its tensors"


def judged(
    steps: Sequence[Step],
    verdicts: Sequence[Verdict],
    repaired: Mapping[int, tuple[str, ...]] | None = None,
) -> tuple[Step, ...]:
    """The steps with their verdicts, which count steps by position.

    A verified step is `exact`; an unchecked one is `inferred`; a refuted one loses the layers.
    `repaired` maps steps to layers that were found by value and are verified already.
    """
    by_step = {verdict.step: verdict for verdict in verdicts}
    mended = repaired or {}
    return tuple(
        _mended(step, mended[i], by_step.get(i)) if i in mended else _judged(step, by_step.get(i))
        for i, step in enumerate(steps)
    )


def _judged(step: Step, verdict: Verdict | None) -> Step:
    if verdict is None:
        return step
    if verdict.outcome is Outcome.VERIFIED:
        return replace(step, confidence=Confidence.EXACT, verdict=Outcome.VERIFIED.value)
    text = f"{verdict.outcome.value}: {verdict.reason}"
    if verdict.outcome is Outcome.UNCHECKED:
        return replace(step, confidence=Confidence.INFERRED, verdict=text)
    claimed = f"{text} ({', '.join(step.layers)})"
    return replace(step, layers=(), confidence=Confidence.NONE, verdict=claimed)


def _mended(step: Step, layers: tuple[str, ...], verdict: Verdict | None) -> Step:
    del verdict
    return replace(
        step,
        layers=layers,
        confidence=Confidence.EXACT,
        evidence=BY_VALUE,
        verdict=Outcome.VERIFIED.value,
    )


def all_unchecked(steps: Sequence[Step], reason: str) -> tuple[Step, ...]:
    """The steps with the verdict that none could be checked, for this reason."""
    claims = [i for i, step in enumerate(steps) if step.layers]
    return judged(steps, [Verdict(i, Outcome.UNCHECKED, reason) for i in claims])
