"""`onnxprof report`: stored runs as one page to send."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.choosing import Backend, Batch, Device, Json, Model, Stores, Tag, roots_of
from onnxprof.cli.output import deliver_document, note


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
    as_json: Json = False,
) -> None:
    """Write runs as one HTML page to send: it works from disk, and asks for nothing.

    Of runs of one model it is that model's page: summary, times of every layer, plot, comparison of
    any two runs, machines and what differs, warnings. Of several it is a small site in one file.
    """
    from onnxprof.api.reporting import checked, of_named
    from onnxprof.api.results.shown import written
    from onnxprof.cli.options import parse_filters
    from onnxprof.publish.site.words import contents
    from onnxprof.publish.text.numbers import size

    place = checked(output)
    filters = parse_filters(model, device, backend, batch, tag)
    made = of_named(runs or [], roots_of(store), filters, title, note)
    for problem in made.problems:
        note(f"left out: {problem}")
    written(place, lambda: made.content)
    if as_json:
        from onnxprof.publish.json.tools import report_made

        return deliver_document(report_made(made, place))
    typer.echo(f"{contents(made)}, {size(len(made.content))}")
    return typer.echo(str(place))
