"""A page a comparison set: two systems over all models that both of them ran."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, stdev

from onnxprof.analysis.grades import Grade, has_interval, worst
from onnxprof.compare.settings import (
    ANY_THREADS,
    Settings,
    Work,
    differing,
    threads_text,
    usual,
    work_words,
)
from onnxprof.publish.pages.catalogue import Entry, ModelPage, standing_entry
from onnxprof.publish.pages.render import SiteFacts, markup, render
from onnxprof.publish.text.csv import csv_text, spreadsheet_variant
from onnxprof.publish.text.numbers import slug, unique_slug

#: Pages at most: n systems make n (n - 1) / 2 pairs. Those with the most models come first.
MOST_PAIRS = 60
COLUMNS = (
    *("model", "batch", "a", "b", "a_ms", "b_ms", "times_as_fast", "sizes", "threads"),
    *("grade", "a_grade", "b_grade", "a_half_width", "b_half_width"),
)

#: Device and runtime, as the index names its columns.
Side = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One model at one batch size on both systems."""

    a: Entry | None
    b: Entry | None
    why: str = ""
    """Why there is no ratio; empty where there is one."""

    @property
    def ratio(self) -> float:
        """How many times as fast A is: latency of B over that of A."""
        return _latency(self.b) / _latency(self.a)

    @property
    def grade(self) -> Grade | None:
        """That of the ratio: the worse one of both latencies."""
        return worst(entry.grade if entry else None for entry in (self.a, self.b))


@dataclass(frozen=True, slots=True)
class Spread:
    """Ratios of several models, which multiply rather than add up."""

    models: int
    mean: float
    """Geometric mean."""
    deviation: float | None
    """Geometric standard deviation, a factor; None of fewer than two."""
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class PairRow:
    """One model on both systems."""

    model: ModelPage
    cells: tuple[Cell, ...]
    """By the pair's batch sizes."""
    mean: float
    """Geometric mean over the batch sizes that have a ratio."""
    sizes: str = ""
    """Sizes of axes and inputs of all its runs, in words; empty for a model without a choice."""

    @property
    def grade(self) -> Grade | None:
        """That of the mean: the worst of its ratios."""
        return worst(cell.grade for cell in self.cells if not cell.why)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems, and every model that both ran at some batch size."""

    slug: str
    a: Side
    b: Side
    batches: tuple[int, ...]
    """Those that some model ran on both."""
    rows: tuple[PairRow, ...]
    threads: int = ANY_THREADS
    """Those of each run on a CPU; ANY_THREADS where neither system is one."""
    elsewhere: tuple[tuple[int, str], ...] = ()
    """Each number of threads that both share, and the name of its page; this one's, too."""

    @property
    def others(self) -> list[tuple[str, str]]:
        """The other numbers of threads in words, and the names of their pages."""
        return [(threads_text(n), name) for n, name in self.elsewhere if n != self.threads]

    @property
    def on(self) -> str:
        """The threads of all runs on CPUs, in words."""
        return "" if self.threads == ANY_THREADS else threads_text(self.threads)

    @property
    def names(self) -> tuple[str, str]:
        """What the page calls the two."""
        return " · ".join(self.a), " · ".join(self.b)

    @property
    def whole(self) -> Spread:
        """Over the models' means, so that each model counts once."""
        return _spread([row.mean for row in self.rows])

    @property
    def by_batch(self) -> list[tuple[int, Spread]]:
        """Over the models at each batch size."""
        told = [[row.cells[i] for row in self.rows] for i in range(len(self.batches))]
        ratios = [[cell.ratio for cell in cells if not cell.why] for cells in told]
        return [(b, _spread(r)) for b, r in zip(self.batches, ratios, strict=True) if r]


