"""Which devices of a fleet the tasks of a plan mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Placing
from onnxprof.plugins.placement import ALL
from onnxprof.records.device import Device
from onnxprof.sweeps.fleet.wire.survey import Survey
from onnxprof.sweeps.tasks import Task


@dataclass(frozen=True, slots=True)
class Machines:
    """What the machines of a fleet have, by their names."""

    surveys: Mapping[str, Survey]

    def devices_of(self, backend: str, wanted: str, provider: str) -> Sequence[Device]:
        """Each different device that is meant on any machine.

        On every machine the words mean what they would mean there alone: nothing is the backend's
        first device, a kind the first of that kind. Two machines that have the same device share
        its tasks. Raises FleetError with what each machine has instead.
        """
        known = {
            device.id: device
            for survey in self.surveys.values()
            for device in _meant(survey, backend, wanted, provider)
        }
        if not known:
            raise self._missing(backend, wanted)
        return tuple(known.values())

    def _missing(self, backend: str, wanted: str) -> FleetError:
        why = []
        for node, survey in self.surveys.items():
            runtime = survey.runtime(backend)
            ids = ", ".join(device.id for device in runtime.devices)
            remedy = f" ({runtime.remedy})" if runtime.remedy else ""
            why.append(f"{node} has {ids}" if ids else f"{node}: {runtime.reason}{remedy}")
        what = f"device {wanted!r} of {backend}" if wanted else f"device that {backend} works on"
        return FleetError(f"no machine of the fleet has a {what}: {'; '.join(why)}")


def fits(task: Task, survey: Survey, device_id: str) -> bool:
    """Whether a task is for this device, and its runtime works on it there."""
    devices = survey.runtime(task.options.backend).devices
    return task.device_id == device_id and any(device.id == device_id for device in devices)


def _meant(survey: Survey, backend: str, wanted: str, provider: str) -> Sequence[Device]:
    devices = survey.runtime(backend).devices
    if wanted not in ("", ALL):
        return [device for device in devices if wanted in (device.id, device.kind)][:1]
    kind = _kind_of(backend, provider, devices)
    fitting = [device for device in devices if kind in ("", device.kind)]
    return fitting if wanted == ALL else fitting[:1]


def _kind_of(name: str, provider: str, devices: Sequence[Device]) -> str:
    """The kind of device that a provider runs on; empty for any."""
    try:
        backend = registry.backend(name)
    except OnnxprofError:  # the machines may have backends that this one lacks
        backend = None
    if isinstance(backend, Placing):
        return backend.kind_of(provider)
    return provider if provider in {device.kind for device in devices} else ""
