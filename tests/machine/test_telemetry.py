"""Power, memory and clocks beside a steady stretch: from a stub of NVML and scripted folders."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support import nvml_stub
from support.networks import models

from onnxprof.errors import BackendError
from onnxprof.jobs.child import perform
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import next_process, plan
from onnxprof.machine import cpufreq, memory, rapl
from onnxprof.machine.telemetry import Recorder, Watch
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.publish.tables.run_summary import summary
from onnxprof.publish.tables.runs import list_records
from onnxprof.publish.text.telemetry import telemetry_facts, telemetry_line
from onnxprof.publish.text.warnings import warning_text
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Absence, Energy, Quantity, Series, Telemetry
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.encoding import run_from_json, run_to_json
from onnxprof.store.summary import summarise
from onnxprof.testing import ScriptedClock, sample_run

STRETCH = """
import json, os
from onnxprof.records.run import Device
from onnxprof.store.encoding import to_json
from onnxprof.machine.telemetry import watching
import time
class Session:
    count = 0
    def infer(self):
        time.sleep(0.002)
        self.count += 1
        if str(self.count) == os.environ.get("LOST_AT"):
            os.environ["STUB_LOST_AFTER"] = "1"
with watching(Device("cuda:0:nvidia-h200", "cuda", "NVIDIA H200"), 2.0) as watch:
    watch.idle()
    watch.loaded(Session())
    watch.steady(Session())
    found = to_json(watch.telemetry()), to_json(list(watch.warnings()))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an NVML of two GPUs."""
    return nvml_stub.build(tmp_path_factory.mktemp("nvml"))


def stretch(stub: Path, **script: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found, warnings = nvml_stub.ask(stub, STRETCH, **script)
    return found, warnings


def series(found: Mapping[str, Any]) -> dict[str, list[float]]:
    return {s["quantity"]: s["values"] for s in found["series"] if s["source"] == "nvml"}


def reasons(found: Mapping[str, Any]) -> dict[str, str]:
    return {absence["what"]: absence["reason"] for absence in found["absent"]}


def gpu_energy(found: Mapping[str, Any]) -> dict[str, Any]:
    (energy,) = (e for e in found["energies"] if e["source"].startswith("nvml"))
    return dict(energy)


def test_a_gpu_is_read_beside_the_stretch(stub: Path) -> None:
    found, warnings = stretch(stub)
    read = series(found)
    assert found["inferences"] > 1
    assert found["seconds"] >= 0.4  # a fifth of the budget
    assert set(read["power_w"]) == {300.0}
    assert set(read["utilisation"]) == {0.87}
    assert set(read["device_memory_mib"]) == {1024.0}
    assert set(read["process_memory_mib"]) == {512.0}
    assert set(read["clock_mhz"]) <= {1700.0, 1710.0, 1720.0}
    assert len(read["power_w"]) == len(read["clock_mhz"]) > 2
    assert warnings == []
    assert found["series"][0]["source"] == "nvml"
    energy = gpu_energy(found)
    assert energy["source"] == "nvml counter"
    assert energy["idle_w"] == 300.0
    # The counter runs at 300 W, and is read just outside of the stretch.
    assert energy["spent_mj"] >= 0.99 * 300e3 * found["seconds"]


def test_without_a_counter_energy_is_power_times_time(stub: Path) -> None:
    found, _ = stretch(stub, STUB_NO_ENERGY="1")
    energy = gpu_energy(found)
    assert energy["source"] == "nvml power"
    assert energy["spent_mj"] == pytest.approx(300e3 * found["seconds"], abs=0.01)
    assert reasons(found)["nvml energy"] == "Not Supported"


def test_averaged_power_is_read_where_there_is_no_other(stub: Path) -> None:
    found, _ = stretch(stub, STUB_NO_INSTANT="1")
    assert set(series(found)["power_w"]) == {250.0}


def test_what_lowers_the_clock_is_a_warning(stub: Path) -> None:
    found, warnings = stretch(stub, STUB_REASONS=str(0x1 | 0x4 | 0x20))
    readings = len(series(found)["power_w"])
    assert [(w["kind"], w["subject"], w["value"]) for w in warnings] == [
        ("throttled", "the GPU's heat", readings),
        ("throttled", "the GPU's power cap", readings),
    ]
    assert all(w["bound"] == readings for w in warnings)


def test_drivers_of_the_old_name_tell_too(tmp_path: Path) -> None:
    old = nvml_stub.build(tmp_path, "-DOLD")
    _, warnings = stretch(old, STUB_REASONS="4")
    assert [w["subject"] for w in warnings] == ["the GPU's power cap"]


def test_a_gpu_that_disappears_leaves_its_reason_and_what_was_read(stub: Path) -> None:
    found, _ = stretch(stub, LOST_AT="5")
    assert found["inferences"] > 1
    assert found["seconds"] >= 0.4
    assert reasons(found)["nvml"].startswith("GPU is lost (after ")
    assert set(series(found)["power_w"]) == {300.0}
    assert [e for e in found["energies"] if e["source"].startswith("nvml")] == []


def test_a_gpu_that_is_gone_from_the_start_is_a_reason(stub: Path) -> None:
    found, _ = stretch(stub, STUB_NO_DRIVER="1")
    assert reasons(found)["nvml"] == "no NVIDIA driver answers: Driver Not Loaded"
    assert found["inferences"] > 1


def test_a_process_that_the_driver_hides_is_a_reason(stub: Path) -> None:
    found, _ = stretch(stub, STUB_HIDDEN="1")
    assert "process_memory_mib" not in series(found)
    assert "container" in reasons(found)["nvml process_memory_mib"]


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


@dataclass(slots=True)
class Meter:
    """A source of one power, whose counter follows the scripted clock."""

    clock: ScriptedClock
    watts: float = 50.0
    breaks_after: int = 10**9
    source: str = "rapl package-0"
    absent: list[Absence] = field(default_factory=list)
    reads: int = 0

    def values(self) -> dict[Quantity, float]:
        self.reads += 1
        if self.reads > self.breaks_after:
            raise OSError("No such device")
        return {}

    def energy_mj(self) -> float:
        return self.watts * self.clock.now_ns / 1e6

    def held_back(self) -> frozenset[str]:
        return frozenset()


@dataclass(slots=True)
class Steps:
    """A session whose inferences take what the script says."""

    clock: ScriptedClock
    each_ns: int = 10_000_000
    beside: Callable[[], None] = lambda: None
    fails_after: int = 10**9
    count: int = 0

    def infer(self) -> None:
        if self.count == self.fails_after:
            raise BackendError("the device is lost")
        self.clock.advance(self.each_ns)
        self.count += 1
        self.beside()


def test_energy_of_an_inference_follows_the_counter_and_the_clock() -> None:
    clock = ScriptedClock(5)
    watch = Watch([Meter(clock)], [], 5.0, clock)
    watch.steady(Steps(clock))  # type: ignore[arg-type]
    found = watch.telemetry()
    assert (found.inferences, found.seconds) == (100, 1.0)
    assert found.energies == (Energy("rapl package-0 counter", 50_000.0),)
    assert found.per_inference_mj(found.energies[0]) == 500.0
    assert found.above_idle_mj(found.energies[0]) is None
    (power,) = found.of(Quantity.POWER)
    assert set(power.values) == {50.0}


def test_idle_power_is_taken_off() -> None:
    found = Telemetry(2.0, 10, 25.0)
    assert found.above_idle_mj(Energy("x", 100_000.0, 20.0)) == 6_000.0


@pytest.mark.parametrize(("budget", "inferences"), [(0.2, 0), (0.25, 5), (5.0, 100), (60.0, 100)])
def test_the_stretch_is_a_share_of_the_budget(budget: float, inferences: int) -> None:
    clock = ScriptedClock()
    watch = Watch([], [], budget, clock)
    watch.steady(Steps(clock))  # type: ignore[arg-type]
    found = watch.telemetry()
    assert found.inferences == inferences
    told = [a.what for a in found.absent]
    assert ("steady stretch" in told) == (not inferences)


def test_an_inference_longer_than_the_stretch_is_run_once() -> None:
    clock = ScriptedClock()
    watch = Watch([Meter(clock)], [], 5.0, clock)
    watch.steady(Steps(clock, each_ns=30_000_000_000))  # type: ignore[arg-type]
    assert (watch.telemetry().inferences, watch.telemetry().seconds) == (1, 30.0)


def test_a_counter_that_disappears_leaves_no_energy_and_a_reason() -> None:
    clock = ScriptedClock()
    watch = Watch([Meter(clock, breaks_after=1)], [], 5.0, clock)
    watch.steady(Steps(clock))  # type: ignore[arg-type]
    found = watch.telemetry()
    assert found.inferences == 100
    assert found.energies == ()
    assert Absence("rapl package-0", "No such device (after 1 readings)") in found.absent


def test_a_runtime_that_fails_in_the_stretch_costs_the_stretch_alone() -> None:
    clock = ScriptedClock()
    watch = Watch([], [], 5.0, clock)
    watch.steady(Steps(clock, fails_after=3))  # type: ignore[arg-type]
    found = watch.telemetry()
    assert found.inferences == 3
    assert Absence("steady stretch", "ended early: the device is lost") in found.absent


def test_a_runtime_that_fails_at_once_gives_no_energy() -> None:
    clock = ScriptedClock()
    watch = Watch([Meter(clock)], [], 5.0, clock)
    watch.steady(Steps(clock, fails_after=0))  # type: ignore[arg-type]
    found = watch.telemetry()
    assert (found.inferences, found.seconds, found.energies) == (0, 0.0, ())
    assert telemetry_line(found) == ""
    assert "steady stretch" not in dict(telemetry_facts(found))


def test_readings_are_bounded() -> None:
    clock = ScriptedClock()
    recorder = Recorder([Meter(clock)], clock)
    for _ in range(5000):
        clock.advance(25_000_000)
        recorder.read()
    kept = recorder.readings["rapl package-0"]
    assert len(kept) <= 401
    assert kept[0].at_ns == 25_000_000
    assert kept[-1].at_ns == clock.now_ns
    assert recorder.interval_s > 0.025


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


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small model measured by onnxruntime, with its telemetry."""
    path = models.save(models.lenet(), tmp_path_factory.mktemp("model"))
    options = Options((str(path),), threads=1, budget=Budget(0.5), parity=False)
    return perform(plan(options)[0], lambda phase, share: None)


