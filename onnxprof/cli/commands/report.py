"""`onnxprof report`: stored runs as one page to send."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.choosing import WHICH, Json, RunsOrStore, Which, reads
from onnxprof.cli.output import deliver_document, note


@reads("runs", "output", "title", *WHICH, "as_json")
def report(
    which: Which,
    runs: RunsOrStore = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The page to write.")
    ] = "report.html",
    title: Annotated[str, typer.Option(help="What its pages are called.")] = "onnxprof",
    as_json: Json = False,
) -> None:
    """Write runs as one HTML page to send: it works from disk, and asks for nothing.

    Of runs of one model it is that model's page: summary, times of every layer, plot, comparison of
    any two runs, machines and what differs, warnings. Of several it is a small site in one file.
    """
    from onnxprof.api.reporting import checked, of_named
    from onnxprof.api.results.shown import written
    from onnxprof.publish.site.words import contents
    from onnxprof.publish.text.numbers import size

    place = checked(output)
    made = of_named(runs or [], which.roots, which.filters, title, note)
    for problem in made.problems:
        note(f"left out: {problem}")
    written(place, lambda: made.content)
    if as_json:
        from onnxprof.publish.json.tools import report_made

        return deliver_document(report_made(made, place))
    typer.echo(f"{contents(made)}, {size(len(made.content))}")
    return typer.echo(str(place))
