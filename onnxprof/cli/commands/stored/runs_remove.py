"""`onnxprof runs remove` and `onnxprof runs prune`: take stored runs away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import (
    WHICH,
    DryRun,
    Every,
    Runs,
    Which,
    Yes,
    changeable,
    named,
    reads,
)
from onnxprof.cli.output import display, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.store.summary import Summary

#: Runs that are shown one by one before they are removed.
_MOST_SHOWN = 40


@reads("runs", *WHICH, "every", "yes", "dry_run")
def remove(
    which: Which,
    runs: Runs = None,
    every: Every = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> int:
    """Remove stored runs, after saying which and asking.

    Only files that are runs are removed: what cannot be read is named and stays.
    """
    return _removed(named(runs or [], which.roots, which.filters, every), yes, dry_run)


@reads("keep", *WHICH, "yes", "dry_run")
def prune(
    which: Which,
    keep: Annotated[int, typer.Option(min=1, help="Runs of each request that stay.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> int:
    """Remove all but the newest runs of each request, after saying which and asking.

    A failed run that is older than a good one goes before any other. Runs with a tag stay, but
    for tags that --tag names.
    """
    from onnxprof.publish.text.safe import counted
    from onnxprof.store.select import select
    from onnxprof.store.upkeep.removal import superfluous

    filters = which.filters
    listed = changeable(select("", which.roots, filters, say=note))
    surplus, tagged = superfluous(listed, keep, filters)
    if tagged:
        note(f"{counted(len(tagged), 'run stays', 'runs stay')} because of a tag")
    if not surplus:
        note(f"No request has more than {keep}: nothing to remove")
        return 0
    return _removed(surplus, yes, dry_run)


def _removed(runs: Sequence[Summary], yes: bool, dry_run: bool) -> int:
    from onnxprof.publish.text.safe import counted
    from onnxprof.store.folder import tell
    from onnxprof.store.upkeep.removal import remove as remove_files

    _show(runs)
    if dry_run:
        return 0
    if not yes and not _agreed(len(runs)):
        note("Nothing was removed")
        return 1
    gone, problems = remove_files(runs)
    tell(problems, note)
    note(f"{counted(gone, 'run', 'runs')} removed")
    return 2 if problems else 0


def _show(runs: Sequence[Summary]) -> None:
    from onnxprof.publish.tables.runs import list_table
    from onnxprof.publish.text.numbers import scaled
    from onnxprof.publish.text.safe import counted
    from onnxprof.store.upkeep.removal import size_of

    display(list_table(runs[:_MOST_SHOWN]))
    if len(runs) > _MOST_SHOWN:
        note(f"… and {counted(len(runs) - _MOST_SHOWN, 'run', 'runs')} more")
    note(f"To be removed: {counted(len(runs), 'run', 'runs')}, {scaled(size_of(runs), 'B')}")


def _agreed(count: int) -> bool:
    """Whether the user agrees. Raises UsageError where nobody can be asked."""
    import sys

    from onnxprof.errors import UsageError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask on", remedy="Add --yes to remove these runs")
    return typer.confirm("Remove this run?" if count == 1 else "Remove these runs?", err=True)
