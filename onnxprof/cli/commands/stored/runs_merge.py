"""`onnxprof runs merge`: bring the runs of several stores into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.output import note

if TYPE_CHECKING:
    from onnxprof.store.upkeep.merge import Merged


def merge(
    folders_: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Stores, folders of runs, or archives.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="The store to add them to, else $ONNXPROF_STORE, else runs."
        ),
    ] = None,
) -> int:
    """Copy the runs of other stores into one, with their tags and ceilings.

    A run that the store has already, by content, is not copied again, and nothing is overwritten.
    Each run is read whole before it is copied; what cannot be read is named and left out, and the
    exit code is 1.
    """
    from onnxprof import folders
    from onnxprof.cli.output import stderr_console
    from onnxprof.cli.progress import steps
    from onnxprof.errors import UsageError
    from onnxprof.processes import device_lock
    from onnxprof.store.folder import Store, tell
    from onnxprof.store.parquet import is_archive
    from onnxprof.store.upkeep.merge import merge as merged_into

    sources, target = [folders.expanded(each) for each in folders_], folders.store(into)
    for source in sources:
        if not source.is_dir() and not is_archive(source):
            raise UsageError("there is no such folder or archive", where=str(source))
    Store(target).check_writable()
    with (
        device_lock.held(str(target.resolve()), note),
        steps(stderr_console(), "merging") as show,
    ):
        merged = merged_into(
            sources,
            target,
            lambda number, count: show(f"run {number + 1} of {count}", number / count),
        )
    tell(merged.unreadable, note)
    typer.echo(f"{target}: {_in_words(merged)}")
    return 1 if merged.unreadable else 0


def _in_words(merged: Merged) -> str:
    from onnxprof.publish.text.safe import counted

    counts = [
        f"{merged.new:,} new",
        f"{merged.there:,} there already",
        f"{len(merged.unreadable):,} unreadable",
    ]
    extra = [counted(merged.tags, "line about tags", "lines about tags")] if merged.tags else []
    extra += [
        f"{counted(count, 'file', 'files')} of {name}"
        for name, count in merged.beside.items()
        if count
    ]
    return ", ".join(counts) + (f"; also {' and '.join(extra)}" if extra else "")
