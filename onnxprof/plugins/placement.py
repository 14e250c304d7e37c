"""Choosing a device of a backend by id, kind or provider."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Backend, Placing
from onnxprof.records.device import Device

#: The name that stands for every device of a backend.
ALL = "all"


def pick_devices(backend: Backend, wanted: str, provider: str = "") -> Sequence[Device]:
    """Every device that the provider runs on for `ALL`, else the wanted one.

    `wanted` is an id or a kind; empty takes the first device that the provider runs on. Raises
    BackendError where there is none.
    """
    if wanted not in ("", ALL):
        return (pick_device(backend, wanted),)
    kind = _kind_of(backend, provider)
    devices = backend.devices()
    fitting = tuple(device for device in devices if kind in ("", device.kind))
    if not fitting:
        raise _missing(backend, kind, devices)
    return fitting if wanted == ALL else fitting[:1]


def pick_device(backend: Backend, wanted: str) -> Device:
    """The device with this id, or the first of this kind. Raises BackendError with the reason."""
    devices = backend.devices()
    for device in devices:
        if wanted in (device.id, device.kind):
            return device
    raise _missing(backend, wanted, devices)


def _kind_of(backend: Backend, provider: str) -> str:
    """The kind of device that a provider runs on; empty for any.

    Without `kind_of`, a provider with the name of a kind of device runs on that kind.
    """
    if isinstance(backend, Placing):
        return backend.kind_of(provider)
    known = {state.device.partition(":")[0] for state in backend.availability()}
    return provider if provider in known else ""


def _missing(backend: Backend, wanted: str, devices: Sequence[Device]) -> BackendError:
    """The error for a missing device, with the backend's own reason where it gives one."""
    kind = wanted.partition(":")[0]
    for state in backend.availability():
        if not state.usable and kind in ("", state.device.partition(":")[0]):
            return BackendError(state.detail, where=backend.name, remedy=state.remedy)
    what = f"device {wanted!r}" if wanted else "device"
    known = ", ".join(device.id for device in devices) or "none"
    return BackendError(
        f"backend {backend.name} has no {what} here",
        remedy=f"It has: {known}. See onnxprof doctor",
    )
