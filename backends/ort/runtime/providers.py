"""onnxruntime's execution providers: the list, their options, and why one is not available.

If a provider is missing, a session silently falls back to the CPU
(onnxruntime.ai/docs/execution-providers); `require` makes that an error with the reason.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from onnxprof.backends.cuda.driver import Problem, driver_problem
from onnxprof.errors import BackendError, UsageError
from onnxprof.machine.cpu import cpu_device
from onnxprof.machine.gpus import cuda_devices
from onnxprof.plugins.backend import Workload
from onnxprof.records.device import Availability, Device, device_index

CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider as onnxprof offers it."""

    name: str
    """onnxruntime's name, in sessions and profiles."""
    kind: str
    """The kind of device that the provider runs on."""
    package: str
    """The distribution of onnxruntime that includes the provider."""
    library: str = ""
    """The provider's shared library beside the runtime; empty if it is part of the runtime."""
    compiles: bool = False
    """Whether it compiles whole subgraphs to single steps; the graph then cannot be saved."""


PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(CPU, "cpu", '"onnxprof[cpu]"'),
    "cuda": Provider("CUDAExecutionProvider", "cuda", '"onnxprof[gpu]"', "cuda"),
    "tensorrt": Provider(
        "TensorrtExecutionProvider", "cuda", '"onnxprof[gpu]"', "tensorrt", compiles=True
    ),
    "openvino": Provider(
        "OpenVINOExecutionProvider", "cpu", "onnxruntime-openvino", "openvino", compiles=True
    ),
}


def provider_of(workload: Workload) -> Provider:
    """The requested provider. Raises UsageError for one that onnxprof does not offer."""
    if workload.provider not in PROVIDERS:
        raise UsageError(
            f"the ort backend has no provider {workload.provider!r}",
            remedy=f"It has: {', '.join(PROVIDERS)}",
        )
    return PROVIDERS[workload.provider]


def requested(workload: Workload) -> list[Any]:
    """The session's argument `providers`: the requested one with options, then the CPU's."""
    name = provider_of(workload).name
    return [CPU] if name == CPU else [(name, _options(workload)), CPU]


def _options(workload: Workload) -> dict[str, str]:
    own = {"device_id": str(device_index(workload.device))}
    if workload.provider == "openvino":
        own = {"device_type": "CPU", "num_of_threads": str(workload.threads)}
    return dict(workload.setup.provider) | own


def require(session: Any, workload: Workload) -> None:
    """Raise BackendError, with the reason, if the session lacks the requested provider."""
    provider = provider_of(workload)
    got = session.get_providers()
    if not got or got[0] != provider.name:
        raise _refused(workload.provider, f"the session runs on {', '.join(got) or 'nothing'}")


def require_fit(workload: Workload) -> None:
    """Raise UsageError for a provider, device and timer that do not go together."""
    kind, device = provider_of(workload).kind, workload.device.partition(":")[0]
    if device and device != kind:
        raise UsageError(
            f"provider {workload.provider} runs on {kind}, not on {workload.device}",
            remedy=f"Leave --device away, or give it as {kind}",
        )
    if workload.timer == "cupti" and kind != "cuda":
        raise UsageError(
            f"the cupti timer is for CUDA devices, and provider {workload.provider} runs on {kind}",
            remedy="Leave --timer away",
        )


def require_usable(workload: Workload) -> None:
    """Raise BackendError, with the reason, for a provider that cannot work here."""
    provider_of(workload)
    if problem(workload.provider) is not None:
        raise _refused(workload.provider, "")


def _refused(name: str, otherwise: str) -> BackendError:
    cause = problem(name) or Problem(
        f"onnxruntime did not use {PROVIDERS[name].name}: {otherwise}",
        "ORT_LOGGING_LEVEL=0 and onnxprof --debug show the runtime's reason; see onnxprof doctor",
    )
    return BackendError(cause.detail, where=f"ort, provider {name}", remedy=cause.remedy)


