"""Whether a stored run is of today's runtime and driver, for `--stale`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.errors import OnnxprofError, StoreError
from onnxprof.machine.facts import runtime_of
from onnxprof.plugins import registry
from onnxprof.records.device import Device
from onnxprof.records.run import RUNTIME, Request
from onnxprof.runtimes.wanted import Wanted, normalised, parse, release


@dataclass(slots=True)
class Versions:
    """The runtimes and drivers of this machine, each looked up once."""

    _runtimes: dict[str, str] = field(default_factory=dict)
    _devices: dict[str, dict[str, Device]] = field(default_factory=dict)
    _read: dict[Path, tuple[str, str]] = field(default_factory=dict)

    def are_current(self, request: Request, path: Path) -> bool:
        """Whether the run in a file is of the runtime and the driver that are here now.

        A version that the request names is current whatever is installed. A run that does not say,
        or cannot be read, is not.
        """
        runtime, driver = self._stored(path)
        if driver != self._driver(request):
            return False
        if request.runtime:
            return _is_version(runtime, parse(request.runtime))
        return runtime == self._runtime(request)

    def _stored(self, path: Path) -> tuple[str, str]:
        from onnxprof.store.parquet import read_system

        if path not in self._read:
            try:
                device, environment = read_system(path)
                self._read[path] = environment.get(RUNTIME, "?"), device.driver
            except StoreError:
                self._read[path] = "?", "?"
        return self._read[path]

    def _runtime(self, request: Request) -> str:
        name = request.backend
        if name not in self._runtimes:
            self._runtimes[name] = runtime_of(registry.backend(name))
        return self._runtimes[name]

    def _driver(self, request: Request) -> str:
        name = request.backend
        if name not in self._devices:
            try:
                here = registry.backend(name).devices()
            except OnnxprofError:
                here = ()
            self._devices[name] = {device.id: device for device in here}
        device = self._devices[name].get(request.device_id)
        return device.driver if device else ""


def _is_version(runtime: str, wanted: Wanted) -> bool:
    """Whether package and version, as a run has them, are those that a request names."""
    package, _, version = runtime.partition(" ")
    return (normalised(package), release(version)) == (wanted.package, release(wanted.version))
