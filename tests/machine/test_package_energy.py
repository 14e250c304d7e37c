"""Energy of a processor's packages and memory, from scripted folders of the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from onnxprof.machine import rapl
from onnxprof.records.telemetry import Absence

ZONE = "sys/class/powercap/intel-rapl:0"


def zone(
    root: Path,
    path: str = ZONE,
    name: str = "package-0",
    energy: str = "1000000",
    most: int = 10**9,
) -> Path:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder


def test_packages_and_memory_are_read_and_parts_of_them_are_not(tmp_path: Path) -> None:
    zone(tmp_path)
    zone(tmp_path, f"{ZONE}:0", "core")
    zone(tmp_path, f"{ZONE}:1", "dram")
    zone(tmp_path, "sys/class/powercap/intel-rapl-mmio:0", "package-0")  # the same one again
    found, absent = rapl.zones(tmp_path)
    assert [z.source for z in found] == ["rapl package-0", "rapl dram-0"]
    assert absent == []


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    folder = zone(tmp_path, energy="999000000", most=10**9)
    (found,), _ = rapl.zones(tmp_path)
    assert found.energy_mj() == 0.0
    for value, expected in (("999500000", 500.0), ("250000", 1250.0), ("750000", 1750.0)):
        (folder / "energy_uj").write_text(value)
        assert found.energy_mj() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("energy_uj", "lots", "holds no number"),
        ("energy_uj", None, "No such file"),
        ("max_energy_range_uj", "", "holds no number"),
    ],
)
def test_a_broken_zone_is_a_reason(
    tmp_path: Path, file: str, content: str | None, expected: str
) -> None:
    path = zone(tmp_path) / file
    path.unlink() if content is None else path.write_text(content)
    found, absent = rapl.zones(tmp_path)
    assert found == []
    assert expected in absent[0].reason


def test_no_zone_is_a_reason(tmp_path: Path) -> None:
    assert rapl.zones(tmp_path) == (
        *([], [Absence("rapl energy", "the kernel shows no such counter")]),
    )


AS_NOBODY = """
import os, sys
from pathlib import Path
from onnxprof.machine import rapl
if os.getuid() == 0:
    os.setuid(65534)
found, absent = rapl.zones(Path(sys.argv[1]))
print(found, [(each.what, each.reason) for each in absent])
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="no users as on Unix")
def test_counters_that_need_root_are_a_reason() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (zone(Path(folder)) / "energy_uj").chmod(0)
        command = [sys.executable, "-c", AS_NOBODY, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[] [('rapl package-0 energy', 'only root may read energy_uj')]\n", done
