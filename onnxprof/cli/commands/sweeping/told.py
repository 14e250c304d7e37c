"""What a sweep prints as it goes: the board or lines for people, or events as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from onnxprof.cli.output import detail

if TYPE_CHECKING:
    from pathlib import Path

    from onnxprof.sweeps.events import Event, Listener


def as_json_lines(event: Event) -> None:
    """Print an event as one line of JSON."""
    from onnxprof.publish.json import documents, sweeps
    from onnxprof.sweeps.events import as_json

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    typer.echo(documents.line(sweeps.event(as_json(event, now))), nl=False)


@contextmanager
def listening(store: Path, is_json: bool, quiet: bool) -> Iterator[Listener]:
    """What hears the events of a sweep, prints them, and keeps its status in the store."""
    from onnxprof.cli.board.watching import recorded, shown
    from onnxprof.cli.output import stderr_console

    console = stderr_console()
    doing: dict[str, str] = {}
    with recorded(store) as record, shown(console, quiet=quiet or is_json) as show:

        def hear(event: Event) -> None:
            record(event)
            _detail(event, doing)
            (as_json_lines if is_json else show)(event)

        yield hear


def _detail(event: Event, doing: dict[str, str]) -> None:
    """With `-v` print what a job is at where that changes; `doing` keeps the last of each."""
    from onnxprof.sweeps.events import Advanced

    if isinstance(event, Advanced) and doing.get(event.job.key) != event.doing:
        doing[event.job.key] = event.doing
        detail(f"{event.job.model} {event.job.sizes} on {event.job.backend}: {event.doing}")
