"""`onnxprof phases`: prefill and decode side by side, and how layers grow with the length."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onnxprof.cli.choosing import Json, Tag
from onnxprof.cli.output import TABLES, deliver, display, file_format


class Format(StrEnum):
    """How to print it."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"


def phases(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Blocks of layers to show.")] = 10,
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
    tag: Tag = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where ids are looked up.")
    ] = None,
) -> None:
    """Put prefill and decode side by side, layer by layer, and say how each grows with the length.

    Takes runs that were measured with `profile --phase`; several models and systems come one after
    the other.
    """
    from onnxprof.api.scaling import phases as side_by_side
    from onnxprof.cli.options import parse_filters
    from onnxprof.cli.sources import newest_runs
    from onnxprof.publish.json import documents
    from onnxprof.publish.phases.data import plain
    from onnxprof.store.select import Need

    printed = Format(file_format(format_ or "", output, TABLES, Format.TABLE, as_json))
    filters = parse_filters(model, device, [backend] if backend else (), "", tag)
    chosen = newest_runs(runs or [], store, filters, Need.LATENCIES)
    made = side_by_side(chosen, limit=None if all_ else limit)
    if printed is Format.TABLE and output is None:
        display(*made.parts())
    elif printed is Format.JSON and not as_json:
        deliver(documents.text(plain(made.records)), output)
    else:
        deliver(made.content(printed.value), output)
