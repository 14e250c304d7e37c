"""Histories of requests for a terminal: a line a run, below it what differs from the one before."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from onnxprof.compare.verdict import THRESHOLD
from onnxprof.publish.history.changes import Judgement
from onnxprof.publish.history.lines import Line, Lines
from onnxprof.publish.history.requests import Attempt, Kind
from onnxprof.publish.history.strip import changed_text, when
from onnxprof.publish.text import grades
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import counted, printable
from onnxprof.publish.text.verdicts import STYLES, words_text

_INDENT = 18


def table(groups: Sequence[Lines]) -> RenderableType:
    """Each request's newest runs, oldest first."""
    parts: list[RenderableType] = []
    for group in groups:
        parts.append(Text(_heading(group), style="bold"))
        for line in group.lines:
            parts.append(_run(line))
            if line.changed:
                text = Text(printable(changed_text(line.changed)), style="dim")
                parts.append(Padding(text, (0, 0, 0, _INDENT), expand=False))
        parts.append(Text(""))
    return Group(*parts, Text(f"Against the right run before. {words_text(THRESHOLD)}", "dim"))


def _heading(group: Lines) -> str:
    runs = counted(group.runs, "run", "runs")
    title = f"{group.page.facts.name}, batch {group.entry.batch}, {group.system}"
    return printable(f"{title}: {runs}")


def _run(line: Line) -> Text:
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
    return text.append_text(_ratio(line.against)) if line.against else text


def _reason(attempt: Attempt) -> str:
    return printable(attempt.run.failure or "no un-profiled latencies")


def _ratio(against: Judgement) -> Text:
    row = against.latency
    if row.ratio is None:
        return Text("")
    ends = "" if row.interval is None else f" ({row.interval[0]:.3f}–{row.interval[1]:.3f})"
    return Text(f"  {row.ratio:.3f}{ends} {row.verdict.value}", STYLES.get(row.verdict, ""))
