"""A device's facts in one line."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.records.device import Device


def device_text(device: Device) -> str:
    """`AMD EPYC 7763, 64 cores, 128 threads, 2450 to 3500 MHz, 251.5 GiB, avx2 fma`."""
    return ", ".join(filter(None, _parts(device)))


def _parts(device: Device) -> Iterator[str]:
    gpu = device.kind == "cuda"
    yield device.name
    yield _count(device.physical_cores, "multiprocessor" if gpu else "core")
    yield _count(device.logical_cores, "CUDA core" if gpu else "thread")
    yield _clocks(device.base_clock_mhz, device.max_clock_mhz)
    yield f"{device.memory_bytes / 2**30:.1f} GiB" if device.memory_bytes else ""
    yield f"memory up to {device.memory_clock_mhz} MHz" if device.memory_clock_mhz else ""
    yield " ".join(device.features)
    yield f"driver {device.driver}" if device.driver else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else ""


def _clocks(base: int, most: int) -> str:
    if base and most:
        return f"{base} to {most} MHz"
    return f"up to {most} MHz" if most else f"{base} MHz" if base else ""
