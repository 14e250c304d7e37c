"""The state of this installation: backends, plugins, extras, folders, the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnxprof
from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.machine.facts import environment
from onnxprof.machine.gpus import cuda_devices
from onnxprof.machine.telemetry import readable
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.registry import Plugin, backends, exporters
from onnxprof.plugins.source_places import without_places
from onnxprof.plugins.verbs import SelfTest, SelfTesting
from onnxprof.processes.trial.guards import Guard, guards
from onnxprof.records.device import Availability, Device
from onnxprof.records.telemetry import Absence

#: Optional parts that are not a runtime: what they are for, and the packages they need.
EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "site": ("pages, PDF and model plots", ("jinja2", "typst", "graphlay")),
    "xlsx": ("workbooks: -o FILE.xlsx", ("XlsxWriter",)),
    "loadgen": ("onnxprof scenario: a model under load", ("mlcommons-loadgen",)),
    "ssh": ("sweeps over ssh", ("asyncssh",)),
    "fleet": ("sweeps on a Ray cluster", ("ray", "asyncssh")),
}
#: Distributions that bring the same module; installed together they overwrite each other.
RIVALS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that did not load."""

    name: str
    kind: str
    distribution: str
    error: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part, with installed and missing packages."""

    name: str
    purpose: str
    installed: tuple[tuple[str, str], ...]
    """Package and version."""
    missing: tuple[str, ...]
    remedy: str
    """What to install; empty where nothing is missing."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that onnxprof writes to."""

    purpose: str
    path: str
    exists: bool
    writable: bool
    """Whether it, or the nearest folder above it that exists, can be written to."""
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Apart:
    """Another version of a runtime, which `--runtime` installed into a folder of its own."""

    name: str
    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A device of this machine."""

    device: Device
    backends: tuple[str, ...]
    """Backends that run on the device; empty for a GPU that only the driver lists."""
    sources: tuple[str, ...]
    """Sources of telemetry beside measurements on the device."""
    absent: tuple[Absence, ...]
    """Telemetry that cannot be read, with the reason."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A backend with a self-test, and the result."""

    backend: str
    result: SelfTest | None
    """None where the tests could not run."""
    error: str = ""
    """Why they could not."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that `onnxprof doctor` prints."""

    version: str
    backends: tuple[Availability, ...]
    devices: tuple[Seen, ...]
    no_gpu: str
    """Why the driver lists no GPU; empty where it lists one."""
    broken: tuple[Broken, ...]
    extras: tuple[Extra, ...]
    folders: tuple[Folder, ...]
    runtimes: tuple[Apart, ...]
    """Versions of runtimes beside the installed ones."""
    guards: tuple[Guard, ...]
    """What keeps measurements apart."""
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether any backend works on any device."""
        return any(entry.usable for entry in self.backends)


def diagnose(folders: Mapping[str, Path], runtimes: Iterable[tuple[Path, int]] = ()) -> Diagnosis:
    """Ask every plugin and look at the machine; `folders` are those to check, by purpose.

    `runtimes` are folders of other versions, and their sizes.
    """
    loaded = backends()
    gpus = cuda_devices()
    return Diagnosis(
        version=onnxprof.__version__,
        backends=tuple(_availability(loaded)),
        devices=tuple(_devices(loaded, gpus.devices)),
        no_gpu=gpus.reason,
        broken=(*_broken("backend", loaded), *_broken("exporter", exporters())),
        extras=tuple(_extra(name) for name in EXTRAS),
        folders=tuple(folder(purpose, path) for purpose, path in folders.items()),
        runtimes=tuple(Apart(path.name, str(path), size) for path, size in runtimes),
        guards=tuple(guards()),
        facts=environment(),
        notes=tuple(_notes()),
    )


def states() -> tuple[Availability, ...]:
    """Which backends work here and on which devices, and why the others do not."""
    return tuple(_availability(backends()))


def self_tests() -> tuple[Tested, ...]:
    """Run the self-test of every backend that has one.

    Raises UsageError if no backend has tests that can run.
    """
    results: list[Tested] = []
    for name, plugin in backends().items():
        if isinstance(plugin.value, SelfTesting):
            results.append(_tested(name, plugin.value))
    if not any(tested.result for tested in results):
        reasons = "; ".join(tested.error for tested in results) or "no backend has tests of its own"
        raise UsageError(f"--conformance can test nothing: {reasons}")
    return tuple(results)


def _tested(name: str, backend: SelfTesting) -> Tested:
    try:
        return Tested(name, backend.self_test())
    except OnnxprofError as error:
        return Tested(name, None, str(error))
    except Exception as error:  # third-party code may raise anything
        return Tested(name, None, f"{name}: {type(error).__name__}: {without_places(str(error))}")


def folder(purpose: str, path: Path) -> Folder:
    """Look at a folder without creating it."""
    path = path.absolute()
    there = next(above for above in (path, *path.parents) if above.exists())
    writable = there.is_dir() and os.access(there, os.W_OK)
    return Folder(purpose, str(path), path.is_dir(), writable, shutil.disk_usage(there).free)


def _availability(loaded: Mapping[str, Plugin[Backend]]) -> Iterator[Availability]:
    for name, plugin in loaded.items():
        if plugin.value is not None:
            yield from _ask(name, plugin.value)


def _ask(name: str, backend: Backend) -> tuple[Availability, ...]:
    try:
        return tuple(backend.availability())
    except Exception as error:  # third-party code may raise anything
        detail = f"asked for its devices it raised {type(error).__name__}: {error}"
        return (Availability(name, "", False, " ".join(detail.split()), "Report it to its makers"),)


def _devices(loaded: Mapping[str, Plugin[Backend]], gpus: tuple[Device, ...]) -> Iterator[Seen]:
    """Each device once, with the names of the backends that run on it."""
    owners = {name: _devices_of(plugin.value) for name, plugin in loaded.items() if plugin.value}
    devices = {device.id: device for device in gpus}
    devices = {device.id: device for owned in owners.values() for device in owned} | devices
    for device in devices.values():
        users = [name for name, owned in owners.items() if device.id in {d.id for d in owned}]
        yield Seen(device, tuple(users), *readable(device))


def _devices_of(backend: Backend) -> tuple[Device, ...]:
    try:
        return tuple(backend.devices())
    except Exception:  # `_ask` gives the reason
        return ()


def _broken(kind: str, loaded: Mapping[str, Plugin[object]]) -> Iterator[Broken]:
    for name, plugin in loaded.items():
        if plugin.value is None:
            yield Broken(name, kind, plugin.distribution, plugin.error, plugin.remedy)


def _extra(name: str) -> Extra:
    purpose, packages = EXTRAS[name]
    installed = tuple((package, number) for package in packages if (number := _version(package)))
    missing = tuple(package for package in packages if not _version(package))
    remedy = f'pip install "onnxprof[{name}]"' if missing else ""
    return Extra(name, purpose, installed, missing, remedy)


def _notes() -> Iterator[str]:
    rivals = [package for package in RIVALS if _version(package)]
    if len(rivals) > 1:
        yield (
            f"{' and '.join(rivals)} are all installed and overwrite each other's files: "
            "uninstall every one of them, then install the one you want"
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
