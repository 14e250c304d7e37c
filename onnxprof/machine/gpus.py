"""GPUs as records: one stable id a device, whatever the backend, and the facts about it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from onnxprof.machine import nvml
from onnxprof.machine.cpu import slug
from onnxprof.records.ceilings import Cache
from onnxprof.records.device import Device, device_index

#: Arithmetic lanes of a multiprocessor by compute capability: CUDA C++ Programming Guide,
#: table of arithmetic throughput, 32-bit floating-point additions a clock.
_LANES: Mapping[tuple[int, int], int] = {
    **dict.fromkeys(((6, 0), (7, 0), (7, 2), (7, 5), (8, 0)), 64),
    **dict.fromkeys(((5, 0), (5, 2), (6, 1), (6, 2), (8, 6), (8, 7), (8, 9), (9, 0)), 128),
    **dict.fromkeys(((10, 0), (10, 3), (11, 0), (12, 0), (12, 1)), 128),
}

_L2_CACHE_SIZE = 38
#: More threads of the host than there are: they all share it.
_EVERY = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that the driver lists, or why it lists none."""

    devices: tuple[Device, ...] = ()
    reason: str = ""


def cuda_devices(environ: Mapping[str, str] | None = None) -> Gpus:
    """The GPUs that CUDA shows, in CUDA's numbering; never raises."""
    try:
        with nvml.opened() as nv:
            handles = nvml.visible(nv, environ)
            devices = tuple(_device(nv, index, handle) for index, handle in enumerate(handles))
    except nvml.NvmlError as error:
        return Gpus(reason=str(error))
    return Gpus(devices, "" if devices else "the driver lists no device that CUDA may use")


def cuda_id(index: int, name: str) -> str:
    """`cuda:0:nvidia-h200`: CUDA's number of the device and its name."""
    return f"cuda:{index}:{slug(name) or 'unknown'}"


def completed(device: Device, environ: Mapping[str, str] | None = None) -> Device:
    """A runtime's record of a GPU, with further facts of the driver where there is one."""
    with suppress(nvml.NvmlError), nvml.opened() as nv:
        known = _device(nv, 0, nvml.handle(nv, device.id, environ))
        names = [f.name for f in fields(Device)]
        gaps = {name: getattr(known, name) for name in names if not getattr(device, name)}
        return replace(device, **gaps)
    return device


def free_bytes(device_id: str) -> int | None:
    """Free memory of a GPU in bytes; None where the driver does not report it."""
    try:
        with nvml.opened() as nv, nvml.errors(nv):
            return int(nv.nvmlDeviceGetMemoryInfo(nvml.handle(nv, device_id)).free)
    except nvml.NvmlError:
        return None


def cuda_caches(device: Device, load: Callable[[], Any] | None = None) -> tuple[Cache, ...]:
    """The L2 cache of a GPU, which all its multiprocessors share; empty where CUDA does not say.

    CUDA driver API: `cuDeviceGetAttribute`, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE. No context is made.
    """
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    size, handle = ctypes.c_int(0), ctypes.c_int(0)
    try:
        driver = load() if load else ctypes.CDLL(name)
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(handle), device_index(device.id))
            or driver.cuDeviceGetAttribute(ctypes.byref(size), _L2_CACHE_SIZE, handle)
        )
    except (OSError, AttributeError):
        return ()
    return () if failed or size.value <= 0 else (Cache("L2", size.value, _EVERY),)


def _device(nv: Any, index: int, handle: Any) -> Device:
    """Raises NvmlError where the driver does not even give the name."""
    name = nvml.name_of(nv, handle)
    major, minor = _asked(nv, (0, 0), nv.nvmlDeviceGetCudaComputeCapability, handle)
    lanes = _asked(nv, 0, nv.nvmlDeviceGetNumGpuCores, handle)
    memory = _asked(nv, None, nv.nvmlDeviceGetMemoryInfo, handle)
    sm, of_memory = nv.NVML_CLOCK_SM, nv.NVML_CLOCK_MEM
    return Device(
        id=cuda_id(index, name),
        kind="cuda",
        name=name,
        memory_bytes=int(memory.total) if memory is not None else 0,
        physical_cores=lanes // _LANES.get((major, minor), lanes + 1),
        logical_cores=int(lanes),
        features=(f"sm_{major}{minor}",) if major else (),
        driver=nvml.driver_version(nv),
        base_clock_mhz=_asked(nv, 0, nv.nvmlDeviceGetDefaultApplicationsClock, handle, sm),
        max_clock_mhz=_asked(nv, 0, nv.nvmlDeviceGetMaxClockInfo, handle, sm),
        memory_clock_mhz=_asked(nv, 0, nv.nvmlDeviceGetMaxClockInfo, handle, of_memory),
    )


def _asked(nv: Any, otherwise: Any, query: Any, *arguments: Any) -> Any:
    """The result of a query, or `otherwise` where this device does not support it."""
    try:
        return query(*arguments)
    except nv.NVMLError:
        return otherwise
