"""`onnxprof runs import --dlperf`: the tables of a clone as runs of published lower bounds."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from onnxprof.cli.output import note
from onnxprof.errors import UsageError
from onnxprof.imports.dlperf.folder import find
from onnxprof.imports.dlperf.runs import Reading
from onnxprof.jobs.job import now
from onnxprof.publish.text.safe import counted
from onnxprof.records.run import Run
from onnxprof.store.folder import Store, load


def import_published(folder: Path, root: Path) -> tuple[int, int]:
    """Store a run for each table of the clone; how many are new, and how many were there.

    A table that cannot be used is named on stderr. Raises UsageError if none can.
    """
    store = Store(root)
    store.check_writable()
    reading = Reading(find(folder), _command(folder), now())
    models, new, there = set(), 0, 0
    for made in reading.runs():
        models.add(made.sheet.model)
        if _is_there(store, made.run):
            there += 1
        else:
            store.save(made.run)
            new += 1
    for problem in reading.problems:
        note(f"left out: {problem}")
    if not models:
        raise UsageError("none of its tables can be used", where=str(folder))
    typer.echo(_told(len(models), new, there))
    note(f"stored in {root}")
    return new, there


def _told(models: int, new: int, there: int) -> str:
    known = f"; {there:,} were there already" if there else ""
    return (
        f"{counted(new, 'run', 'runs')} of {counted(models, 'model', 'models')} imported{known}\n"
        "They are lower bounds, as published in 2020: cuDNN primitives timed one by one,\n"
        "no latency measured. Nothing ranks them among measured runs."
    )


def _is_there(store: Store, run: Run) -> bool:
    """Whether the newest run of the request was made of the same files."""
    found = store.find(run.request)
    return bool(found) and load(found[-1]).origin == run.origin


def _command(folder: Path) -> str:
    name = folder.resolve().name or "dlperf"
    return shlex.join(["onnxprof", "runs", "import", "--dlperf", name])
