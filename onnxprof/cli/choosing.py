"""Options of the commands of `onnxprof runs`, and the stored runs that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnxprof.store.folder import Filters
    from onnxprof.store.summary import Summary

_PATTERN = "Part of the name, or all of it with * and ?; repeatable."
Model = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help=_PATTERN)]
Device = Annotated[list[str] | None, typer.Option("--device", metavar="NAME", help=_PATTERN)]
Backend = Annotated[list[str] | None, typer.Option("--backend", metavar="NAME", help=_PATTERN)]
Batch = Annotated[str, typer.Option("--batch", metavar="N,N", help="Batch sizes, such as 1,8.")]
Dim = Annotated[
    list[str] | None,
    typer.Option(
        "--dim", metavar="NAME=SIZE", help="Only runs at these sizes of an axis: past=0,128."
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Runs with this tag, also with * and ?; repeatable."),
]
Stores = Annotated[
    list[str] | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Folder of runs, else $ONNXPROF_STORE, else runs; repeatable.",
    ),
]
What = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        help="An id or its first digits, a .parquet file or a folder of runs; else the store.",
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="An id or its first digits, a .parquet file or a folder of runs; or options that say"
        " which.",
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Every run that an id means, not the newest alone.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else (docs/json.md).")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say it, and remove nothing.")]


def roots_of(store: list[str] | None) -> list[Path]:
    """The stores that are meant."""
    from onnxprof import folders

    return [folders.store(folder) for folder in store] if store else [folders.store()]


def named(
    texts: Sequence[str], roots: Sequence[Path], filters: Filters, every: bool
) -> list[Summary]:
    """The runs that arguments and filters name, each once.

    Raises UsageError where neither is given: what changes runs is not meant for all of them by
    default.
    """
    from onnxprof.errors import UsageError
    from onnxprof.store.folder import Filters
    from onnxprof.store.select import select

    if not texts and filters == Filters():
        raise UsageError(
            "no run is named", remedy="Give ids, files or folders, or filters: --model '*' is all"
        )
    runs = [
        run for text in texts or [""] for run in select(text, roots, filters, every=every, say=note)
    ]
    return changeable(list({run.file: run for run in runs}.values()))


def changeable(runs: list[Summary]) -> list[Summary]:
    """The same runs. Raises UsageError for those of an archive, which never changes."""
    from onnxprof.errors import UsageError
    from onnxprof.store.formats.archive import located

    for run in runs:
        if place := located(run.file):
            raise UsageError(
                "the runs of an archive cannot be changed",
                where=str(place[0]),
                remedy="onnxprof runs unpack FILE.parquet --into STORE writes them as files",
            )
    return runs
