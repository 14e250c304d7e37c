"""`onnxprof sweep init`: write a plan for the machine at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxprof.cli.output import deliver, note


def init(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it [default: stdout]."),
    ] = None,
) -> int:
    """Write a plan with comments for the backends and devices that work here."""
    from onnxprof.doctor import states
    from onnxprof.errors import UsageError
    from onnxprof.sweeps.plans.written import written_plan

    if output is not None and output.exists():
        raise UsageError("is there already", where=str(output), remedy="Choose another name")
    found = states()
    deliver(written_plan(found, output.parent if output else Path()), output)
    if not any(state.usable for state in found):
        note('No backend works here: pip install "onnxprof[cpu]"')
        return 1
    return 0
