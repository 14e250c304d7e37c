"""`onnxprof runs pack` and `unpack`: many runs in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import OF_STORES, Which, reads, roots_of
from onnxprof.cli.output import note

if TYPE_CHECKING:
    from onnxprof.store.upkeep.pack import Packing


@reads("folders_", "output", *OF_STORES, "samples")
def pack(
    which: Which,
    folders_: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STORE]...",
            help="Stores or archives, else $ONNXPROF_STORE, else runs.",
        ),
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.parquet", help="The archive to write.")
    ],
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Keep some N samples of a kind, 32 at least. [default: all]",
            show_default=False,
        ),
    ] = 0,
) -> int:
    """Put stored runs into one file that takes a tenth of the room, failed ones too.

    Commands that read a store read the file as well. Everything is kept, except tags, and samples
    beyond those that --samples asks for. What cannot be read is named and left out, and the exit
    code is 1.
    """
    from onnxprof.cli.output import stderr_console
    from onnxprof.cli.progress import steps
    from onnxprof.errors import UsageError
    from onnxprof.store.folder import tell
    from onnxprof.store.upkeep.pack import pack as packed
    from onnxprof.store.upkeep.thinning import LEAST

    if output.suffix != ".parquet":
        raise UsageError("an archive's name ends in .parquet", where=str(output))
    if 0 < samples < LEAST:
        raise UsageError(f"so few samples tell little; --samples takes {LEAST} or more")
    sources, filters = roots_of(folders_), which.filters
    for source in sources:
        if not source.exists():
            raise UsageError("there is no such folder or file", where=str(source))
    with steps(stderr_console(), "packing") as show:

        def advance(number: int, count: int) -> None:
            show(f"run {number + 1} of {count}", number / count)

        packing = packed(sources, output, filters, samples, advance)
    tell(packing.unreadable, note)
    typer.echo(f"{output}: {_in_words(packing)}")
    return 1 if packing.unreadable else 0


def unpack(
    files: Annotated[list[str], typer.Argument(metavar="FILE.parquet...", help="Archives.")],
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="The store to add them to, else $ONNXPROF_STORE, else runs."
        ),
    ] = None,
) -> int:
    """Write the runs of archives as files of a store, each once; nothing is overwritten."""
    from onnxprof.cli.commands.stored.runs_merge import merge

    return merge(files, into)


def _in_words(packing: Packing) -> str:
    from onnxprof.publish.text.numbers import scaled
    from onnxprof.publish.text.safe import counted

    each = packing.file_bytes / max(1, packing.runs)
    parts = [f"{counted(packing.runs, 'run', 'runs')}, {scaled(packing.file_bytes, 'B')}"]
    parts += [f"{scaled(each, 'B')} a run"]
    extra = ((packing.failed, "failed"), (packing.fewer, "thinned"), (packing.twice, "twice"))
    parts += [f"{count:,} {what}" for count, what in extra if count]
    return ", ".join(parts)
