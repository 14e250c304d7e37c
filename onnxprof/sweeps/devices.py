"""Which devices of this machine the tasks of a plan mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.jobs.setting import refuse_provider, settled
from onnxprof.plugins import registry
from onnxprof.plugins.placement import ALL, pick_devices
from onnxprof.records.device import Device
from onnxprof.sweeps.tasks import Task

#: From a backend's name, a device as the user wants it, and a provider, to the devices meant.
DevicesOf = Callable[[str, str, str], Sequence[Device]]


def here(backend: str, wanted: str, provider: str) -> Sequence[Device]:
    """The devices of this machine. Raises UsageError or BackendError with the reason."""
    loaded = registry.backend(backend)
    refuse_provider(loaded, provider)
    return pick_devices(loaded, wanted, provider)


@dataclass(slots=True)
class Spread:
    """Tasks, each for one device, and those without one."""

    tasks: list[Task] = field(default_factory=list)
    refused: list[tuple[Task, OnnxprofError]] = field(default_factory=list)


def spread(tasks: Iterable[Task], devices_of: DevicesOf = here) -> Spread:
    """The tasks with their device settled; one that is for all devices becomes one for each."""
    found = Spread()

    @cache
    def asked(backend: str, wanted: str, provider: str) -> Sequence[Device] | OnnxprofError:
        try:
            return devices_of(backend, wanted, provider)
        except OnnxprofError as error:
            return error

    for task in tasks:
        options = task.options
        devices = asked(options.backend, options.device, options.provider)
        if isinstance(devices, OnnxprofError):
            found.refused.append((task, devices))
            continue
        try:
            found.tasks += [on(task, device, settled(options, device)) for device in devices]
        except OnnxprofError as error:
            found.refused.append((task, error))
    return found


def on(task: Task, device: Device, options: Options) -> Task:
    """The task on a device, its runtime set as these options say."""
    if options.device == ALL:
        options = replace(options, device=device.id)
    return replace(task, options=options, device_id=device.id, device_kind=device.kind)
