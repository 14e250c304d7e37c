"""The newest run of each request against the one before, judged as `compare` judges."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from onnxprof.analysis import intervals
from onnxprof.analysis.grades import Grade, grade
from onnxprof.compare.changes import Pair, Row, compare, judged
from onnxprof.compare.systems import Difference, runtime_version
from onnxprof.compare.verdict import THRESHOLD, Verdict, decides_latency
from onnxprof.publish.history.requests import Attempt, History, Kind
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.text.sentences import wrong_text
from onnxprof.publish.text.verdicts import remark_text
from onnxprof.store.encoding import dumps, from_json, request_digest, to_json

#: Layers that are named with a change.
_MOST_LAYERS = 3
_LOUD = (Verdict.SLOWER, Verdict.FASTER, Verdict.ONLY_A, Verdict.ONLY_B)


class State(StrEnum):
    """What a request's newest run is against those before it."""

    FIRST = "first"
    """The only one, or the first that is right."""
    COMPARED = "compared"
    WRONG = "wrong"
    """Its outputs are wrong; those of the run before were right."""
    FAILED = "failed"
    """It failed; the run before did not."""
    NEVER = "never"
    """No run of the request is right."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says of one run."""

    created: str
    address: str
    """Its fragment on the model's page."""
    runtime: str
    median_ns: int | None = None
    interval_ns: tuple[int, int] | None = None
    """95 % interval of the median; below six samples their range."""
    samples: int = 0
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The latency of one run against that of an earlier one."""

    earlier: Told
    latency: Row
    """Its `q` is a p-value until it is judged together with others."""
    decides: bool
    """False where nothing may be called slower, faster or the same."""

    @property
    def ratio(self) -> float | None:
        """The newest over the earlier."""
        return self.latency.ratio


@dataclass(frozen=True, slots=True)
class Moved:
    """A layer that changed."""

    name: str
    a_ns: float | None
    b_ns: float | None
    verdict: Verdict

    @property
    def gained_ns(self) -> float:
        """What it adds to the latency; below zero where it got faster."""
        return (self.b_ns or 0.0) - (self.a_ns or 0.0)


@dataclass(frozen=True, slots=True)
class Change:
    """The newest run of a request."""

    request: str
    """Digest of what was asked."""
    system: str
    batch: int
    state: State
    newest: Told
    runs: int
    trouble: str = ""
    """Why it failed, or how its outputs are wrong."""
    between: int = 0
    """Failed and wrong runs since the previous one."""
    against: Judgement | None = None
    """Against the last right run before; of a failed or wrong run without a verdict."""
    best: Judgement | None = None
    """Against the fastest of three or more earlier runs, where it was faster than the last one."""
    differences: tuple[Difference, ...] = ()
    layers: tuple[Moved, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """Of its latency against the previous run's; None where there is nothing to judge."""
        is_judged = self.state is State.COMPARED and self.against is not None
        return self.against.latency.verdict if is_judged and self.against else None

    @property
    def is_decided(self) -> bool:
        """Whether it is slower or faster than the previous run."""
        return self.verdict in (Verdict.SLOWER, Verdict.FASTER)


def changes(page: ModelPage) -> list[Change]:
    """One of each request of a model that has a dated run, judged each for itself."""
    return [found for entry in page.entries if (found := change(page, entry))]


def change(page: ModelPage, entry: Entry) -> Change | None:
    """What the newest run of one request is against those before."""
    history = History.of(entry)
    newest = history.newest
    if newest is None:
        return None
    base = f"{page.systems[entry.system].key}/{entry.batch}"
    bare = Change(
        request_digest(newest.run.request),
        page.systems[entry.system].label,
        entry.batch,
        _state(history),
        told(newest, base),
        len(history.attempts),
        trouble(newest),
        len(history.between),
    )
    if bare.state is State.COMPARED:
        return _compared(bare, history, base)
    previous = history.previous
    if previous is None:
        return bare
    row = Row("(latency)", (), None, None, Verdict.UNDECIDED)
    return replace(bare, against=Judgement(told(previous, base), row, decides=False))


