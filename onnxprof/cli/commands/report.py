"""`onnxprof report`: stored runs as one page to send."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.choosing import WHICH, RunsOrStore, Which, reads
from onnxprof.cli.output import note


@reads("runs", "output", "title", *WHICH)
def report(
    which: Which,
    runs: RunsOrStore = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The page to write.")
    ] = "report.html",
    title: Annotated[str, typer.Option(help="What its pages are called.")] = "onnxprof",
) -> None:
    """Write runs as one HTML page to send: it works from disk, and asks for nothing.

    Of runs of one model it is that model's page: summary, times of every layer, plot, comparison of
    any two runs, machines and what differs, warnings. Of several it is a small site in one file.
    """
    from onnxprof.api.reporting import checked, of_named
    from onnxprof.api.results.shown import written
    from onnxprof.publish.text.numbers import size

    place = checked(output)
    made = of_named(runs or [], which.roots, which.filters, title, note)
    for problem in made.problems:
        note(f"left out: {problem}")
    written(place, lambda: made.content)
    counts = ((made.models, "model"), (made.runs, "run"))
    told = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts)
    typer.echo(f"{told}, {size(len(made.content))}")
    typer.echo(str(place))
