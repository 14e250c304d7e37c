"""What a gate requires of a comparison: a verdict that is known, not one that is undecided."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.records.run import Run


class Requirement(StrEnum):
    """What has to be known of the latency of each model in B."""

    SAME = "same"
    NO_SLOWER = "no-slower"
    """The same or faster."""
    FASTER = "faster"


#: The verdicts that will do, in the words of `compare.verdict.Verdict`.
_ENOUGH = {
    Requirement.SAME: ("same",),
    Requirement.NO_SLOWER: ("same", "faster"),
    Requirement.FASTER: ("faster",),
}


def unmet(comparison: Comparison, required: Requirement | None) -> list[str]:
    """A line for each model of which the required verdict is not known; none where all is met.

    A model that is on one side alone was not compared, so nothing is known of it.
    """
    return [] if required is None else list(_unmet(comparison, required))


def _unmet(comparison: Comparison, required: Requirement) -> Iterator[str]:
    for pair in comparison.pairs:
        verdict = pair.latency.verdict
        if verdict.value not in _ENOUGH[required]:
            yield f"--require {required}: {_name(pair.a[0])} is {verdict}"
    for side, runs in (("A", comparison.unmatched_a), ("B", comparison.unmatched_b)):
        for run in runs:
            yield f"--require {required}: {_name(run)} is in {side} alone"


def _name(run: Run) -> str:
    return run.request.title
