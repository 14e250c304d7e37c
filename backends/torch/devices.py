"""The devices that torch can use, and why it cannot use others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.errors import BackendError
from onnxprof.machine.cpu import cpu_device
from onnxprof.machine.gpus import completed, cuda_id
from onnxprof.records.device import Availability, Device, device_index


def cuda_device(index: int, properties: Any) -> Device:
    """The record of a CUDA device, from torch's properties."""
    capability = f"sm_{properties.major}{properties.minor}"
    return Device(
        id=cuda_id(index, str(properties.name)),
        kind="cuda",
        name=str(properties.name),
        memory_bytes=int(properties.total_memory),
        physical_cores=int(properties.multi_processor_count),
        features=(capability,),
    )


def devices() -> tuple[Device, ...]:
    """The CPU, then the CUDA devices that work."""
    return (cpu_device(), *cuda_devices())


def cuda_devices() -> Sequence[Device]:
    """CUDA devices in torch's order, with facts of the driver; empty if CUDA does not work."""
    if not torch.cuda.is_available():
        return ()
    return [
        completed(cuda_device(index, torch.cuda.get_device_properties(index)))
        for index in range(torch.cuda.device_count())
    ]


def availability(backend: str) -> tuple[Availability, ...]:
    """Usable devices with torch's version, and unusable ones with reason and remedy."""
    version = f"torch {torch.__version__}"
    cpu = Availability(backend, cpu_device().id, True, version)
    usable = cuda_devices()
    if usable:
        built = f"{version}, CUDA {torch.version.cuda}"
        return (cpu, *(Availability(backend, device.id, True, built) for device in usable))
    return (cpu, _no_cuda(backend, version))


def _no_cuda(backend: str, version: str) -> Availability:
    if torch.version.cuda is None:
        detail, remedy = f"{version} is built without CUDA", "Install a CUDA build of torch"
    else:
        detail = f"{version}: no CUDA device or no driver"
        remedy = f"Install a driver for CUDA {torch.version.cuda}; see nvidia-smi"
    return Availability(backend, "cuda", False, detail, remedy)


def torch_device(provider: str, device_id: str) -> Any:
    """The torch device for an id as `cuda:1:NAME`, or without an id for the requested kind.

    Raises BackendError where there is no such device.
    """
    kind = device_id.partition(":")[0]
    if (kind or provider) != "cuda":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        state = _no_cuda("torch", f"torch {torch.__version__}")
        raise BackendError(state.detail, where="torch", remedy=state.remedy)
    index = device_index(device_id)
    if index >= torch.cuda.device_count():
        raise BackendError(
            f"there is no CUDA device {index}", where="torch", remedy="See onnxprof doctor"
        )
    return torch.device("cuda", index)
