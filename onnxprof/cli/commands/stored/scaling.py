"""`onnxprof scaling`: what a call costs at any size, what an item adds, which batch is worth it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import Dim, Json, Tag
from onnxprof.cli.output import TABLES, deliver, display, file_format

if TYPE_CHECKING:
    from onnxprof.api.results.scalings import Scalings

_NS = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}


class Format(StrEnum):
    """How to print it."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"


def scaling(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
        ),
    ] = None,
    over: Annotated[
        str, typer.Option(metavar="AXIS", help="The batch, or an axis given with --dim.")
    ] = "batch",
    latency_limit: Annotated[
        str, typer.Option(metavar="TIME", help="Name the best size within it: 20ms, 500us, 1s.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Blocks of layers to show.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Every block.")] = False,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: as the file's name ends, else table."),
    ] = None,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only runs of this model; named files are always taken."),
    ] = None,
    backend: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Only runs of these backends.")
    ] = "",
    device: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only runs of this device; repeatable.")
    ] = None,
    dim: Dim = None,
    tag: Tag = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where ids are looked up.")
    ] = None,
) -> None:
    """Say what a call costs whatever its size, what each item adds, and where more is not worth it.

    Takes runs of one system at two or more batch sizes, or sizes of an axis; several models and
    systems come one after the other.
    """
    from onnxprof.api.results.scalings import Scalings
    from onnxprof.api.scaling import scaled
    from onnxprof.cli.options import parse_filters
    from onnxprof.cli.sources import newest_runs
    from onnxprof.compare.systems import newest
    from onnxprof.store.select import Need

    limit_ns = parse_time(latency_limit) if latency_limit else None
    printed = Format(file_format(format_ or "", output, TABLES, Format.TABLE, as_json))
    filters = parse_filters(model, device, [backend] if backend else (), "", tag, dim)
    chosen = newest(newest_runs(runs or [], store, filters, Need.LATENCIES))
    made = Scalings(scaled(chosen, over), None if all_ else limit, limit_ns)
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


def show(made: Scalings, printed: Format, output: Path | None, as_json: bool = False) -> None:
    """Print or write scalings in the chosen format; `--format json` has no envelope."""
    from onnxprof.publish.json import documents
    from onnxprof.publish.scaling.data import plain

    if printed is Format.TABLE and output is None:
        display(*made.parts())
    elif printed is Format.JSON and not as_json:
        deliver(documents.text(plain(made.records, made.latency_limit_ns)), output)
    else:
        deliver(made.content(printed.value), output)
