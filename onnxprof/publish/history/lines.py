"""Histories of requests run by run: each against the right one before it, judged together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from onnxprof.compare.systems import Difference
from onnxprof.publish.history.changes import Judgement, Told, family, judgement, told
from onnxprof.publish.history.requests import Attempt, History, Kind, changed
from onnxprof.publish.pages.catalogue import Entry, ModelPage


@dataclass(frozen=True, slots=True)
class Line:
    """A run, what it is against the right run before, and what differs from the run before."""

    attempt: Attempt
    facts: Told
    against: Judgement | None
    changed: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The newest runs of one request, oldest first."""

    page: ModelPage
    entry: Entry
    lines: tuple[Line, ...]

    @property
    def system(self) -> str:
        """Device, backend and settings, as pages have them."""
        return self.page.systems[self.entry.system].label

    @property
    def runs(self) -> int:
        """How many runs there are, those that are not shown included."""
        return 1 + len(self.entry.older)


def lines(pages: Sequence[ModelPage], most: int) -> list[Lines]:
    """Of each request the newest runs, verdicts held together over all of them."""
    groups = [
        Lines(page, entry, tuple(_lines(History.of(entry), most)))
        for page in pages
        for entry in page.entries
    ]
    judged = family([line.against for group in groups for line in group.lines])
    return [
        replace(group, lines=tuple(_judged(line, judged) for line in group.lines))
        for group in groups
    ]


def _judged(line: Line, judged: dict[int, Judgement]) -> Line:
    return replace(line, against=judged.get(id(line.against), line.against))


def _lines(history: History, most: int) -> Iterator[Line]:
    """The newest runs, each against the last right one before it."""
    right: Attempt | None = None
    last: Attempt | None = None
    first = len(history.attempts) - most
    for number, attempt in enumerate(history.attempts):
        is_good = attempt.kind is Kind.GOOD and attempt.is_dated
        if number >= first:
            compared = judgement(right, attempt) if right and is_good else None
            yield Line(attempt, told(attempt, ""), compared, changed(last, attempt))
        right, last = attempt if is_good else right, attempt
