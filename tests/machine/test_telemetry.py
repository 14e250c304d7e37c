"""Power and energy of a steady stretch on a script's clock, and the stretch of a real run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.machine.watched import Meter, Steps
from support.networks import models

from onnxprof.jobs.child import perform
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import next_process, plan
from onnxprof.machine.telemetry import Recorder, Watch
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.publish.text.telemetry import telemetry_facts, telemetry_line
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Absence, Energy, Quantity, Series, Telemetry
from onnxprof.store.encoding import run_from_json, run_to_json
from onnxprof.testing import ScriptedClock


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
