"""The runs of one request in order of time, and which of them is compared with which.

docs/site.md has the rules for users.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import takewhile

from onnxprof.compare.systems import Difference, differences
from onnxprof.publish.pages.catalogue import Entry
from onnxprof.records.run import Run

#: The first version of ONNX is of 2017: a clock that shows less was never set.
_FIRST_YEAR = 2017
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


class Kind(StrEnum):
    """What came of a run."""

    GOOD = "good"
    WRONG = "wrong"
    """Its outputs differ from the reference's, so that its time counts for nothing."""
    FAILED = "failed"
    """It has no un-profiled latency."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a request."""

    run: Run
    stamp: str
    """Tells it from the request's other runs, in an address: `20260102T030405Z`."""

    @property
    def kind(self) -> Kind:
        """What came of it."""
        if not self.run.has_latency:
            return Kind.FAILED
        return Kind.WRONG if self.run.is_wrong else Kind.GOOD

    @property
    def is_dated(self) -> bool:
        """Whether the clock was set when it was stored."""
        return is_dated(self.run.created)


@dataclass(frozen=True, slots=True)
class History:
    """The runs of one request, oldest first; before them those of a clock that was not set."""

    attempts: tuple[Attempt, ...]

    @classmethod
    def of(cls, entry: Entry) -> History:
        """All runs that stand behind one entry of a model's page."""
        return cls.of_runs((entry.run, *entry.older)[::-1])

    @classmethod
    def of_runs(cls, runs: Iterable[Run]) -> History:
        """Runs of one request; of those of one second the later in the list is the newer."""
        ordered = sorted(runs, key=_age)
        stamps = _stamps([run.created for run in ordered])
        return cls(tuple(Attempt(*pair) for pair in zip(ordered, stamps, strict=True)))

    @property
    def newest(self) -> Attempt | None:
        """The last attempt, whatever came of it; None where no clock was set."""
        return next((attempt for attempt in reversed(self._dated)), None)

    @property
    def earlier_good(self) -> tuple[Attempt, ...]:
        """Right runs before the newest, oldest first."""
        return tuple(a for a in self._dated[:-1] if a.kind is Kind.GOOD)

    @property
    def previous(self) -> Attempt | None:
        """What the newest is compared with: the last right run before it."""
        return next(reversed(self.earlier_good), None)

    @property
    def between(self) -> tuple[Attempt, ...]:
        """Failed and wrong runs between the previous one and the newest, oldest first."""
        before = reversed(self._dated[:-1])
        return tuple(takewhile(lambda a: a.kind is not Kind.GOOD, before))[::-1]

    @property
    def _dated(self) -> Sequence[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_dated]


def changed(before: Attempt | None, after: Attempt) -> tuple[Difference, ...]:
    """What differs from one run to the next; none of the first.

    A failed run did not get as far as to settle on a timer.
    """
    if before is None:
        return ()
    found = differences(before.run, after.run)
    if Kind.FAILED in (before.kind, after.kind):
        found = tuple(fact for fact in found if fact.what != "timer")
    return found


def is_dated(created: str) -> bool:
    """Whether a run's time can be one: UTC with seconds, since there are ONNX files."""
    try:
        moment = datetime.strptime(created, _SECONDS)
    except ValueError:
        return False
    # what `strptime` reads without leading zeros is no ISO 8601
    return moment.year >= _FIRST_YEAR and moment.strftime(_SECONDS) == created


def _age(run: Run) -> tuple[bool, str]:
    dated = is_dated(run.created)
    return dated, run.created if dated else ""


def _stamps(times: Sequence[str]) -> list[str]:
    """Times as parts of addresses and of file names, numbered where several are equal."""
    seen: Counter[str] = Counter()
    found = []
    for created in times:
        plain = re.sub(r"[^0-9A-Za-z]", "", created)[:32] or "undated"
        key = plain.lower()  # file systems that do not tell cases apart
        seen[key] += 1
        found.append(f"{plain}.{seen[key]}" if seen[key] > 1 else plain)
    return found
