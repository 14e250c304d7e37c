"""What a command gives a sweep as its listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.cli.output import note
from onnxprof.sweeps.events import Event, Listener
from onnxprof.sweeps.status.file import StatusFile

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def watching(console: Console, store: Path, *, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows the sweep on a console, and keeps its status for other terminals.

    On a terminal that is the board, elsewhere and with `quiet` lines. It is to be called by one
    thread at a time, as the ledger does.
    """
    with StatusFile(store) as status, shown(console, quiet=quiet) as show:

        def hear(event: Event) -> None:
            status.hear(event)
            show(event)

        yield hear


@contextmanager
def shown(console: Console, *, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows the sweep, and keeps nothing."""
    from onnxprof.cli.board.lines import Lines
    from onnxprof.cli.board.live import Board

    if console.is_terminal and not quiet:
        with Board(console) as live:
            yield live.hear
    else:
        yield Lines(note, console.width, quiet=quiet).hear
