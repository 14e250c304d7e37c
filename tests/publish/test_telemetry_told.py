"""Energy, power, clocks and memory in lines, facts and lists."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import pytest
from rich.console import Console
from support.machine.watched import shown

from onnxprof.publish.tables.run_summary import summary
from onnxprof.publish.tables.runs import list_records
from onnxprof.publish.text.telemetry import telemetry_facts, telemetry_line
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.telemetry import Energy, Telemetry
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run


def test_a_line_tells_the_most() -> None:
    assert telemetry_line(shown()) == (
        "3.2 J an inference (nvml counter); power 320 W (nvml); clock 1980 MHz (nvml); "
        "device memory 1000 MiB (nvml); at most 300 MiB resident"
    )
    assert telemetry_line(None) == ""


def test_the_facts_tell_everything() -> None:
    facts = dict(telemetry_facts(shown()))
    assert facts == {
        "steady stretch": "100 inferences in 1.00 s, 1.0 cores busy, read every 25 ms",
        "energy, nvml counter": "3.2 J an inference, 2.4 J above idle (80.0 W)",
        "power, nvml": "300, 320, 340 W (least, median, most of 3 readings, idle 80 W)",
        "utilisation, nvml": "80, 90, 100 % (least, median, most of 3 readings)",
        "clock, nvml": "1965, 1980, 1980 MHz (least, median, most of 3 readings)",
        "device memory, nvml": "900, 1000, 1000 MiB (least, median, most of 3 readings, "
        "idle 400 MiB)",
        "peak resident": "300 MiB, 50 MiB before loading",
        "arena": "7.0 MiB",
        "no rapl energy": "no\\x1b[31m counter",
    }


def test_the_summary_ends_with_the_line() -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(summary(replace(sample_run(), telemetry=shown())))
    assert "3.2 J an inference" in console.export_text()


def test_a_throttled_gpu_is_told_in_words() -> None:
    warning = RunWarning(WarningKind.THROTTLED, 12, "the GPU's power cap", 40)
    assert "held back in 12 of 40 readings" in warning_text(warning)


def test_the_list_of_runs_tells_energy_power_and_memory() -> None:
    summary = summarise(replace(sample_run(), telemetry=shown()))
    assert summary.energy_mj == 3200.0
    assert summary.power_w == 320.0
    (record,) = list_records([summary])
    assert (record["energy_mj"], record["power_w"]) == (3200.0, 320.0)
    assert record["peak_resident_bytes"] == 300 << 20
    bare = summarise(sample_run())
    assert (bare.energy_mj, bare.power_w, bare.peak_resident_bytes) == (None, None, None)


@pytest.mark.parametrize(("seconds", "spent"), [(math.inf, math.inf), (0.0, 1.0), (1.0, math.nan)])
def test_a_list_shows_no_power_that_is_no_number(seconds: float, spent: float) -> None:
    told = Telemetry(seconds, 1, 0.0, (), (Energy("nvml counter", spent),))
    assert summarise(replace(sample_run(), telemetry=told)).power_w is None