def test_a_real_run_has_its_stretch_and_its_memory(measured: Run) -> None:
    found = measured.telemetry
    assert found is not None
    assert found.inferences > 10
    assert 0.1 <= found.seconds < 0.5
    assert found.peak_resident_bytes > 10 << 20
    assert "arena" in {absence.what for absence in found.absent}


def test_telemetry_comes_back_from_json(measured: Run) -> None:
    run = replace(measured, timings=None)
    assert run_from_json(run_to_json(run)) == run
    older = run_to_json(run)
    del older["telemetry"]
    assert run_from_json(older).telemetry is None


def test_later_processes_and_runs_without_it_have_none(measured: Run, tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    options = Options((str(path),), threads=1, budget=Budget(0.5), parity=False, telemetry=False)
    planned = plan(options)[0]
    assert perform(planned, lambda phase, share: None).telemetry is None
    wanting = planned.asking(telemetry=True, processes=2)
    later = next_process(wanting, [measured], Limits(), lambda each, phase, share: None)
    assert later.telemetry is None


def shown() -> Telemetry:
    at = (0.0, 25.0, 50.0)
    return Telemetry(
        *(1.0, 100, 25.0),
        (
            Series(Quantity.POWER, "nvml", at, (300.0, 320.0, 340.0), 80.0),
            Series(Quantity.UTILISATION, "nvml", at, (0.8, 0.9, 1.0)),
            Series(Quantity.CLOCK, "nvml", at, (1980.0, 1965.0, 1980.0)),
            Series(Quantity.DEVICE_MEMORY, "nvml", at, (900.0, 1000.0, 1000.0), 400.0),
        ),
        (Energy("nvml counter", 320_000.0, 80.0),),
        *(1.0, 50 << 20, 300 << 20, 7 << 20, (Absence("rapl energy", "no\x1b[31m counter"),)),
    )


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


def test_statistics_are_those_of_the_values() -> None:
    values = tuple(np.random.default_rng(0).normal(size=9).tolist())
    made = Series(Quantity.POWER, "x", values, values)
    assert (made.least, made.median, made.most) == (
        *(min(values), float(np.median(values)), max(values)),
    )
    assert made.mean == pytest.approx(float(np.mean(values)))


@dataclass(slots=True)
class Accounted(Steps):
    """A session whose runtime tells what its allocator gave out."""

    def arena_bytes(self) -> int | None:
        return 123


def test_the_arena_is_that_of_the_session_where_it_tells() -> None:
    clock = ScriptedClock()
    watch = Watch([], [], 5.0, clock)
    watch.loaded(Accounted(clock))  # type: ignore[arg-type]
    assert watch.telemetry().arena_bytes == 123
    assert "arena" not in {absence.what for absence in watch.telemetry().absent}


def test_torch_keeps_no_account_on_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    from onnxprof.backends.torch.session import TorchSession

    session = TorchSession.__new__(TorchSession)
    session.device = torch.device("cpu")
    assert session.arena_bytes() is None


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


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ((), None),
        (("rapl psys counter",), None),
        (("rapl psys counter", "rapl package-0 counter", "rapl dram-0 counter"), 2.0),
        (("rapl package-0 counter", "nvml power"), 1.0),
    ],
)
def test_the_energy_of_the_device_is_the_gpus_or_that_of_all_packages(
    sources: tuple[str, ...], expected: float | None
) -> None:
    energies = tuple(Energy(source, 1.0) for source in sources)
    assert Telemetry(1.0, 1, 25.0, energies=energies).device_mj() == expected
    assert Telemetry(0.0, 0, 25.0, energies=energies).device_mj() is None


@pytest.mark.parametrize("what", ["nvml", "nvml energy"])
def test_a_gpu_that_does_not_tell_is_not_charged_with_what_the_processor_took(what: str) -> None:
    silent = Telemetry(
        *(1.0, 1, 25.0),
        energies=(Energy("rapl package-0 counter", 1.0),),
        absent=(Absence(what, "GPU is lost"),),
    )
    assert silent.device_mj() is None
