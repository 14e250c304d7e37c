"""Two sides measured in turn for `onnxprof compare`: models, or versions of a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprof.cli.output import say
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxprof.compare.pairing import Pairing
    from onnxprof.jobs.job import Job
    from onnxprof.records.run import Run
    from onnxprof.store.folder import Store

    Jobs = list[tuple[Job, Job]]
    Check = Callable[[Jobs], None]


def measured(
    a: str, b: str, options: Options, store: Path | None, check: Check | None = None
) -> tuple[Pairing, Jobs]:
    """Measure two models in turn; runs are stored where a store is named. Their jobs, too.

    `check` is given the jobs before they run, and may raise.
    """
    from dataclasses import replace

    sides = [replace(options, models=(model,)) for model in (a, b)]
    return sides_in_turn(sides, store, check)


def sides_in_turn(
    sides: Sequence[Options],
    store: Path | None,
    check: Check | None = None,
    *,
    brief: bool = False,
    hear: Callable[[str], None] = say,
) -> tuple[Pairing, Jobs]:
    """Measure two sides in turn, which differ in their model or in the version of a runtime.

    `brief` leaves out how long it will take; `hear` is told of versions of a runtime.
    """
    import time

    from onnxprof import folders
    from onnxprof.compare.pairing import Pairing
    from onnxprof.jobs.proving import proven
    from onnxprof.processes.device_lock import held
    from onnxprof.store.folder import Store

    began = time.monotonic()
    place = Store(folders.store(store)) if store else None
    if place is not None:
        place.check_writable()
    plans = _planned(sides, hear)
    with held(plans[0][0].device.id, say):
        pairs = zip(plans, sides, strict=True)
        plans = [proven(jobs, options, lambda *_: None) for jobs, options in pairs]
    matched = _matched(*plans)
    if check is not None:
        check(matched)
    runs = _measured(matched, sides[0], time.monotonic() - began, place, brief)
    return Pairing(tuple(((ours,), (theirs,)) for ours, theirs in runs), (), ()), matched


def _planned(sides: Sequence[Options], hear: Callable[[str], None]) -> list[list[Job]]:
    from rich.console import Console

    from onnxprof.cli.progress import fetching
    from onnxprof.errors import UsageError
    from onnxprof.jobs.sweep import plan
    from onnxprof.plugins.placement import ALL

    if sides[0].device == ALL:
        raise UsageError("two models are compared on one device", remedy="Name it with --device")
    with fetching(Console(stderr=True)) as progress:
        return [plan(options, progress, say=hear) for options in sides]


def _measured(
    matched: Jobs, options: Options, planning_s: float, place: Store | None, brief: bool
) -> list[tuple[Run, Run]]:
    """The runs of each pair of jobs, stored as they come."""
    from functools import partial

    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.jobs.in_turn import alternate
    from onnxprof.processes.device_lock import held

    pairs: list[tuple[Run, Run]] = []
    seconds = options.process_budget.seconds * options.processes * 2
    batches = [ours.batch for ours, _ in matched]
    announced = partial(_announce, batches, options.processes, seconds, planning_s)
    device = matched[0][0].device.id
    with Meter(Console(stderr=True), len(matched), seconds) as meter, held(device, say):
        for ours, theirs in matched:
            known = partial(announced, silent=brief or bool(pairs))
            pairs.append(alternate(ours, theirs, options.limits, meter.update, announce=known))
            meter.done()
            if place is not None:
                for run in pairs[-1]:
                    say(f"stored {place.save(run)}")
    return pairs


def _announce(
    batches: list[int],
    pairs: int,
    measuring_s: float,
    planning_s: float,
    seconds: Callable[[float], float],
    *,
    silent: bool,
) -> None:
    """Print how long the comparison will take in all, since the budget is for measuring alone.

    `seconds` estimates the duration of a batch size from its ratio to the first one. `silent`
    prints nothing: one line covers all batch sizes.
    """
    if silent:
        return
    whole = planning_s + sum(seconds(batch / batches[0]) for batch in batches)
    sizes = f" at each of {len(batches)} batch sizes" if len(batches) > 1 else ""
    say(
        f"{pairs} pairs of processes{sizes}, {measuring_s:.1f} s of measuring, take some"
        f" {whole:.0f} s with starting and checking them; fewer --processes take less"
    )


def _matched(a: list[Job], b: list[Job]) -> list[tuple[Job, Job]]:
    """Pairs of jobs with the same batch; prints why a model stays at its own batch."""
    from onnxprof.errors import UsageError

    for job in (*a, *b):
        if job.table.obstacle:
            say(f"{job.facts.name} stays at batch {job.batch}: {job.table.obstacle}")
    theirs = {job.batch: job for job in b}
    matches = [(ours, theirs[ours.batch]) for ours in a if ours.batch in theirs]
    if not matches:
        raise UsageError(f"no batch size works for both: {a[0].batch}, {b[0].batch}")
    return matches
