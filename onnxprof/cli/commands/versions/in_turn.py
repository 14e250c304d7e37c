"""Two sides measured in turn, with what the commands show meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.cli.output import say
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from onnxprof.compare.pairing import Pairing
    from onnxprof.jobs.job import Job

    Pairs: TypeAlias = Sequence[tuple[Job, Job]]


def measured(
    sides: tuple[Options, Options],
    store: Path | None,
    *,
    phases: Sequence[str] = (),
    force: bool = False,
    check: Callable[[Pairs], None] = lambda _: None,
    brief: bool = False,
    hear: Callable[[str], None] = say,
) -> tuple[Pairing, Pairs]:
    """Measure two sides in turn; runs are stored where a store is named. Their jobs, too.

    The sides differ in their model, or in the version of a runtime. `phases` are texts of
    `--phase`, `force` lets axes have other sizes, `check` raises for jobs that are not to be
    measured; `brief` leaves out how long it will take; `hear` is told what planning says.
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
    opened = partial(fetching, Console(stderr=True))
    found = in_turn.planned(sides, hear, opened, phases=phases, force=force)
    check(found.pairs)
    with Meter(Console(stderr=True), len(found.pairs), found.measuring_s) as meter:
        return in_turn.measured(found, place, meter, say, brief=brief), found.pairs
