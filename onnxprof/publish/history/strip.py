"""The history of a request as an SVG: a dot a run, its interval, lines where versions changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.analysis.grades import has_interval
from onnxprof.compare.systems import Difference, runtime_version
from onnxprof.publish.history.changes import Told, told
from onnxprof.publish.history.requests import Attempt, History, Kind, changed
from onnxprof.publish.text import grades
from onnxprof.publish.text.numbers import TYPESET, UNITS, decimals, duration
from onnxprof.publish.text.safe import counted, in_page, shortened

#: Runs of a request that are drawn and can be chosen, the newest ones.
MOST_RUNS = 30
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _FOOT = 720, 156, 72, 12, 18, 26
#: Intervals that are narrower than this part of the latency do not fill the strip.
_LEAST_SPAN = 0.1
_LONGEST = 48


@dataclass(frozen=True, slots=True)
class Place:
    """A run on the strip."""

    attempt: Attempt
    facts: Told
    changed: tuple[Difference, ...]
    """Against the drawn run before; none of the first."""

    @property
    def href(self) -> str:
        """The run's address on the model's page."""
        return f"#{self.facts.address}"


def places(history: History, base: str) -> list[Place]:
    """The newest runs of a request, oldest first, with what differs from run to run."""
    shown = history.attempts[-MOST_RUNS:]
    before = (None, *shown[:-1])
    return [
        Place(one, told(one, base), changed(last, one))
        for one, last in zip(shown, before, strict=True)
    ]


def drawn(found: Sequence[Place], label: str) -> str:
    """The strip; places are equal steps apart, since clocks jump and pauses are long."""
    scale = _Scale.of(found)
    step = (_WIDTH - _LEFT - _RIGHT) / len(found)
    marks = [*scale.grid()]
    for number, place in enumerate(found):
        x = _LEFT + (number + 0.5) * step
        if place.changed:
            marks.append(_line(x - step / 2, place.changed))
        marks.append(_dot(place, x, step, scale))
    marks += _dates(found)
    return (
        f'<svg class="history" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="document" '
        f'aria-label="{escape(in_page(label))}: latency from run to run">{"".join(marks)}</svg>'
    )


def words(place: Place) -> str:
    """One run in words: when, how long, how sure, by which runtime."""
    facts = place.facts
    parts = [when(place.attempt)]
    if place.attempt.kind is Kind.FAILED:
        parts.append("failed")
    elif facts.median_ns is not None and facts.interval_ns is not None:
        parts += [duration(facts.median_ns, TYPESET), _spread(facts)]
    if place.attempt.kind is Kind.WRONG:
        parts.append("wrong outputs")
    parts += [facts.grade.value if facts.grade else "", in_page(runtime_version(place.attempt.run))]
    return ", ".join(filter(None, parts))


def _spread(facts: Told) -> str:
    assert facts.median_ns is not None
    assert facts.interval_ns is not None
    unit = grades.unit_ns(facts.median_ns)
    ends = grades.range_text(*facts.interval_ns, unit)
    if has_interval(facts.samples):
        return f"95 % interval {ends}"
    return f"range {ends}, {counted(facts.samples, 'sample', 'samples')}"


def when(attempt: Attempt) -> str:
    """`2026-01-02 03:04`; what a clock that was not set said is not repeated."""
    if not attempt.is_dated:
        return "clock not set"
    return attempt.run.created.replace("T", " ")[:16]


def changed_text(found: Sequence[Difference], most: int = 4) -> str:
    """`runtime: onnxruntime 1.22 → onnxruntime 1.23; kernel: …`."""
    texts = [f"{_brief(d.what)}: {_brief(d.a)} → {_brief(d.b)}" for d in found[:most]]
    rest = len(found) - most
    return "; ".join([*texts, *([f"{rest} more"] if rest > 0 else [])])


def _brief(text: str) -> str:
    return shortened(in_page(text), _LONGEST)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Nanoseconds as heights."""

    low: float
    high: float

    @classmethod
    def of(cls, found: Sequence[Place]) -> _Scale:
        """Room for every right run's interval, a tenth of the latency at least: noise looks small.

        Wrong runs set no scale, as their times count for nothing.
        """
        right = [place for place in found if place.attempt.kind is Kind.GOOD] or found
        ends = [ns for p in right if p.facts.interval_ns for ns in p.facts.interval_ns]
        low, high = min(ends, default=0), max(ends, default=1)
        middle, span = (low + high) / 2, max(high - low, _LEAST_SPAN * (low + high) / 2, 1)
        return cls(middle - 0.55 * span, middle + 0.55 * span)

    def y(self, ns: float) -> float:
        """Where a time stands, at an edge where it is outside."""
        part = min(1.0, max(0.0, (ns - self.low) / (self.high - self.low)))
        return _HEIGHT - _FOOT - part * (_HEIGHT - _FOOT - _TOP)

    def grid(self) -> Iterator[str]:
        """Three lines with their times, and above them the unit of all."""
        name, size = next(unit for unit in UNITS if abs(self.high) >= unit[1] or unit[1] == 1)
        yield f'<text class="tick" x="{_LEFT - 8}" y="9" text-anchor="end">{name}</text>'
        for part in (0.1, 0.5, 0.9):
            ns = self.low + part * (self.high - self.low)
            y, digits = self.y(ns), decimals(self.high / size, 3, 4)
            yield (
                f'<line class="grid" x1="{_LEFT - 4}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{_LEFT - 8}" y="{y + 3.5:.1f}" text-anchor="end">'
                f"{ns / size:,.{digits}f}</text>"
            )


