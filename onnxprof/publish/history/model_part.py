"""What a model's page has of earlier runs: strips, files, and what the page embeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxprof.publish.history import earlier, strip
from onnxprof.publish.history.changes import Change, State, change
from onnxprof.publish.history.requests import History, Kind
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.render import markup
from onnxprof.publish.text.safe import counted, in_page
from onnxprof.records.run import Run

if TYPE_CHECKING:
    from markupsafe import Markup

#: Lines of text below a strip, those of the newest changes.
_MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Line:
    """Where the software or the machine changed between two runs."""

    when: str
    href: str
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One request's history on the page."""

    key: str
    """The address of the request: `SYSTEM/BATCH`."""
    label: str
    drawing: Markup
    sentence: str
    lines: tuple[Line, ...]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class Past:
    """All of a model's histories."""

    changes: tuple[Change, ...]
    strips: tuple[Strip, ...]
    """Of requests with two runs or more; that of the run that is shown first comes first."""
    data: Mapping[str, Any] = field(default_factory=dict)
    addresses: Mapping[int, str] = field(default_factory=dict)

    def address(self, run: Run) -> str:
        """The fragment of an earlier run; empty where the page cannot show it."""
        return self.addresses.get(id(run), "")


def past(
    page: ModelPage, causes: earlier.Causes = lambda _: ("", {})
) -> tuple[Past, Iterator[tuple[str, str]]]:
    """What a page says of earlier runs, and the files of those that it can show."""
    histories = [History.of(entry) for entry in page.entries]
    found = [change(page, entry) for entry in page.entries]
    order = sorted(range(len(histories)), key=lambda i: page.entries[i] is not page.first)
    strips = [
        _strip(page, i, histories[i], found[i]) for i in order if len(histories[i].attempts) > 1
    ]
    addresses = {
        id(each.attempt.run): f"#{_base(page, each.number)}@{each.attempt.stamp}"
        for each in earlier.shown(page, histories)
    }
    told = Past(
        tuple(each for each in found if each),
        tuple(strips),
        earlier.page_data(page, histories),
        addresses,
    )
    return told, earlier.scripts(page, histories, causes)


def _base(page: ModelPage, number: int) -> str:
    entry = page.entries[number]
    return f"{page.systems[entry.system].key}/{entry.batch}"


def _strip(page: ModelPage, number: int, history: History, found: Change | None) -> Strip:
    entry, base = page.entries[number], _base(page, number)
    label = f"{page.systems[entry.system].label}, batch {entry.batch}"
    places = strip.places(history, base)
    return Strip(
        base,
        label,
        markup(strip.drawn(places, label)),
        sentence(history, found),
        tuple(_lines(places)),
    )


def _lines(places: Sequence[strip.Place]) -> Iterator[Line]:
    changed = [place for place in reversed(places) if place.changed]
    for place in changed[:_MOST_LINES]:
        yield Line(strip.when(place.attempt), place.href, strip.changed_text(place.changed))


def sentence(history: History, found: Change | None) -> str:
    """How many runs there are, and what the newest is against the one before, without a verdict.

    Verdicts are over all models together; the page of changes has them.
    """
    parts = [_count(history)]
    if found and found.state is State.COMPARED and found.against:
        parts.append(f"the newest takes {ratio_text(found)} as long as the one before")
    elif found and found.state is State.FAILED:
        parts.append(f"the newest failed: {in_page(found.trouble)}")
    elif found and found.state is State.WRONG:
        parts.append(f"the newest has wrong outputs: {in_page(found.trouble)}")
    return "; ".join(parts) + "."


def _count(history: History) -> str:
    shown, runs = min(len(history.attempts), strip.MOST_RUNS), len(history.attempts)
    text = counted(runs, "run", "runs")
    if shown < runs:
        text += f", of which the newest {shown} are shown"
    bad = [f"{n} {kind.value}" for kind in (Kind.FAILED, Kind.WRONG) if (n := _of(history, kind))]
    return f"{text} ({', '.join(bad)})" if bad else text


def _of(history: History, kind: Kind) -> int:
    return sum(attempt.kind is kind for attempt in history.attempts)


def ratio_text(found: Change) -> str:
    """`1.034 times (95 % interval 1.021 to 1.047)`; below six samples the ratio alone."""
    assert found.against is not None
    row = found.against.latency
    if row.ratio is None:
        return "an unknown number of times"
    if row.interval is None:
        return f"{row.ratio:.3f} times (too few samples for an interval)"
    return f"{row.ratio:.3f} times (95 % interval {row.interval[0]:.3f} to {row.interval[1]:.3f})"