def pair_pages(models: Sequence[ModelPage], threads: int = ANY_THREADS) -> tuple[list[Pair], int]:
    """Every two systems with a model in common, at most MOST_PAIRS; and how many more there are.

    A pair has a page for each number of threads that both sides share: first that of most models,
    of equals `threads`.
    """
    sides = _sides(models)
    wanted = []
    for a, b in combinations(sorted(sides), 2):
        common = sum(
            bool(_shared(cases, sides[b][name][1]))
            for name, (_, cases) in sides[a].items()
            if name in sides[b]
        )
        if common:
            wanted.append((-common, a, b))
    taken: set[str] = set()
    found: list[Pair] = []
    for _, a, b in sorted(wanted)[:MOST_PAIRS]:
        identity = f"{slug(' '.join(a))}-vs-{slug(' '.join(b))}"
        name = unique_slug(identity, taken, "\0".join((*a, *b)))
        taken.add(name)
        found += _pairs(name, a, b, sides[a], sides[b], threads)
    return found, max(0, len(wanted) - MOST_PAIRS)


#: Of a system, each model's runs by batch size and settings.
_Case = tuple[int, Settings]
_Runs = dict[str, tuple[ModelPage, dict[_Case, Entry]]]


def _sides(models: Iterable[ModelPage]) -> dict[Side, _Runs]:
    """The run that stands for each system, model and case; optimised graphs alone."""
    sides: dict[Side, _Runs] = {}
    for model in models:
        alike: dict[tuple[Side, _Case], list[Entry]] = defaultdict(list)
        for entry in model.entries:
            system = model.systems[entry.system]
            if not entry.settings.written:
                case = entry.batch, entry.settings
                alike[(system.device, system.runtime), case].append(entry)
        for (side, case), entries in alike.items():
            if best := standing_entry(entries):
                runs = sides.setdefault(side, {}).setdefault(model.slug, (model, {}))
                runs[1][case] = best
    return sides


def _good(cases: dict[_Case, Entry]) -> list[_Case]:
    """The cases that have a latency of right outputs."""
    return [case for case, entry in cases.items() if not _flaw(entry)]


def _shared(of_a: dict[_Case, Entry], of_b: dict[_Case, Entry]) -> list[tuple[int, Work, int]]:
    """Batch, sizes and threads of each two runs that may be compared."""
    theirs = _good(of_b)
    return [
        (batch, a.work, a.threads if a.threads != ANY_THREADS else b.threads)
        for batch, a in _good(of_a)
        for other, b in theirs
        if batch == other and not differing(a, b)
    ]


def _flaw(entry: Entry | None) -> str:
    if entry is None:
        return "not measured"
    if entry.latency_ns is None:
        return "failed"
    return "wrong outputs" if entry.wrong else ""


#: By model: batch, sizes and threads of each two runs that may be compared.
_Shared = dict[str, list[tuple[int, Work, int]]]


def _pairs(name: str, a: Side, b: Side, of_a: _Runs, of_b: _Runs, preferred: int) -> Iterator[Pair]:
    """The pair at the threads that most models share, then at each other number."""
    shared = {model: _shared(of_a[model][1], of_b[model][1]) for model in of_a if model in of_b}
    told = {(model, threads) for model, found in shared.items() for _, _, threads in found}
    first = _most([count for _, count in told], preferred)
    others = sorted({count for _, count in told} - {first})
    names = {first: name} | {count: f"{name}-at-{slug(threads_text(count))}" for count in others}
    for count in (first, *others):
        pair = _pair(names[count], a, b, of_a, of_b, shared, count)
        yield replace(pair, elsewhere=tuple(names.items()))


def _pair(
    name: str, a: Side, b: Side, of_a: _Runs, of_b: _Runs, shared: _Shared, threads: int
) -> Pair:
    """The pair at a number of threads, each model at the sizes of most batches."""
    here = {
        model: [(batch, work) for batch, work, count in found if count == threads]
        for model, found in shared.items()
    }
    batches = sorted({batch for found in here.values() for batch, _ in found})
    rows = []
    for model, found in here.items():
        if (work := usual(work for _, work in found)) is not None:
            wanted = Settings(*work, threads=threads)
            sides = of_a[model][1], of_b[model][1]
            cells = tuple(_cell(*sides, batch, wanted) for batch in batches)
            ratios = [cell.ratio for cell in cells if not cell.why]
            sizes = ", ".join(work_words(work))
            rows.append(PairRow(of_a[model][0], cells, _mean(ratios), sizes))
    return Pair(name, a, b, tuple(batches), tuple(rows), threads)


