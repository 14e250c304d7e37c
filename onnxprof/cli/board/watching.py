"""What a command gives a sweep as its listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxprof.cli import loudness
from onnxprof.cli.output import is_plain
from onnxprof.sweeps.events import Listener
from onnxprof.sweeps.status.file import StatusFile

if TYPE_CHECKING:
    from rich.console import Console


def _warn(text: str) -> None:
    """Print a line on stderr, also with `-qq`: what failed, and the end."""
    from onnxprof.publish.text.safe import printable

    typer.echo(printable(text), err=True)


@contextmanager
def recorded(store: Path) -> Iterator[Listener]:
    """A listener that keeps the status of the sweep for other terminals.

    It is to be called by one thread at a time, as the ledger does; `shown` likewise.
    """
    with StatusFile(store) as status:
        yield status.hear


@contextmanager
def shown(console: Console, *, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows the sweep: on a terminal the board, elsewhere lines.

    Lines it is as well where little is to be said or, with `-v`, much.
    """
    from onnxprof.cli.board.lines import Lines
    from onnxprof.cli.board.live import Board

    is_drawn = console.is_terminal and not (console.is_dumb_terminal or is_plain())
    if is_drawn and not quiet and loudness.level() <= loudness.USUAL:
        with Board(console) as live:
            yield live.hear
    else:
        yield Lines(typer.echo, _warn, console.width, quiet=quiet).hear
