"""`onnxprof runs tag` and `onnxprof runs untag`: names that users give to stored runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from onnxprof.cli.choosing import WHICH, Every, Runs, Which, named, reads
from onnxprof.cli.output import note

Name = Annotated[
    str, typer.Argument(metavar="TAG", help="Up to 64 letters, digits and . _ + @ : / -")
]


def tag() -> Callable[..., None]:
    """The command that gives a tag."""
    return _command(
        "Give stored runs a tag: `runs list`, `compare` and others find them by --tag.", is_set=True
    )


def untag() -> Callable[..., None]:
    """The command that takes a tag."""
    return _command("Take a tag from stored runs.", is_set=False)


def _command(text: str, *, is_set: bool) -> Callable[..., None]:
    @reads("runs", "name", *WHICH, "every")
    def command(which: Which, runs: Runs = None, *, name: Name, every: Every = False) -> None:
        from onnxprof.publish.text.safe import counted
        from onnxprof.store import tags

        name = tags.checked(name)
        chosen = named(runs or [], which.roots, which.filters, every)
        changed = len(tags.change(chosen, name, is_set=is_set))
        same = len(chosen) - changed
        done, already = ("tagged", "had") if is_set else ("no longer tagged", "did not have")
        rest = f"; {counted(same, 'run', 'runs')} {already} it before" if same else ""
        note(f"{counted(changed, 'run', 'runs')} {done} {name}{rest}")

    command.__doc__ = text
    return command
