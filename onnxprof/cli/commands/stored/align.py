"""`onnxprof align`: runs of one model side by side, in blocks of layers that all of them have."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import (
    WHICH,
    All,
    BookForm,
    BookFormat,
    Json,
    Output,
    RunsOrStore,
    TableFormat,
    Which,
    reads,
)
from onnxprof.cli.output import BOOKS, deliver, display, file_format, note, terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnxprof.records.run import Run


class Order(StrEnum):
    """How the blocks are sorted."""

    GRAPH = "graph"
    TIME = "time"
    RATIO = "ratio"
    GAP = "gap"


_Baseline = Annotated[
    str,
    typer.Option(
        metavar="N|NAME", help="Column that ratios are over, by number or name.  [default: 1]"
    ),
]
_Over = Annotated[
    str,
    typer.Option(metavar="AXIS", help="Latency, rate, speed-up over batch or an axis of --dim."),
]
_Sort = Annotated[
    Order, typer.Option(help="time: the baseline's; gap: the difference from the baseline.")
]
_Limit = Annotated[int, typer.Option(min=1, help="Blocks to show; the others are one row.")]
_Share = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, help="Only blocks with this part of any run's latency."),
]
_Threshold = Annotated[
    float, typer.Option(min=0.0, max=10.0, help="The smallest difference that matters.")
]
_Force = Annotated[
    bool, typer.Option("--force", help="Allow other inputs, and models that differ.")
]


@reads(
    *("runs", "baseline", "over", "sort", "limit", "all_", "min_share", "threshold"),
    *("format_", "output", "as_json", *WHICH, "force"),
)
def align(
    which: Which,
    runs: RunsOrStore = None,
    baseline: _Baseline = "",
    over: _Over = "",
    sort: _Sort = Order.GRAPH,
    limit: _Limit = 20,
    all_: All = False,
    min_share: _Share = 0.0,
    threshold: _Threshold = 0.02,
    format_: BookForm = None,
    output: Output = None,
    as_json: Json = False,
    force: _Force = False,
) -> None:
    """Put runs of one model on several systems side by side, a block of layers a row.

    Layers that any run executes as one step share a row. Of a folder (without any RUN: of the
    store) the newest run of each system is taken.
    """
    from onnxprof.api.aligning import aligned, refuse_baseline
    from onnxprof.api.results.alignment import Alignment
    from onnxprof.cli.sources import newest_runs
    from onnxprof.compare.axes.strays import apart
    from onnxprof.compare.systems import refuse_unlike, system
    from onnxprof.publish.comparing.alignment import Choice, Sort
    from onnxprof.store.select import Need

    printed = _format(format_, output, as_json)
    filters = which.filters
    need = Need.LATENCIES if over else Need.TIMES
    named = newest_runs(runs or [], which.roots, filters, need)
    chosen = _ordered(named, filters.backend)
    refuse_baseline(chosen, over, baseline)
    chosen, left_out = apart(chosen, over)
    for text in left_out:
        note(text)
    refuse_unlike(chosen, over=over, force=force)
    if over and len(set(map(system, chosen))) == 1:
        return _scaled(chosen, over, printed, output, None if all_ else limit, as_json)
    choice = Choice(Sort(sort.value), None if all_ else limit, min_share)
    made = Alignment(aligned(chosen, over, baseline, threshold), choice)
    if printed is BookFormat.TABLE and output is None:
        display(made.laid_out(terminal_width()))
    else:
        deliver(made.content(printed.value), output)
    return None


def _scaled(
    runs: Sequence[Run],
    over: str,
    printed: BookFormat,
    output: Path | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """One system over sizes of an axis is a matter of `onnxprof scaling`."""
    from onnxprof.api.results.scalings import Scalings
    from onnxprof.api.scaling import scaled
    from onnxprof.cli.commands.stored import scaling as command

    made = Scalings(scaled(runs, over, note), limit)
    if printed is BookFormat.BOOK:
        return deliver(made.content(printed.value), output)
    command.show(made, TableFormat(printed.value), output, as_json)
    return None


def _ordered(runs: Sequence[Run], backends: Sequence[str]) -> list[Run]:
    """The runs in the order of the requested backends; without those, in the given order."""

    def place(run: Run) -> int:
        name = run.request.backend.casefold()
        return next((i for i, b in enumerate(backends) if b.casefold() in name), len(backends))

    return sorted(runs, key=place)


def _format(given: BookFormat | None, output: Path | None, as_json: bool) -> BookFormat:
    from onnxprof.cli.books import check_book

    return BookFormat(check_book(file_format(given or "", output, BOOKS, "table", as_json), output))
