"""`onnxprof advise`: what to change in a network, and what that is expected to gain."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import OF_A_MODEL, Json, RunsOrStore, Which, reads
from onnxprof.cli.output import TABLES, deliver, display, file_format, plain_text, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.reasons.advice.advise import Advice
    from onnxprof.reasons.advice.applied import Applied


class Format(StrEnum):
    """How to print it."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"


@reads(
    *("runs", "apply", "model", "budget", "processes", "limit", "all_", "format_", "as_json"),
    *("output", "timeout", "memory", *OF_A_MODEL),
)
def advise(
    which: Which,
    runs: RunsOrStore = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply", metavar="OUT.onnx", help="Rewrite the model where that is safe, and measure."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="To rewrite; needed where the run was of a file."),
    ] = "",
    budget: Annotated[
        float, typer.Option(min=0.0, help="Seconds of measuring each of both models; 0 for none.")
    ] = 10.0,
    processes: Annotated[
        int, typer.Option(min=1, max=1000, help="Pairs of fresh processes, in turns.")
    ] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Findings to show.")] = 12,
    all_: Annotated[bool, typer.Option("--all", help="Every finding, small ones as well.")] = False,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: as the file's name ends, else table."),
    ] = None,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds before it is ended.")] = 600.0,
    memory: Annotated[
        float, typer.Option(min=0.0, help="GiB of memory; 0 for most of the machine's.")
    ] = 0.0,
) -> None:
    """Say what to change in a network or its setting, with evidence and the gain to expect.

    The largest expected gain comes first. Of a folder (without any RUN: of the store) the newest
    run of each system and size is looked at. With --apply the model of a run is rewritten where
    that changes no result, and both are measured in turn: predicted against measured gain.
    """
    from onnxprof.api.advising import advised
    from onnxprof.cli.commands.reasons.apply import applied, check_target
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.confined import Limits

    printed = Format(file_format(format_ or "", output, TABLES, Format.TABLE, as_json))
    if apply is not None:
        check_target(apply)
    every = advised(runs or [], which.roots, which.filters, say)
    done = None
    if apply is not None:
        limits = Limits(timeout, memory_limit(memory))
        done = applied(every, apply, model, (budget, processes), limits)
    show(every, printed, output, None if all_ else limit, done, as_json)


def show(
    every: Sequence[Advice],
    printed: Format,
    output: Path | None,
    limit: int | None,
    done: Applied | None = None,
    as_json: bool = False,
) -> None:
    """Print or write the advice, and what became of a rewrite, in the chosen format."""
    from onnxprof.cli.output import deliver_document
    from onnxprof.publish.json import documents, reasons
    from onnxprof.publish.reasons import advice as text

    if as_json:
        deliver_document(reasons.advised(every, done), output)
    elif printed is Format.CSV:
        deliver(text.to_csv(every), output)
        for line in text.applied_lines(done) if done else ():
            say(line)
    elif printed is Format.JSON:
        deliver(documents.text(text.plain(every, done)), output)
    elif printed is Format.MARKDOWN:
        deliver("\n".join(text.markdown(one, limit, done) for one in every), output)
    elif output is None:
        display(*text.tables(every, limit, done))
    else:
        deliver(plain_text(*text.tables(every, limit, done)), output)
