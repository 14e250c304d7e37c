"""`onnxprof sweep status`: how the sweeps of a store stand, from another terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import deliver_document, display, note

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rich.text import Text

    from onnxprof.sweeps.status.file import Status


def status(
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The store of the sweep, else $ONNXPROF_STORE, else runs."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Show how the sweeps of a store stand: devices, jobs, failures, time left.

    The exit code is 1 if a sweep is dead, that is, if its process is gone before its end.
    """
    from onnxprof import folders
    from onnxprof.store.folder import tell
    from onnxprof.sweeps.status.file import State, state, statuses

    root = folders.store(store)
    found, problems = statuses(root)
    tell(problems, note)
    if as_json:
        _print_json(found)
    elif not found:
        note(f"No sweep is known in {root}")
    else:
        _print(found, root)
    return int(any(state(each) is State.DEAD for each in found))


def _print(found: Sequence[Status], root: Path) -> None:
    from onnxprof.cli.board.view import Board
    from onnxprof.sweeps.status.file import State, state

    for each in found:
        display(_heading(each, root), Board(each.tally, state(each) is State.DEAD), "")


def _heading(each: Status, root: Path) -> Text:
    from rich.text import Text

    from onnxprof.publish.tables.plan import time_text
    from onnxprof.publish.text.safe import printable
    from onnxprof.sweeps.status.file import State, age_s, state

    writer = each.writer
    where, age = f"process {writer.pid} on {writer.host}", time_text(age_s(each))
    words, style = {
        State.RUNNING: (f"runs ({where}); as of {age} ago", ""),
        State.ENDED: (f"is over ({where}), since {age}", ""),
        State.DEAD: (
            f"is dead: {where} was last heard of {age} ago. Run it again: it goes on where it was",
            "red",
        ),
        State.UNKNOWN: (f"runs elsewhere ({where}); last heard of {age} ago", "yellow"),
    }[state(each)]
    began = each.began.replace("T", " ").removesuffix("Z")
    return Text(printable(f"sweep into {root}, begun {began} UTC, {words}"), style=style)


def _print_json(found: Sequence[Status]) -> None:
    from onnxprof.publish.json.sweeps import status as document

    deliver_document(document([_facts(each) for each in found]))


def _facts(each: Status) -> dict[str, Any]:
    from onnxprof.store.encoding import to_json
    from onnxprof.sweeps.status.file import state

    left = {"left": each.tally.left, "left_s": each.tally.left_s}
    return {"state": state(each).value, **to_json(each), **left}
