"""Histories of requests for a terminal: a line a run, below it what differs from the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from onnxprof.compare.systems import Difference
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.publish.history.changes import Judgement, Told, family, judgement, told
from onnxprof.publish.history.requests import Attempt, History, Kind, changed
from onnxprof.publish.history.strip import changed_text, when
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.text import grades
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import counted, printable
from onnxprof.publish.text.verdicts import STYLES, words_text

_INDENT = 18


@dataclass(frozen=True, slots=True)
class _Line:
    """A run, what it is against the right run before, and what differs from the run before."""

    attempt: Attempt
    facts: Told
    against: Judgement | None
    changed: tuple[Difference, ...]


def table(pages: Sequence[ModelPage], most: int) -> RenderableType:
    """Each request's newest runs, oldest first, verdicts held together over all lines."""
    groups = [
        (_heading(page, number), list(_lines(History.of(entry), most)))
        for page in pages
        for number, entry in enumerate(page.entries)
    ]
    judged = family([line.against for _, lines in groups for line in lines])
    parts: list[RenderableType] = []
    for heading, lines in groups:
        parts.append(Text(heading, style="bold"))
        for line in lines:
            against = judged.get(id(line.against), line.against)
            parts.append(_run(line, against))
            if line.changed:
                text = Text(printable(changed_text(line.changed)), style="dim")
                parts.append(Padding(text, (0, 0, 0, _INDENT), expand=False))
        parts.append(Text(""))
    return Group(*parts, Text(f"Against the right run before. {words_text(THRESHOLD)}", "dim"))


def _heading(page: ModelPage, number: int) -> str:
    entry = page.entries[number]
    label = page.systems[entry.system].label
    runs = counted(1 + len(entry.older), "run", "runs")
    return printable(f"{page.facts.name}, batch {entry.batch}, {label}: {runs}")


def _lines(history: History, most: int) -> Iterator[_Line]:
    """The newest runs, each against the last right one before it."""
    right: Attempt | None = None
    last: Attempt | None = None
    first = len(history.attempts) - most
    for number, attempt in enumerate(history.attempts):
        is_good = attempt.kind is Kind.GOOD and attempt.is_dated
        if number >= first:
            compared = judgement(right, attempt) if right and is_good else None
            yield _Line(attempt, told(attempt, ""), compared, changed(last, attempt))
        right, last = attempt if is_good else right, attempt


def _run(line: _Line, against: Judgement | None) -> Text:
    facts = line.facts
    text = Text(f"{when(line.attempt):<16}  ")
    if facts.median_ns is None or facts.interval_ns is None:
        return text.append(f"failed: {_reason(line.attempt)}", "red")
    spread = grades.spread_cell(facts.median_ns, facts.interval_ns, facts.samples)
    text.append(f"{duration(facts.median_ns):>9}  {spread:>9}  ")
    if line.attempt.kind is Kind.WRONG:
        return text.append("wrong outputs", "red")
    style = grades.STYLES[facts.grade] if facts.grade else ""
    text.append(f"{grades.word(facts.grade):<7}", style)
    return text.append_text(_ratio(against)) if against else text


def _reason(attempt: Attempt) -> str:
    return printable(attempt.run.failure or "no un-profiled latencies")


def _ratio(against: Judgement) -> Text:
    row = against.latency
    if row.ratio is None:
        return Text("")
    ends = "" if row.interval is None else f" ({row.interval[0]:.3f}–{row.interval[1]:.3f})"
    return Text(f"  {row.ratio:.3f}{ends} {row.verdict.value}", STYLES.get(row.verdict, ""))
