"""Which device of a backend is meant. The backend says what it has and what runs where."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Backend, Placing
from onnxprof.records.device import Device

#: The name that stands for every device of a backend.
ALL = "all"


def pick_devices(backend: Backend, wanted: str, provider: str = "") -> Sequence[Device]:
    """Every device that the provider runs on for ALL, else the one that is wanted.

    `wanted` is an id or a kind; empty takes the backend's first device that the provider runs
    on. Raises BackendError where there is none.
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
    """The device with this id or, first come, of this kind. Raises BackendError with why not."""
    devices = backend.devices()
    for device in devices:
        if wanted in (device.id, device.kind):
            return device
    raise _missing(backend, wanted, devices)


def _kind_of(backend: Backend, provider: str) -> str:
    """The kind of device that a provider runs on; empty for any.

    Where a backend does not say, a provider that is called like a kind of device is one.
    """
    if isinstance(backend, Placing):
        return backend.kind_of(provider)
    known = {state.device.partition(":")[0] for state in backend.availability()}
    return provider if provider in known else ""


def _missing(backend: Backend, wanted: str, devices: Sequence[Device]) -> BackendError:
    """Why there is no such device, in the backend's own words where it has any."""
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
