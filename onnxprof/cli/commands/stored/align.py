"""`onnxprof align`: runs of one model side by side, in blocks of layers that all of them have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import Dim, Json, Tag
from onnxprof.cli.output import BOOKS, deliver, display, file_format, terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.records.run import Run


class Format(StrEnum):
    """How to print an alignment."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"
    BOOK = "xlsx"


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
_Format = Annotated[
    Format | None, typer.Option("--format", help="Default: as the file's name ends, else table.")
]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
]
_Models = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only runs of this model; named files are always taken."),
]
_Batches = Annotated[
    str, typer.Option(metavar="N,N", help="Only runs at this batch; several with --over.")
]
_Backends = Annotated[
    str, typer.Option(metavar="NAME,NAME", help="Only runs of these backends, in this order.")
]
_Devices = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Only runs of this device; repeatable.")
]
_Force = Annotated[
    bool, typer.Option("--force", help="Allow other inputs, and models that differ.")
]


def align(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
        ),
    ] = None,
    baseline: _Baseline = "",
    over: _Over = "",
    sort: _Sort = Order.GRAPH,
    limit: _Limit = 20,
    all_: Annotated[bool, typer.Option("--all", help="Every block.")] = False,
    min_share: _Share = 0.0,
    threshold: _Threshold = 0.02,
    format_: _Format = None,
    output: _Output = None,
    as_json: Json = False,
    model: _Models = None,
    batch: _Batches = "",
    backend: _Backends = "",
    device: _Devices = None,
    dim: Dim = None,
    tag: Tag = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where ids are looked up.")
    ] = None,
    force: _Force = False,
) -> None:
    """Put runs of one model on several systems side by side, a block of layers a row.

    Layers that any run executes as one step share a row. Of a folder (without any RUN: of the
    store) the newest run of each system is taken.
    """
    from onnxprof.api.aligning import aligned
    from onnxprof.api.results.alignment import Alignment
    from onnxprof.cli.options import parse_filters
    from onnxprof.cli.sources import newest_runs
    from onnxprof.compare.systems import refuse_unlike, system
    from onnxprof.publish.comparing.alignment import Choice, Sort
    from onnxprof.store.select import Need

    printed = _format(format_, output, as_json)
    filters = parse_filters(model, device, [backend] if backend else (), batch, tag, dim)
    need = Need.LATENCIES if over else Need.TIMES
    named = newest_runs(runs or [], store, filters, need)
    chosen = _ordered(named, filters.backend)
    refuse_unlike(chosen, over=over, force=force)
    if over and len(set(map(system, chosen))) == 1:
        return _scaled(chosen, over, printed, output, None if all_ else limit, as_json)
    choice = Choice(Sort(sort.value), None if all_ else limit, min_share)
    made = Alignment(aligned(chosen, over, baseline, threshold), choice)
    if printed is Format.TABLE and output is None:
        display(made.laid_out(terminal_width()))
    else:
        deliver(made.content(printed.value), output)
    return None


def _scaled(
    runs: Sequence[Run],
    over: str,
    printed: Format,
    output: Path | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """One system over sizes of an axis is a matter of `onnxprof scaling`."""
    from onnxprof.api.results.scalings import Scalings
    from onnxprof.api.scaling import scaled
    from onnxprof.cli.commands.stored import scaling as command

    made = Scalings(scaled(runs, over), limit)
    if printed is Format.BOOK:
        return deliver(made.content(printed.value), output)
    command.show(made, command.Format(printed.value), output, as_json)
    return None


def _ordered(runs: Sequence[Run], backends: Sequence[str]) -> list[Run]:
    """The runs in the order of the requested backends; without those, in the given order."""

    def place(run: Run) -> int:
        name = run.request.backend.casefold()
        return next((i for i, b in enumerate(backends) if b.casefold() in name), len(backends))

    return sorted(runs, key=place)


def _format(given: Format | None, output: Path | None, as_json: bool) -> Format:
    from onnxprof.cli.books import check_book

    return Format(check_book(file_format(given or "", output, BOOKS, "table", as_json), output))
