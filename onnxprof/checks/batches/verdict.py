"""The verdict of a proof, and the warnings that a run gets from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from onnxprof.records.warning import RunWarning, WarningKind


class Kind(StrEnum):
    """How a batch of k items compares with k runs of one."""

    HOLDS = "holds"
    MIXES = "mixes"
    """Items of the batch influence each other, so the batch is another network than the file's."""
    QUANTISED = "quantised"
    """Items influence each other only by the range that a dynamic quantisation takes of all."""
    ROUNDING = "rounding"
    """Items are independent; outputs differ by no more than rounding can make them differ."""
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one proof."""

    kind: Kind
    subject: str = ""
    """The layer and what it does, the output that differs, or why nothing is proven."""
    value: float = 0.0
    """By how much outputs differ, relative to the reference; 0 where that was not compared."""


_KINDS = {
    Kind.MIXES: WarningKind.ITEMS_MIX,
    Kind.QUANTISED: WarningKind.QUANTISED_TOGETHER,
    Kind.ROUNDING: WarningKind.ILL_CONDITIONED,
    Kind.UNPROVEN: WarningKind.BATCH_UNPROVEN,
}


def warnings_of(verdict: Verdict) -> Iterator[RunWarning]:
    """The warning for a run at that batch; none where the proof holds."""
    if verdict.kind is not Kind.HOLDS:
        yield RunWarning(_KINDS[verdict.kind], verdict.value, verdict.subject)
