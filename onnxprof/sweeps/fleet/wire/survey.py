"""What a machine of a fleet says of itself: versions, and which runtime works on which device."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from onnxprof import __version__
from onnxprof.errors import OnnxprofError
from onnxprof.plugins import registry
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.device import Device
from onnxprof.records.run import RUNTIME

#: To import a framework on a small board takes a while.
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """A backend as a machine has it."""

    backend: str
    version: str = ""
    """The runtime's package and version; empty where it is not installed."""
    devices: tuple[Device, ...] = ()
    reason: str = ""
    """Why no device works; empty where one does."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """A machine's versions and devices."""

    onnxprof: str
    python: str
    runtimes: tuple[Runtime, ...] = ()

    @property
    def devices(self) -> Mapping[str, Device]:
        """Every device that some runtime works on, by id."""
        return {device.id: device for runtime in self.runtimes for device in runtime.devices}

    def runtime(self, backend: str) -> Runtime:
        """What it has of a backend; an empty entry where it was not asked for it."""
        known = {runtime.backend: runtime for runtime in self.runtimes}
        return known.get(backend, Runtime(backend, reason=f"no backend is called {backend!r}"))


def survey(backends: Iterable[str]) -> Survey:
    """This machine's; a runtime that crashes while it is asked costs its own entry alone."""
    return Survey(
        __version__, platform.python_version(), tuple(map(_runtime, dict.fromkeys(backends)))
    )


def _runtime(name: str) -> Runtime:
    try:
        return confined(partial(_asked, name), Limits(_PATIENCE_S), f"asking {name}")
    except OnnxprofError as error:
        return Runtime(name, reason=error.what, remedy=error.remedy)
    except Exception as error:  # of a stranger's backend
        return Runtime(name, reason=f"{type(error).__name__}: {error}")


def _asked(name: str) -> Runtime:
    """Imports the runtime: to be called in a process of its own."""
    from onnxprof.machine.facts import environment

    backend = registry.backend(name)
    version = dict(environment(backend=backend)).get(RUNTIME, "")
    devices = tuple(backend.devices())
    bad = [state for state in backend.availability() if not state.usable]
    reason = bad[0] if bad and not devices else None
    return Runtime(
        name,
        version,
        devices,
        reason=reason.detail if reason else "" if devices else "it has no device",
        remedy=reason.remedy if reason else "",
    )
