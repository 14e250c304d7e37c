"""Energy of processor packages from the kernel's power capping interface.

Linux kernel documentation, `power/powercap`: a folder a zone with `name`, `energy_uj` (counts up,
then starts at 0 again after `max_energy_range_uj`). Processors by Intel and, through the same
driver, by AMD. Since CVE-2020-8694 the counters can be read by root alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from onnxprof.records.telemetry import Absence, Quantity

#: The zones of interest; `psys` is the whole board, `core` and `uncore` are parts of a package.
_ZONES = re.compile(r"package-\d+(-die-\d+)?|dram|psys")
_FOLDER = "sys/class/powercap"


class RaplError(Exception):
    """A counter cannot be read; the text says why."""


class Zone:
    """The energy counter of one zone, corrected for overflow."""

    def __init__(self, folder: Path, source: str) -> None:
        self.source = source
        self.absent: list[Absence] = []
        self._file = folder / "energy_uj"
        self._range = _number(folder / "max_energy_range_uj")
        self._last = _number(self._file)
        self._spent = 0

    def values(self) -> dict[Quantity, float]:
        """Nothing: power follows from the counter and the clock."""
        return {}

    def energy_mj(self) -> float:
        """Energy since this object was made, in mJ. Raises RaplError."""
        now = _number(self._file)
        passed = now - self._last
        self._spent += passed if passed >= 0 else passed + self._range
        self._last = now
        return self._spent / 1e3

    def held_back(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()


def zones(root: Path = Path("/")) -> tuple[list[Zone], list[Absence]]:
    """The zones that can be read, and why others cannot."""
    readable: list[Zone] = []
    absent: list[Absence] = []
    for folder, source in _folders(root):
        try:
            readable.append(Zone(folder, source))
        except RaplError as error:
            absent.append(Absence(f"{source} energy", str(error)))
    if not readable and not absent:
        absent.append(Absence("rapl energy", "the kernel shows no such counter"))
    return readable, absent


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    """Folders of zones and of their parts, with unique names."""
    for folder in sorted(root.glob(f"{_FOLDER}/intel-rapl:*")):
        try:
            name = (folder / "name").read_text("utf-8").strip()
        except (OSError, ValueError):
            continue
        if _ZONES.fullmatch(name):
            socket = folder.name.split(":")[1]
            yield folder, f"rapl {name}" + (f"-{socket}" if name == "dram" else "")


def _number(path: Path) -> int:
    try:
        return int(path.read_text("utf-8"))
    except PermissionError:
        raise RaplError(f"only root may read {path.name}") from None
    except OSError as error:
        raise RaplError(f"{path.name}: {error.strerror or error}") from None
    except ValueError:
        raise RaplError(f"{path.name} holds no number") from None
