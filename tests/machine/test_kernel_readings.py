"""Clocks and memory as the kernel tells them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnxprof.machine import cpufreq, memory
from onnxprof.records.telemetry import Quantity


@pytest.mark.posix
def test_the_fastest_core_is_read(tmp_path: Path) -> None:
    numbers = sorted(os.sched_getaffinity(0))
    for number in numbers:
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text("1500000\n")
    (folder / "scaling_cur_freq").write_text("3400000\n")
    (found,), absent = cpufreq.cores(tmp_path)
    assert found.values() == {Quantity.CLOCK: 3400.0}
    assert absent == []
    (folder / "scaling_cur_freq").unlink()
    with pytest.raises(OSError, match="scaling_cur_freq"):
        found.values()


def test_a_machine_without_frequencies_is_a_reason(tmp_path: Path) -> None:
    found, absent = cpufreq.cores(tmp_path)
    assert found == []
    assert "no frequency" in absent[0].reason


def test_the_peak_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 7 kB\n")
    assert memory.peak_resident_bytes(tmp_path) == 2 << 20


def test_what_memory_is_left_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemFree:   1 kB\nMemAvailable:    4096 kB\n")
    assert memory.available_bytes(tmp_path) == 4 << 20


def test_what_memory_is_left_is_asked_of_psutil_where_the_kernel_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=7 << 20))
    assert memory.available_bytes(tmp_path) == 7 << 20


PEAK = """
import numpy, sys
from onnxprof.machine.memory import peak_resident_bytes
before = peak_resident_bytes()
numpy.ones(64 << 17)
print([before, peak_resident_bytes()])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_holds_what_was_freed_again() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert after - before > 60 << 20
