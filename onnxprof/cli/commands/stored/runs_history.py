"""`onnxprof runs history`: what changed from run to run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import OF_A_MODEL, Json, Which, reads
from onnxprof.cli.output import deliver_document, display, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.records.run import Run


@reads("model", *OF_A_MODEL, "limit", "as_json")
def history(
    which: Which,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Part of a model's name, or all of it with * and ?."),
    ],
    limit: Annotated[int, typer.Option(min=1, help="The newest runs of each request.")] = 12,
    as_json: Json = False,
) -> None:
    """Show each request's runs in order of time, with what changed from run to run.

    A right run is compared with the last right one before it, as `onnxprof compare` does it; below
    stands what differs from the run before. Failed runs and wrong outputs are never compared.
    """
    from onnxprof.publish.history.lines import lines
    from onnxprof.publish.history.terminal import table
    from onnxprof.publish.json.listing import history as document
    from onnxprof.publish.pages.catalogue import catalogue
    from onnxprof.store.folder import load_good
    from onnxprof.store.select import select

    which = replace(which, model=[model])
    chosen = select("", which.roots, which.filters, say=note)
    runs = _timed([run for _, run in load_good([each.path for each in chosen], note)])
    _warn_of_clocks(runs)
    groups = lines(catalogue(runs), limit)
    if as_json:
        return deliver_document(document(groups))
    return display(table(groups))


def _timed(runs: Sequence[Run]) -> list[Run]:
    """Without what another program measured without latencies."""
    from onnxprof.compare.systems import is_bare
    from onnxprof.publish.text.safe import counted

    kept = [run for run in runs if not is_bare(run)]
    if len(kept) < len(runs):
        lost = counted(len(runs) - len(kept), "imported run", "imported runs")
        note(f"{lost} without un-profiled latencies left out")
    return kept


def _warn_of_clocks(runs: Sequence[Run]) -> None:
    """Runs of the future stay the newest: no later one comes after them."""
    from datetime import UTC, datetime, timedelta

    from onnxprof.publish.text.safe import counted

    latest = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ahead = [run for run in runs if run.created > latest]
    if ahead:
        count = counted(len(ahead), "run is", "runs are")
        note(
            f"{count} of the future, by a clock that was ahead: the order is not that of the"
            " measurements. `onnxprof runs remove` takes such a run away"
        )