def told(attempt: Attempt, base: str) -> Told:
    """What a page says of a run; `base` is the address of its request on the model's page."""
    run = attempt.run
    bare = Told(run.created, f"{base}@{attempt.stamp}", runtime_version(run))
    if run.timings is None or not run.timings.latency_ns.size:
        return bare
    return replace(
        bare,
        median_ns=intervals.median_ns(run.timings.latency_ns),
        interval_ns=intervals.latency_interval(run.timings),
        samples=int(run.timings.latency_ns.size),
        grade=grade(run),
    )


def trouble(attempt: Attempt) -> str:
    """Why a run failed, or how its outputs are wrong; empty for a right one."""
    if attempt.kind is Kind.FAILED:
        return attempt.run.failure or "no un-profiled latencies"
    if attempt.kind is Kind.WRONG:
        return wrong_text(attempt.run) or "outputs differ from the reference's"
    return ""


def _state(history: History) -> State:
    assert history.newest is not None
    kind = history.newest.kind
    if kind is Kind.GOOD:
        return State.COMPARED if history.previous else State.FIRST
    if history.previous is None:
        return State.NEVER
    return State.FAILED if kind is Kind.FAILED else State.WRONG


def _compared(bare: Change, history: History, base: str) -> Change:
    newest, previous = history.newest, history.previous
    assert newest is not None
    assert previous is not None
    pair = _pair(previous, newest)
    return replace(
        bare,
        against=_judgement(pair, told(previous, base)),
        best=_best(history, base),
        differences=pair.differences,
        layers=tuple(_moved(pair)),
        caveats=tuple(remark_text(each, ("before", "now")) for each in pair.remarks),
    )


def _pair(a: Attempt, b: Attempt) -> Pair:
    return compare([((a.run,), (b.run,))], THRESHOLD).pairs[0]


def _judgement(pair: Pair, earlier: Told) -> Judgement:
    return Judgement(earlier, pair.latency, decides_latency(*pair.sides))


def _best(history: History, base: str) -> Judgement | None:
    """Against the fastest earlier run: what creeps up by less than a run can tell shows there.

    The fastest of n is fast by luck, too: its p-value counts n times (Bonferroni).
    """
    newest, good = history.newest, history.earlier_good
    if newest is None or len(good) < 3:
        return None
    fastest = min(good, key=lambda attempt: told(attempt, base).median_ns or 0)
    if fastest is good[-1]:
        return None
    found = _judgement(_pair(fastest, newest), told(fastest, base))
    row = found.latency
    if row.q is not None:
        found = replace(found, latency=replace(row, q=min(1.0, row.q * len(good))))
    return found


def _moved(pair: Pair) -> Iterator[Moved]:
    """The layers that changed most, as `compare` of the two runs alone calls them."""
    loud = [row for row in pair.rows if row.verdict in _LOUD and row.layers]
    moved = [Moved(row.name, row.a_ns, row.b_ns, row.verdict) for row in loud]
    yield from sorted(moved, key=lambda each: -abs(each.gained_ns))[:_MOST_LAYERS]


def judged_together(found: Sequence[Change]) -> list[Change]:
    """The changes with the verdicts of one family: false discoveries are held over all of them."""
    against = family([change.against for change in found if change.state is State.COMPARED])
    best = family([change.best for change in found])
    return [
        replace(
            change,
            against=against.get(id(change.against), change.against),
            best=best.get(id(change.best), change.best),
        )
        for change in found
    ]


def judgement(earlier: Attempt, newer: Attempt) -> Judgement:
    """One right run against an earlier one, each by itself."""
    return _judgement(_pair(earlier, newer), told(earlier, ""))


def family(members: Iterable[Judgement | None]) -> dict[int, Judgement]:
    """By identity, each judged; nothing is said where the runs of a pair forbid it."""
    known = [member for member in members if member is not None]
    rows = judged([member.latency for member in known], THRESHOLD)
    return {
        id(member): replace(member, latency=_restrained(row, member.decides))
        for member, row in zip(known, rows, strict=True)
    }


def _restrained(row: Row, decides: bool) -> Row:
    return row if decides else replace(row, verdict=Verdict.UNDECIDED)


def stored(found: Sequence[Change]) -> bytes:
    """Changes as JSON."""
    return dumps([to_json(change) for change in found])


def from_stored(data: bytes) -> list[Change]:
    """The changes again. Raises ValueError for what `stored` did not make."""
    return [from_json(Change, each) for each in json.loads(data)]
