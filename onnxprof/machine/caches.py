"""The processor's caches: level, size, and how many hardware threads share one."""

from __future__ import annotations

import re

from onnxprof.machine.kernel import Machine
from onnxprof.records.ceilings import Cache

_FOLDER = "sys/devices/system/cpu/cpu0/cache/index{}"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def caches(machine: Machine | None = None) -> tuple[Cache, ...]:
    """The levels that hold data, the nearest first; empty where the kernel lists none.

    Linux kernel documentation, sysfs-devices-system-cpu: `cache/index*/{level,type,size}` and
    `shared_cpu_list`.
    """
    given = machine or Machine()
    return tuple(
        Cache(f"L{level}", size_bytes(size), sharers(given.text(f"{folder}/shared_cpu_list")))
        for folder, level, size in _entries(given)
        if size_bytes(size)
    )


def caches_text(machine: Machine) -> str:
    """The same as the kernel prints them: `L1 48K, L2 1024K`."""
    return ", ".join(f"L{level} {size}" for _, level, size in _entries(machine))


def _entries(machine: Machine) -> list[tuple[str, str, str]]:
    """(folder, level, size) of each cache of the first processor that holds data."""
    found = []
    for index in range(5):
        folder = _FOLDER.format(index)
        level, kind, size = (machine.text(f"{folder}/{file}") for file in ("level", "type", "size"))
        if level and size and kind != "Instruction":
            found.append((folder, level, size))
    return found


def size_bytes(text: str) -> int:
    """`48K` in bytes; 0 for what is no size."""
    match = re.fullmatch(r"(\d{1,12})([KMG]?)", text)
    return int(match[1]) * _UNITS[match[2]] if match else 0


def sharers(text: str) -> int:
    """How many processors a list such as `0-3,8` names; 1 for an empty or damaged list."""
    ends = [re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part) for part in text.split(",")]
    return max(1, sum(int(m[2] or m[1]) - int(m[1]) + 1 for m in ends if m))