def _most(values: Sequence[int], preferred: int) -> int:
    """The most common value; of equals the preferred one, else the smallest."""
    found = usual(values)
    assert found is not None, "a pair has a model in common"
    return preferred if values.count(preferred) == values.count(found) else found


def _cell(of_a: dict[_Case, Entry], of_b: dict[_Case, Entry], batch: int, wanted: Settings) -> Cell:
    a, b = _at(of_a, batch, wanted), _at(of_b, batch, wanted)
    return Cell(a, b, _why(a, of_a, batch) or _why(b, of_b, batch))


def _at(cases: dict[_Case, Entry], batch: int, wanted: Settings) -> Entry | None:
    """The run at a batch size with these settings."""
    found = [e for (b, its), e in cases.items() if b == batch and not differing(its, wanted)]
    return standing_entry(found)


def _why(entry: Entry | None, cases: dict[_Case, Entry], batch: int) -> str:
    if entry is None and any(other == batch for other, _ in _good(cases)):
        return "other settings"
    return _flaw(entry)


def pair_page(pair: Pair, site: SiteFacts) -> str:
    """The page of one pair."""
    entries = [e for row in pair.rows for cell in row.cells for e in (cell.a, cell.b) if e]
    newest = max((entry.run.created for entry in entries), default="")
    most = max((abs(math.log(row.mean)) for row in pair.rows), default=0.0)
    return render(
        "pair.html",
        replace(site, newest=newest),
        f"pairs/{pair.slug}.html",
        pair=pair,
        whole=pair.whole,
        has_variant=bool(spreadsheet_variant(pair_csv(pair))),
        diverging=lambda ratio: markup(_diverging(ratio, most)),
    )


def pair_csv(pair: Pair) -> str:
    """A row a model and batch size that both ran, under COLUMNS."""
    return csv_text(COLUMNS, _csv_rows(pair))


def _csv_rows(pair: Pair) -> Iterator[tuple[object, ...]]:
    for row in pair.rows:
        for batch, cell in zip(pair.batches, row.cells, strict=True):
            if not cell.why:
                sides = [entry for entry in (cell.a, cell.b) if entry]
                times = (f"{_latency(entry) / 1e6:.6f}" for entry in sides)
                threads = "" if pair.threads == ANY_THREADS else pair.threads
                grades = (cell.grade, *(entry.grade for entry in sides))
                yield (
                    *(row.model.facts.name, batch, *pair.names, *times, f"{cell.ratio:.6g}"),
                    *(row.sizes, threads, *(one.value if one else "" for one in grades)),
                    *map(_half_width, sides),
                )


def _half_width(entry: Entry) -> str:
    """Half of the median's 95 % interval over the median; blank below six samples."""
    found = entry.result
    return f"{found.half_width:.6g}" if found and has_interval(found.samples) else ""


def _latency(entry: Entry | None) -> int:
    return (entry.latency_ns if entry else None) or 1


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(fmean(map(math.log, ratios)))


def _spread(ratios: Sequence[float]) -> Spread:
    logs = [math.log(ratio) for ratio in ratios]
    deviation = math.exp(stdev(logs)) if len(logs) > 1 else None
    return Spread(len(ratios), _mean(ratios), deviation, min(ratios), max(ratios))


def _diverging(ratio: float, most: float) -> str:
    """A bar from the middle: to the right where A is faster, on a logarithmic scale."""
    length = 50 * math.log(ratio) / most if most else 0.0
    left = 50 + min(0.0, length)
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{left:.1f}" width="{max(abs(length), 0.5):.1f}" height="10"/></svg>'
    )
