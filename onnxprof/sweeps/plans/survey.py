"""A plan on this machine: its tasks, each with its device, and what cannot be run here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnxprof.errors import BackendError, OnnxprofError, UsageError, did_you_mean
from onnxprof.jobs.sweep import start_server
from onnxprof.plugins import registry, verbs
from onnxprof.sweeps.devices import Ask, DevicesOf, here, spread, unasked
from onnxprof.sweeps.plans.expand import excluded, expanded
from onnxprof.sweeps.plans.read import Plan
from onnxprof.sweeps.tasks import Task


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The tasks of a plan."""

    tasks: tuple[Task, ...]
    refused: tuple[tuple[Task, OnnxprofError], ...]
    """Tasks whose device or runtime is not here, with the reason."""
    notes: tuple[str, ...]
    """What in the plan stands for nothing, each with its line."""
    unasked: tuple[str, ...] = ()
    """Versions of a runtime that could not be asked what they take."""


def survey(plan: Plan, devices_of: DevicesOf = here, ask: Ask = unasked) -> Surveyed:
    """Expand the plan, settle devices, leave out what it excludes.

    Versions of a runtime are asked for their devices, and whether they take what is set. Raises
    UsageError, with the line, for a network that the zoo does not have, and for a provider that
    a backend does not have on any machine.
    """
    whole = expanded(plan)
    _refuse_unknown_providers(plan, whole.tasks)
    found = spread(whole.tasks, devices_of, ask)
    reasons = {task.asking(batches=()): error for task, error in found.refused}
    kept = excluded(plan, [*found.tasks, *(task for task, _ in found.refused)])
    tasks = tuple(task for task in kept.tasks if task.asking(batches=()) not in reasons)
    refused = tuple(
        (task, reasons[bare]) for task in kept.tasks if (bare := task.asking(batches=())) in reasons
    )
    return Surveyed(tasks, refused, (*whole.notes, *kept.notes), tuple(found.unasked))


def _refuse_unknown_providers(plan: Plan, tasks: Iterable[Task]) -> None:
    asked = dict.fromkeys((task.options.backend, task.options.provider) for task in tasks)
    for name, provider in asked:
        known = _providers(name) if provider else ()
        if known and provider not in known:
            entries = (*plan.backends, plan.defaults)
            lines = (each.line for each in entries if provider in each.given.get("provider", ()))
            raise UsageError(
                f"the {name} backend has no provider {provider!r}",
                where=plan.where(next(lines, 1)),
                remedy=f"{did_you_mean(provider, known, cutoff=0.7)}It has: {', '.join(known)}",
            )


def _providers(backend: str) -> tuple[str, ...]:
    """Names that are the same on every machine; none where a backend has only kinds of devices."""
    try:
        loaded = registry.backend(backend)
    except BackendError:  # its tasks say why
        return ()
    return verbs.providers_of(loaded) if isinstance(loaded, verbs.Providing) else ()


def warm_up(tasks: Iterable[Task]) -> None:
    """Have the imports of all backends made while planning goes on."""
    names = dict.fromkeys(task.options.backend for task in tasks)
    if names:
        start_server(*(registry.backend(name) for name in names))
