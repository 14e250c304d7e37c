"""What verdicts mean for the steps of a run: their confidence, and the layers that they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from onnxprof.provenance.verify.verdicts import Outcome, Verdict
from onnxprof.records.step import Confidence, Step

#: What is said of a tie that was made by values, because names told something wrong.
BY_VALUE = "values of its tensors"


def judged(
    steps: Sequence[Step],
    verdicts: Sequence[Verdict],
    repaired: Mapping[int, tuple[str, ...]] | None = None,
) -> tuple[Step, ...]:
    """The steps with their verdicts, which count steps by position.

    What was verified is `exact`; what was not checked is `inferred`; what was refuted loses its
    layers. `repaired` gives steps the layers whose work they did by value, verified already.
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
    told = f"{verdict.outcome.value}: {verdict.reason}"
    if verdict.outcome is Outcome.UNCHECKED:
        return replace(step, confidence=Confidence.INFERRED, verdict=told)
    claimed = f"{told} ({', '.join(step.layers)})"
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
    """The steps as they are where nothing could be checked."""
    claims = [i for i, step in enumerate(steps) if step.layers]
    return judged(steps, [Verdict(i, Outcome.UNCHECKED, reason) for i in claims])