def _line(x: float, found: Sequence[Difference]) -> str:
    title = escape(changed_text(found, len(found)))
    return (
        f'<g class="version"><line x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{_HEIGHT - _FOOT}"/>'
        f'<rect x="{x - 4:.1f}" y="0" width="8" height="{_HEIGHT - _FOOT}">'
        f"<title>{title}</title></rect></g>"
    )


def _dot(place: Place, x: float, step: float, scale: _Scale) -> str:
    text = escape(words(place))
    body, kind = _mark(place, x, scale), place.attempt.kind.value
    grade = place.facts.grade
    half = min(step / 2, 14)
    return (
        f'<a class="{kind}{f" {grade.value}" if grade else ""}" href="{escape(place.href)}" '
        f'aria-label="{text}">{body}<rect class="reach" x="{x - half:.1f}" y="0" '
        f'width="{2 * half:.1f}" height="{_HEIGHT - _FOOT}"><title>{text}</title></rect></a>'
    )


def _mark(place: Place, x: float, scale: _Scale) -> str:
    """A dot with its interval; a cross at the foot for a run without a latency."""
    facts = place.facts
    if facts.median_ns is None or facts.interval_ns is None:
        y = _HEIGHT - _FOOT - 6
        return f'<path d="M{x - 4:.1f} {y - 4}l8 8m0 -8l-8 8"/>'
    left, (low, high) = x - 3, map(scale.y, facts.interval_ns)
    return (
        f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{left:.1f} {low:.1f}h6M{left:.1f} {high:.1f}h6"/>'
        f'<circle cx="{x:.1f}" cy="{scale.y(facts.median_ns):.1f}" r="3.5"/>'
    )


def _dates(found: Sequence[Place]) -> Iterator[str]:
    """The days of the first and the last run, below them."""
    y = _HEIGHT - 8
    ends = [(found[0], _LEFT, "start"), (found[-1], _WIDTH - _RIGHT, "end")]
    for place, x, anchor in ends[: len(found)]:
        day = when(place.attempt)[:10] if place.attempt.is_dated else when(place.attempt)
        yield f'<text class="tick" x="{x}" y="{y}" text-anchor="{anchor}">{escape(day)}</text>'
