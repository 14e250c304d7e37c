"""A run's percentiles as the rows of a page's table: one inference at a time, and several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from onnxprof.analysis.statistics.percentiles import (
    SHOWN,
    Percentile,
    concurrent_ns,
    fewest,
    percentiles,
)
from onnxprof.publish.latency.percentiles import of_run
from onnxprof.publish.latency.streams import items_per_s, load_text, single_items_per_s
from onnxprof.publish.text.numbers import TYPESET, duration, rate
from onnxprof.publish.text.safe import in_page
from onnxprof.records.run import Run
from onnxprof.records.timings import Concurrency

_duration = partial(duration, style=TYPESET)

#: The columns behind the first two, which are how many inferences ran at a time and samples, and
#: before the last one, items a second: the percentile, and the fewest samples that it needs.
COLUMNS = tuple((f"p{100 * fraction:.10g}", fewest(fraction)) for fraction in SHOWN)


def tail_rows(run: Run) -> list[list[str]]:
    """The cells of the table; no row without a latency.

    A percentile that is not known from so few samples is blank. The last cell of streams that were
    not measured says why.
    """
    found = of_run(run)
    if not found:
        return []
    alone = single_items_per_s(run)
    rows = [["one at a time", *_cells(found), rate(alone) if alone else ""]]
    return [*rows, _loaded(run, run.concurrency, alone)] if run.concurrency else rows


def _loaded(run: Run, load: Concurrency, alone: float | None) -> list[str]:
    items = items_per_s(run)
    if load.failure or items is None:
        why = f"not measured: {in_page(load.failure or 'no samples')}"
        return [load_text(run, load), "0", *("" for _ in COLUMNS), why]
    times = f" ({items / alone:.2f} times)" if alone else ""
    under = percentiles(concurrent_ns(load))
    return [load_text(run, load), *_cells(under), rate(items) + times]


def _cells(found: Sequence[Percentile]) -> Iterator[str]:
    yield f"{found[0].samples:,}"
    for each in found:
        yield "" if each.ns is None else _duration(each.ns)
