"""`onnxprof report`: stored runs as one page to send."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.choosing import Backend, Batch, Device, Model, Stores, Tag, roots_of
from onnxprof.cli.output import note


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The page to write.")
    ] = "report.html",
    title: Annotated[str, typer.Option(help="What its pages are called.")] = "onnxprof",
    model: Model = None,
    device: Device = None,
    backend: Backend = None,
    batch: Batch = "",
    tag: Tag = None,
    store: Stores = None,
) -> None:
    """Write runs as one HTML page to send: it works from disk, and asks for nothing.

    Of runs of one model it is that model's page: summary, times of every layer, plot, comparison of
    any two runs, machines and what differs, warnings. Of several it is a small site in one file.
    """
    from onnxprof.api.reporting import checked, of_named
    from onnxprof.api.results.shown import written
    from onnxprof.cli.options import parse_filters
    from onnxprof.publish.text.numbers import size

    place = checked(output)
    filters = parse_filters(model, device, backend, batch, tag)
    made = of_named(runs or [], roots_of(store), filters, title, note)
    for problem in made.problems:
        note(f"left out: {problem}")
    written(place, lambda: made.content)
    counts = ((made.models, "model"), (made.runs, "run"))
    told = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts)
    typer.echo(f"{told}, {size(len(made.content))}")
    typer.echo(str(place))
