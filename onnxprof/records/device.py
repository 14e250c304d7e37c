"""A device, and whether a backend works on it, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """A physical device."""

    id: str
    """Stable on one machine: `cpu:amd-epyc-7763`, `cuda:0:nvidia-h200`."""
    kind: str
    name: str
    memory_bytes: int = 0
    physical_cores: int = 0
    """Cores, or the multiprocessors of a GPU; 0 if not known."""
    logical_cores: int = 0
    """Hardware threads, or the arithmetic lanes (CUDA cores) of a GPU; 0 if not known."""
    features: tuple[str, ...] = ()
    """Instruction sets or compute capability."""
    driver: str = ""
    """Version of a GPU's driver; empty for a CPU."""
    base_clock_mhz: int = 0
    """The nominal clock under load; 0 if not known."""
    max_clock_mhz: int = 0
    memory_clock_mhz: int = 0
    """The highest clock of a GPU's memory."""


def device_index(device_id: str) -> int:
    """The runtime's number of a device: 1 for `cuda:1:nvidia-h200`; 0 where the id gives none."""
    number = device_id.partition(":")[2].partition(":")[0]
    return int(number) if number.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend works on a device here, and if not, why."""

    backend: str
    device: str
    """A device id, or the kind of device (`cpu`, `cuda`) where no device works."""
    usable: bool
    detail: str
    """The runtime's version where usable, else the reason."""
    remedy: str = ""
    """What to install or change; empty where usable."""
