"""Which version of a runtime is the first slow one: what is watched, and how versions are judged.

A version is slow if `compare` calls it slower than the good one, at the same threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt

from onnxprof.compare.changes import Pair, Row
from onnxprof.compare.verdict import Verdict
from onnxprof.compare.versions.search import Found, Mark, search
from onnxprof.errors import OnnxprofError

#: A layer that holds so much of what the model lost is watched in its place: it shows more.
_CULPRIT = 0.5
#: Below this part of the loss, in logarithms, more of it is to be found later.
_MOST = 0.7

#: Measures a version against the good one; in the second call for one, for longer.
Measure = Callable[[str, bool], Pair]


@dataclass(frozen=True, slots=True)
class Step:
    """One version that was tried."""

    version: str
    mark: Mark
    row: Row | None = None
    """What is watched, of the good version and of this one; None where it was not measured."""
    reason: str = ""
    """Why it was skipped."""


@dataclass(frozen=True, slots=True)
class Bisection:
    """The search for the first slow version."""

    package: str
    watched: Row
    """What is slower at the slow end: the whole model or one block of layers."""
    good: str
    slow: str
    """The ends as the user named them."""
    steps: tuple[Step, ...]
    """In the order in which they were taken."""
    found: Found
    left_out: tuple[str, ...] = ()
    """Lines about versions between the ends that were not tried."""

    @property
    def first(self) -> Row:
        """What is watched at the first slow version."""
        rows = {step.version: step.row for step in self.steps if step.row is not None}
        return rows.get(self.found.slow, self.watched)

    @property
    def explained(self) -> float:
        """The part of the loss that the first slow version has already, in logarithms."""
        whole, first = self.watched.ratio or 1.0, self.first.ratio or 1.0
        return log(first) / log(whole) if whole > 1 and first > 0 else 1.0

    @property
    def has_more(self) -> bool:
        """Whether much of the loss came after the first slow version."""
        return self.explained < _MOST and self.found.slow != self.slow


def watched(pair: Pair) -> Row | None:
    """What to look at from version to version: the layer that lost the most, or the model.

    The layer where the model is not slower, or where the layer holds half of what the model lost.
    None where nothing is slower.
    """
    slower = [row for row in pair.rows if row.verdict is Verdict.SLOWER and row.layers]
    worst = max(slower, key=_loss, default=None)
    if pair.latency.verdict is not Verdict.SLOWER:
        return worst
    is_culprit = worst is not None and _loss(worst) >= _CULPRIT * _loss(pair.latency)
    return worst if is_culprit else pair.latency


def is_open(pair: Pair) -> bool:
    """Whether the latency may yet turn out to be slower."""
    return pair.latency.verdict is Verdict.UNDECIDED


def _loss(row: Row) -> float:
    return (row.b_ns or 0.0) - (row.a_ns or 0.0)


def bisect(
    package: str,
    versions: Sequence[str],
    ends: Row,
    measure: Measure,
    tell: Callable[[Step], None] = lambda _: None,
    left_out: Sequence[str] = (),
) -> Bisection:
    """Find the first slow one of versions, of which the first is good and the last is slow.

    `ends` is what is watched, at these two. `tell` hears of each step. A version that cannot be
    installed or measured, or that stays undecided, is skipped.
    """
    steps: list[Step] = []

    def judge(version: str) -> Mark:
        steps.append(_judged(version, ends, measure))
        tell(steps[-1])
        return steps[-1].mark

    found = search(versions, judge)
    good, slow = versions[0], versions[-1]
    return Bisection(package, ends, good, slow, tuple(steps), found, tuple(left_out))


def _judged(version: str, ends: Row, measure: Measure) -> Step:
    row = None
    for again in (False, True):
        try:
            row = like(measure(version, again), ends)
        except OnnxprofError as error:
            return Step(version, Mark.SKIPPED, reason=str(error))
        if row is None:
            return Step(version, Mark.SKIPPED, reason=f"it has no step for {ends.name}")
        if (mark := mark_of(row, ends)) is not Mark.SKIPPED:
            return Step(version, mark, row)
    return Step(version, Mark.SKIPPED, row, "undecided, measured twice")


def like(pair: Pair, ends: Row) -> Row | None:
    """The row of a comparison that holds what is watched; None where a side executed none."""
    if not ends.layers:
        return pair.latency
    rows = [row for row in pair.rows if ends.name in row.layers]
    both = (row for row in rows if row.verdict not in (Verdict.ONLY_A, Verdict.ONLY_B))
    return next(both, None)


def mark_of(row: Row, ends: Row) -> Mark:
    """What a row says of its version: slow, good, or nothing yet.

    One that is undecided is good where its interval ends below half of the loss at the slow end.
    """
    if row.verdict is Verdict.SLOWER:
        return Mark.SLOW
    if row.verdict in (Verdict.SAME, Verdict.FASTER):
        return Mark.GOOD
    half = sqrt(max(1.0, ends.ratio or 1.0))
    return Mark.GOOD if row.interval is not None and row.interval[1] < half else Mark.SKIPPED
