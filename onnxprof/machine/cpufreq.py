"""The clock of the processor's cores while they work, from the kernel's frequency scaling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from onnxprof.records.telemetry import Absence, Quantity

#: Reading a core's clock may wake it, so not all cores of a big machine are read.
_MOST_CORES = 32


class Cores:
    """The clock of the fastest core; unless all cores are busy, that is a core at work.

    Linux kernel documentation, CPU Performance Scaling: `scaling_cur_freq`, in kHz.
    """

    source = "cpufreq"

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self.absent: list[Absence] = []

    def values(self) -> dict[Quantity, float]:
        """The clock in MHz. Raises OSError or ValueError where files cannot be read any more."""
        fastest = max(int(path.read_text("utf-8")) for path in self._files)
        return {Quantity.CLOCK: fastest / 1e3}

    def energy_mj(self) -> None:
        """Nothing."""

    def held_back(self) -> frozenset[str]:
        """Nothing: `clocks.py` counts throttling."""
        return frozenset()


def cores(root: Path = Path("/")) -> tuple[list[Cores], list[Absence]]:
    """The cores that this process may run on, or why their clocks cannot be read."""
    files = tuple(path for path in _files(root) if path.is_file())
    if files:
        return [Cores(files)], []
    return [], [Absence("cpufreq clock_mhz", "the kernel shows no frequency of its cores")]


def _files(root: Path) -> Iterator[Path]:
    there = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(_MOST_CORES)
    for number in sorted(there)[:_MOST_CORES]:
        yield root / f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq"
