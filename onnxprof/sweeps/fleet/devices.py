"""Which devices of a fleet the tasks of a plan are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Placing
from onnxprof.plugins.placement import ALL
from onnxprof.records.device import Device
from onnxprof.sweeps.fleet.survey import Survey
from onnxprof.sweeps.tasks import Task


@dataclass(slots=True)
class Spread:
    """A plan's tasks, each for one device that some machine has."""

    tasks: list[Task] = field(default_factory=list)
    impossible: list[tuple[Task, FleetError]] = field(default_factory=list)
    """Those whose device or runtime no machine has, and why."""


def spread(tasks: Sequence[Task], machines: Mapping[str, Survey]) -> Spread:
    """Each task for each different device that it may mean on any machine.

    On every machine a task means what it would mean there alone: without a device the backend's
    first, with a kind the first of that kind. Two machines with the same device share its task.
    """
    found = Spread()
    for task in tasks:
        ids = _devices(task, machines)
        found.tasks += [replace(task.asking(device=id), device_id=id) for id in ids]
        if not ids:
            found.impossible.append((task, _missing(task, machines)))
    return found


def matching(task: Task, survey: Survey) -> tuple[Device, ...]:
    """The devices of a machine that a task means."""
    devices = survey.runtime(task.options.backend).devices
    wanted = task.device_id or task.options.device
    if wanted not in ("", ALL):
        return tuple(device for device in devices if wanted in (device.id, device.kind))[:1]
    kind = _kind_of(task, devices)
    fitting = tuple(device for device in devices if kind in ("", device.kind))
    return fitting if wanted == ALL else fitting[:1]


def _devices(task: Task, machines: Mapping[str, Survey]) -> list[str]:
    ids = (device.id for survey in machines.values() for device in matching(task, survey))
    return list(dict.fromkeys(ids))


def _kind_of(task: Task, devices: Sequence[Device]) -> str:
    """The kind of device that the task's provider runs on; empty for any."""
    provider = task.options.provider
    try:
        backend = registry.backend(task.options.backend)
    except OnnxprofError:  # a backend that this machine does not have
        backend = None
    if isinstance(backend, Placing):
        return backend.kind_of(provider)
    return provider if provider in {device.kind for device in devices} else ""


def _missing(task: Task, machines: Mapping[str, Survey]) -> FleetError:
    backend, wanted = task.options.backend, task.options.device
    why = []
    for node, survey in machines.items():
        runtime = survey.runtime(backend)
        ids = ", ".join(device.id for device in runtime.devices)
        remedy = f" ({runtime.remedy})" if runtime.remedy else ""
        why.append(f"{node} has {ids}" if ids else f"{node}: {runtime.reason}{remedy}")
    what = f"device {wanted!r} of {backend}" if wanted else f"device that {backend} works on"
    return FleetError(f"no machine of the fleet has a {what}: {'; '.join(why)}")
