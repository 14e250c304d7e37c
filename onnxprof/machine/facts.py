"""One table of facts about machine and software: key, how to read it, how to print it.

No fact names the host, the user or a path, but for the name that a machine has in a fleet: the
user chose it, to tell two machines with the same device apart.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError

import psutil

from onnxprof.machine.caches import caches_text
from onnxprof.machine.clocks import held_back, turbo
from onnxprof.machine.cpu import cpu_device, physical_cores
from onnxprof.machine.kernel import Machine, affinity, cpu_quota, memory_limit, usable_cores
from onnxprof.machine.memory import available_bytes
from onnxprof.plugins import registry, verbs
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.distributions import version
from onnxprof.records.run import RUNTIME

__all__ = ["FACTS", "Fact", "Machine", "cpu_device", "environment", "usable_cores"]

#: Packages of every run; backends add theirs.
_PACKAGES = ("onnxprof", "onnx", "numpy")
#: What this machine is called in a fleet; not set, nor recorded, elsewhere.
NODE = "ONNXPROF_NODE"
#: Variables that change how fast a runtime is.
_VARIABLES = re.compile(
    r"(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|DNNL|ONEDNN|ORT|OV|CUDA|CUDNN|CUBLAS|TRT|MALLOC)_\w+"
    r"|NVIDIA_TF32_OVERRIDE|LD_PRELOAD|PYTHON_GIL|PYTHON_CPU_COUNT"
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY|_USER|_HOST|_HOME|_PATH|_ROOT|_DIR")
_PLAIN = re.compile(r"[\w.,:;=+\-{}() ]{1,100}")

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: the key, how to read the value (None: not known here), how to print it."""

    key: str
    read: Callable[[Machine], Value]
    show: Callable[[Value], str] = str


def environment(
    machine: Machine | None = None, backend: Backend | None = None
) -> tuple[tuple[str, str], ...]:
    """Every fact that is known here, as keys and printable values; runs no other program.

    Packages are the installed ones that any backend names; the first package of `backend` is
    the runtime.
    """
    given = machine or Machine()
    facts = [(fact.key, fact.show(value)) for fact in FACTS if _known(value := fact.read(given))]
    variables = _variables(given.environ)  # before backends are loaded, which may set some
    packages = _versions(dict.fromkeys((*_PACKAGES, *registry.every_package())))
    return (*facts, *_runtime(backend), *packages, *variables)


def _known(value: Value) -> bool:
    return value is not None and value != ""


def _bytes(value: Value) -> str:
    return f"{float(value or 0) / 2**30:.1f} GiB"


def _megahertz(value: Value) -> str:
    return f"{float(value or 0):.0f} MHz"


def _two_places(value: Value) -> str:
    return f"{float(value or 0):.2f}"


def _system(machine: Machine) -> Value:
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]+)', machine.text("etc/os-release"), re.MULTILINE)
    if pretty:
        return pretty[1]
    release = platform.mac_ver()[0] or platform.release()
    return f"{'macOS' if sys.platform == 'darwin' else platform.system()} {release}"


def _kernel(_: Machine) -> Value:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _python(_: Machine) -> Value:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _governor(machine: Machine) -> Value:
    policies = machine.texts("sys/devices/system/cpu/cpufreq/policy*/scaling_governor")
    return ", ".join(sorted(set(policies)))


def _frequency(machine: Machine) -> Value:
    hertz = machine.number("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    if hertz is not None:
        return hertz / 1000
    line = re.search(r"^cpu MHz\s*: ([\d.]+)", machine.text("proc/cpuinfo"), re.MULTILINE)
    return float(line[1]) if line else None


def _top_frequency(machine: Machine) -> Value:
    hertz = machine.number("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return None if hertz is None else hertz / 1000


def _turbo(machine: Machine) -> Value:
    on = turbo(machine)
    return None if on is None else "on" if on else "off"


def _driver(machine: Machine) -> Value:
    policies = machine.texts("sys/devices/system/cpu/cpufreq/policy*/scaling_driver")
    return ", ".join(sorted(set(policies)))


def _throttled(machine: Machine) -> Value:
    """Throttling events; None for 0, since few systems count them."""
    return held_back(machine).heat or None


def _hypervisor(machine: Machine) -> Value:
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", machine.text("proc/cpuinfo"), re.MULTILINE)
    vendor = machine.text("sys/hypervisor/type") or machine.text("sys/class/dmi/id/sys_vendor")
    return (vendor or "yes") if flags else None


def _container(machine: Machine) -> Value:
    marks = {".dockerenv": "docker", "run/.containerenv": "podman"}
    kinds = (kind for path, kind in marks.items() if (machine.root / path).exists())
    return next(kinds, None)


def _huge_pages(machine: Machine) -> Value:
    chosen = re.search(r"\[(\w+)\]", machine.text("sys/kernel/mm/transparent_hugepage/enabled"))
    return chosen[1] if chosen else None


def _load(_: Machine) -> Value:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _numa_nodes(machine: Machine) -> Value:
    return sum(1 for _ in machine.root.glob("sys/devices/system/node/node[0-9]*")) or None


def _node(machine: Machine) -> Value:
    return machine.environ.get(NODE, "").strip()[:100]


FACTS: tuple[Fact, ...] = (
    Fact("node", _node),
    Fact("os", _system),
    Fact("kernel", _kernel),
    Fact("python", _python),
    Fact("cpu", lambda machine: cpu_device(machine).name),
    Fact("cpu.features", lambda machine: " ".join(cpu_device(machine).features)),
    Fact("cpu.physical_cores", physical_cores),
    Fact("cpu.logical_cores", lambda _: psutil.cpu_count()),
    Fact("cpu.affinity", lambda _: affinity()),
    Fact("cpu.quota", cpu_quota, _two_places),
    Fact("cpu.usable_cores", usable_cores),
    Fact("cpu.caches", caches_text),
    Fact("cpu.numa_nodes", _numa_nodes),
    Fact("cpu.frequency_driver", _driver),
    Fact("cpu.governor", _governor),
    Fact("cpu.turbo", _turbo),
    Fact("cpu.throttle_events", _throttled),
    Fact("cpu.frequency", _frequency, _megahertz),
    Fact("cpu.max_frequency", _top_frequency, _megahertz),
    Fact("memory.total", lambda _: psutil.virtual_memory().total, _bytes),
    Fact("memory.available", lambda machine: available_bytes(machine.root), _bytes),
    Fact("memory.limit", memory_limit, _bytes),
    Fact("memory.huge_pages", _huge_pages),
    Fact("hypervisor", _hypervisor),
    Fact("container", _container),
    Fact("load_average", _load, _two_places),
)


def runtime_of(backend: Backend) -> str:
    """Package and version of the backend's runtime, as in a run's environment; empty for none."""
    return next((text for _, text in _runtime(backend)), "")


def _runtime(backend: Backend | None) -> tuple[tuple[str, str], ...]:
    versions = _versions(verbs.packages(backend)) if backend else ()
    return tuple((RUNTIME, f"{package} {number}") for package, number in versions[:1])


def _versions(packages: Iterable[str]) -> tuple[tuple[str, str], ...]:
    pairs = ((package, _version(package)) for package in packages)
    return tuple((package, number) for package, number in pairs if number)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _variables(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Variables that bear on speed; a value that could be a path or a name is not shown."""
    names = (name for name in sorted(environ) if _VARIABLES.fullmatch(name))
    plain = (name for name in names if not _SECRET.search(name))
    return tuple((f"env.{name}", _value(environ[name])) for name in plain)


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else "(set)"
