"""Which devices of this machine the tasks of a plan mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.jobs.setting import Setting, refuse_provider, settled
from onnxprof.plugins import registry
from onnxprof.plugins.placement import ALL, pick_devices
from onnxprof.records.device import Device
from onnxprof.sweeps.tasks import Task

#: From a backend's name, a device as the user wants it, and a provider, to the devices meant.
DevicesOf = Callable[[str, str, str], Sequence[Device]]
#: What the version of a runtime that options name says of them; None where it cannot be asked now.
Ask = Callable[[Options], Setting | None]

_Answer = TypeVar("_Answer")

#: What a version is asked about, and what of it may come back in another form.
_ASKED = ("backend", "device", "provider", "runtime")
_SETTLED = ("granularity", "optimization_level", "session_options", "provider_options")


def here(backend: str, wanted: str, provider: str) -> Sequence[Device]:
    """The devices of this machine. Raises UsageError or BackendError with the reason."""
    loaded = registry.backend(backend)
    refuse_provider(loaded, provider)
    return pick_devices(loaded, wanted, provider)


def unasked(options: Options) -> None:
    """Of no version anything is known."""
    del options


@dataclass(slots=True)
class Spread:
    """Tasks, each for one device, and those without one."""

    tasks: list[Task] = field(default_factory=list)
    refused: list[tuple[Task, OnnxprofError]] = field(default_factory=list)
    unasked: dict[str, None] = field(default_factory=dict)
    """Versions of a runtime that could not be asked: options of their tasks are not checked."""


def spread(tasks: Iterable[Task], devices_of: DevicesOf = here, ask: Ask = unasked) -> Spread:
    """The tasks with their device settled; one that is for all devices becomes one for each.

    A version of a runtime that a task names is asked for its devices, and whether it takes the
    task's options. Where it cannot be, the devices are those of the installed version, and a task
    for one that this version lacks stays without.
    """
    spreading = _Spreading(cache(_caught(devices_of)), cache(_caught(ask)))
    for task in tasks:
        try:
            spreading.add(task)
        except OnnxprofError as error:
            spreading.found.refused.append((task, error))
    return spreading.found


def _caught(ask: Callable[..., Any]) -> Callable[..., Any]:
    """The same with an error as an answer, so that it is asked for once."""

    def asked(*words: Any) -> Any:
        try:
            return ask(*words)
        except OnnxprofError as error:
            return error

    return asked


@dataclass(slots=True)
class _Spreading:
    """Spreads task by task; what was asked once is known."""

    devices_of: Callable[[str, str, str], Sequence[Device] | OnnxprofError]
    ask: Callable[[Options], Setting | OnnxprofError | None]
    found: Spread = field(default_factory=Spread)

    def add(self, task: Task) -> None:
        """Settle a task's devices. Raises OnnxprofError with the reason where it has none."""
        options = task.options
        version = _good(self.ask(_bare(options))) if options.runtime else None
        if version is not None:
            given = {name: getattr(version.options, name) for name in _SETTLED}
            options = replace(options, **given)
            self.found.tasks += [on(task, device, options) for device in version.devices]
        elif options.runtime:
            self._add_unasked(task)
        else:
            devices = _good(self._installed(options))
            self.found.tasks += [on(task, each, settled(options, each)) for each in devices]

    def _add_unasked(self, task: Task) -> None:
        self.found.unasked[task.options.runtime] = None
        devices = self._installed(task.options)
        if isinstance(devices, FleetError):
            raise devices
        known = () if isinstance(devices, OnnxprofError) else devices
        self.found.tasks += [on(task, device, task.options) for device in known] or [task]

    def _installed(self, options: Options) -> Sequence[Device] | OnnxprofError:
        return self.devices_of(options.backend, options.device, options.provider)


def _good(answer: _Answer | OnnxprofError) -> _Answer:
    if isinstance(answer, OnnxprofError):
        raise answer
    return answer


def _bare(options: Options) -> Options:
    """What of the options concerns the runtime: tasks that differ elsewhere share an answer."""
    given = {name: getattr(options, name) for name in (*_ASKED, *_SETTLED)}
    return Options((), limits=options.limits, **given)


def on(task: Task, device: Device, options: Options) -> Task:
    """The task on a device, its runtime set as these options say."""
    if options.device == ALL:
        options = replace(options, device=device.id)
    return replace(task, options=options, device_id=device.id, device_kind=device.kind)
