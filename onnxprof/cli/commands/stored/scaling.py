"""`onnxprof scaling`: what a call costs at any size, what an item adds, which batch is worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import (
    WHICH,
    All,
    Form,
    Json,
    Output,
    RunsOrStore,
    TableFormat,
    Which,
    reads,
)
from onnxprof.cli.output import TABLES, deliver, display, file_format, note

if TYPE_CHECKING:
    from pathlib import Path

    from onnxprof.api.results.scalings import Scalings

_NS = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}


@reads("runs", "over", "latency_limit", "limit", "all_", "format_", "as_json", "output", *WHICH)
def scaling(
    which: Which,
    runs: RunsOrStore = None,
    over: Annotated[
        str, typer.Option(metavar="AXIS", help="The batch, or an axis given with --dim.")
    ] = "batch",
    latency_limit: Annotated[
        str, typer.Option(metavar="TIME", help="Name the best size within it: 20ms, 500us, 1s.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Blocks of layers to show.")] = 20,
    all_: All = False,
    format_: Form = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Say what a call costs whatever its size, what each item adds, and where more is not worth it.

    Takes runs of one system at two or more batch sizes, or sizes of an axis; several models and
    systems come one after the other.
    """
    from onnxprof.api.results.scalings import Scalings
    from onnxprof.api.scaling import scaled
    from onnxprof.cli.sources import newest_runs
    from onnxprof.compare.systems import newest
    from onnxprof.store.select import Need

    limit_ns = parse_time(latency_limit) if latency_limit else None
    printed = TableFormat(file_format(format_ or "", output, TABLES, "table", as_json))
    chosen = newest(newest_runs(runs or [], which.roots, which.filters, Need.LATENCIES))
    made = Scalings(scaled(chosen, over, note), None if all_ else limit, limit_ns)
    show(made, printed, output, as_json)


def parse_time(text: str) -> int:
    """`20ms` in nanoseconds; a bare number is milliseconds. Raises UsageError."""
    import re

    from onnxprof.errors import UsageError

    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,9})?|\.\d{1,9})\s*(us|µs|ms|s|)\s*", text)
    ns = round(float(match[1]) * _NS[match[2] or "ms"]) if match else 0
    if ns <= 0:
        raise UsageError(
            f"--latency-limit {text!r} is no time above zero", remedy="Write 20ms, 500us or 1s"
        )
    return ns


def show(made: Scalings, printed: TableFormat, output: Path | None, as_json: bool = False) -> None:
    """Print or write scalings in the chosen format; `--format json` has no envelope."""
    from onnxprof.publish.json import documents
    from onnxprof.publish.scaling.data import plain

    if printed is TableFormat.TABLE and output is None:
        display(*made.parts())
    elif printed is TableFormat.JSON and not as_json:
        deliver(documents.text(plain(made.records, made.latency_limit_ns)), output)
    else:
        deliver(made.content(printed.value), output)
