"""Two sides measured in turn, with what the commands show meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.cli.output import say
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxprof.compare.pairing import Pairing
    from onnxprof.jobs.job import Job


def measured(
    sides: tuple[Options, Options],
    store: Path | None,
    *,
    layer_errors: bool = False,
    brief: bool = False,
    hear: Callable[[str], None] = say,
) -> tuple[Pairing, Sequence[tuple[Job, Job]]]:
    """Measure two sides in turn; runs are stored where a store is named. Their jobs, too.

    The sides differ in their model, or in the version of a runtime. `layer_errors` refuses two that
    have none; `brief` leaves out how long it will take; `hear` is told what planning says.
    """
    from functools import partial

    from rich.console import Console

    from onnxprof import folders
    from onnxprof.api import in_turn
    from onnxprof.cli.progress import Meter, fetching
    from onnxprof.store.folder import Store

    place = Store(folders.store(store)) if store else None
    if place is not None:
        place.check_writable()
    found = in_turn.planned(sides, hear, partial(fetching, Console(stderr=True)))
    if layer_errors:
        in_turn.refuse_not_quantised(found.pairs)
    with Meter(Console(stderr=True), len(found.pairs), found.measuring_s) as meter:
        return in_turn.measured(found, place, meter, say, brief=brief), found.pairs
