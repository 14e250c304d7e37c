"""A scenario from its plan to its record."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

from onnxprof.errors import BackendError
from onnxprof.jobs.job import now
from onnxprof.machine.clocks import unlocked
from onnxprof.machine.kernel import Machine
from onnxprof.model.sources.resolve import published
from onnxprof.plugins.source_places import cleaned
from onnxprof.processes.confined import Limits
from onnxprof.records.scenarios.run import ScenarioRun
from onnxprof.scenarios import isolated, loads
from onnxprof.scenarios.isolated import Progress, Watch
from onnxprof.scenarios.orders import Done, Order, System, Work
from onnxprof.scenarios.plan import Plan


def measured(plan: Plan, limits: Limits, progress: Progress) -> ScenarioRun:
    """Make all runs of a scenario, each in a process of its own.

    Where one of them fails, the record says why. An interrupt goes on to the caller.
    """
    began = time.monotonic()
    make = partial(_made, plan, limits, progress)
    blank = _record(plan)
    try:
        outcome = loads.outcome(plan.asked, plan.system, make)
    except BackendError as error:
        return replace(blank, failure=cleaned(str(error)), seconds=_since(began))
    done, floor = outcome.done, None
    with suppress(BackendError):  # what was measured stands without it
        floor = loads.floor(plan.asked, done.answer, make)
    return replace(
        blank,
        answer=done.answer,
        floor=floor,
        probes=outcome.probes,
        batches=done.batches,
        load_ns=done.loaded.load_ns,
        warnings=(*plan.jobs[0].notes, *done.warnings, *unlocked(Machine())),
        seconds=_since(began),
    )


def _record(plan: Plan) -> ScenarioRun:
    """The record before anything was run."""
    job = plan.jobs[0]
    return ScenarioRun(
        asked=plan.asked,
        model=published(job.facts),
        device=job.device,
        environment=job.environment,
        created=now(),
        command=plan.command,
        loadgen=plan.loadgen,
    )


def _made(
    plan: Plan, limits: Limits, progress: Progress, system: System, order: Order, doing: str
) -> Done:
    work = Work(order, loads.serving(plan.asked, system), system)
    expected = order.duration_s
    if order.rate and order.min_queries:
        expected = max(expected, order.min_queries / order.rate)
    return isolated.run(work, limits, Watch(expected, doing, progress))


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