def problem(name: str) -> Problem | None:
    """Why a provider cannot work here; None if no problem is known.

    Checked in this order: the provider is in this build, there is a driver, the driver is new
    enough, and the provider's library can be loaded.
    """
    import onnxruntime as ort

    provider = PROVIDERS[name]
    if provider.name not in ort.get_available_providers():
        return _not_built(provider)
    if provider.kind == "cuda" and (lost := driver_problem(built_for=cuda_version())):
        return lost
    return library_problem(_folder(ort), provider) if provider.library else None


def cuda_version() -> str:
    """The CUDA that this onnxruntime is built for, as `12.8`; empty for a build without it."""
    import onnxruntime as ort

    return str(getattr(ort, "cuda_version", "") or "")


def _not_built(provider: Provider) -> Problem:
    import onnxruntime as ort

    return Problem(
        f"this onnxruntime ({ort.__version__}) is built without {provider.name}",
        f"pip uninstall {getattr(ort, 'package_name', 'onnxruntime')}, then pip install"
        f" {provider.package}: packages of onnxruntime overwrite each other",
    )


def _folder(ort: Any) -> Path:
    return Path(ort.__file__).parent / "capi"


#: Run in a process of its own: the library must not be loaded before the runtime loads it.
_LOAD = """
import ctypes, sys
from onnxprof.backends.ort.runtime.providers import preload
preload()
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
try:
    ctypes.CDLL(sys.argv[2])
except OSError as error:
    print(error)
"""


@cache
def library_problem(folder: Path, provider: Provider) -> Problem | None:
    """The problem of a library that the provider needs; None if all can be loaded."""
    names = [
        f"{prefix}onnxruntime_providers_{name}{suffix}"
        for prefix, suffix in [("", ".dll") if sys.platform == "win32" else ("lib", ".so")]
        for name in ("shared", provider.library)
    ]
    paths = [folder / name for name in names]
    if absent := [path.name for path in paths if not path.exists()]:
        return Problem(
            f"{absent[0]} is missing from the installed onnxruntime",
            f"pip install --force-reinstall {provider.package}",
        )
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, *map(str, paths)], capture_output=True, text=True, check=False
    )
    said = done.stdout.strip().splitlines()
    return _not_loaded(paths[1].name, said[0], provider) if said else None


def _not_loaded(library: str, reason: str, provider: Provider) -> Problem:
    return Problem(
        f"{library} cannot be loaded: {reason.rpartition('/')[2]}", _remedy(reason, provider)
    )


def _remedy(reason: str, provider: Provider) -> str:
    if "nvinfer" in reason:
        return "Install the TensorRT libraries that this onnxruntime was built for"
    if provider.kind == "cuda":
        return (
            'pip install "onnxruntime-gpu[cuda,cudnn]" brings CUDA and cuDNN,'
            " and so does a CUDA build of torch"
        )
    return f"pip install --force-reinstall {provider.package}"


def preload() -> None:
    """Load CUDA's and cuDNN's libraries out of Python packages, where they are installed there.

    The runtime's output is hidden; a missing library is named when the provider cannot be
    loaded.
    """
    import onnxruntime as ort

    with redirect_stdout(StringIO()):
        if load := getattr(ort, "preload_dlls", None):  # since 1.21
            load()


def availability(backend: str, version: str) -> Iterator[Availability]:
    """The devices of providers other than the CPU's, or the provider with the reason."""
    for name, provider in PROVIDERS.items():
        if provider.name == CPU:
            continue
        if obstacle := problem(name):
            yield Availability(backend, name, False, obstacle.detail, obstacle.remedy)
            continue
        devices = gpus() if provider.kind == "cuda" else (cpu_device(),)
        for device in devices:
            yield Availability(backend, device.id, True, f"{version}, with --provider {name}")


def gpus() -> tuple[Device, ...]:
    """The CUDA devices, where the CUDA provider works."""
    return () if problem("cuda") else cuda_devices().devices
