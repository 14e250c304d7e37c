"""`onnxprof phases`: prefill and decode side by side, and how layers grow with the length."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.choosing import (
    WHICH,
    All,
    Form,
    Json,
    Output,
    RunsOrStore,
    TableFormat,
    Which,
    reads,
)
from onnxprof.cli.output import TABLES, deliver, display, file_format


@reads("runs", "limit", "all_", "format_", "as_json", "output", *WHICH)
def phases(
    which: Which,
    runs: RunsOrStore = None,
    limit: Annotated[int, typer.Option(min=1, help="Blocks of layers to show.")] = 10,
    all_: All = False,
    format_: Form = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Put prefill and decode side by side, layer by layer, and say how each grows with the length.

    Takes runs that were measured with `profile --phase`; several models and systems come one after
    the other.
    """
    from onnxprof.api.scaling import phases as side_by_side
    from onnxprof.cli.sources import newest_runs
    from onnxprof.publish.json import documents
    from onnxprof.publish.phases.data import plain
    from onnxprof.store.select import Need

    printed = TableFormat(file_format(format_ or "", output, TABLES, "table", as_json))
    chosen = newest_runs(runs or [], which.roots, which.filters, Need.LATENCIES)
    made = side_by_side(chosen, limit=None if all_ else limit)
    if printed is TableFormat.TABLE and output is None:
        display(*made.parts())
    elif printed is TableFormat.JSON and not as_json:
        deliver(documents.text(plain(made.records)), output)
    else:
        deliver(made.content(printed.value), output)
