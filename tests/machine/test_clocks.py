"""Clocks, read from files below a root."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxprof.machine.clocks import HeldBack, held_back, turbo, unlocked, watched
from onnxprof.machine.facts import environment
from onnxprof.machine.kernel import Machine
from onnxprof.records.warning import WarningKind

CPU = "sys/devices/system/cpu"
HEAT = f"{CPU}/cpu1/thermal_throttle/package_throttle_count"
STAT = "sys/fs/cgroup/box/cpu.stat"


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_machine_that_shows_nothing_is_not_accused(tmp_path: Path) -> None:
    assert held_back(Machine(tmp_path)) == HeldBack()
    assert turbo(Machine(tmp_path)) is None
    assert list(unlocked(Machine(tmp_path))) == []
    with watched(tmp_path) as told:
        pass
    assert told == []


def test_counters_that_grow_meanwhile_are_told(tmp_path: Path) -> None:
    group = {"proc/self/cgroup": "0::/box\n", STAT: "nr_periods 9\nnr_throttled 4\n"}
    written(tmp_path, group | {HEAT: "7\n"})
    with watched(tmp_path) as told:
        written(tmp_path, {STAT: "nr_periods 99\nnr_throttled 16\n", HEAT: "9\n"})
    assert [(w.kind, w.value, w.subject) for w in told] == [
        (WarningKind.THROTTLED, 2, "heat"),
        (WarningKind.THROTTLED, 12, "the control group's quota"),
    ]


def test_counters_that_stand_still_are_not(tmp_path: Path) -> None:
    written(tmp_path, {HEAT: "7\n", f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "rubbish"})
    with watched(tmp_path) as told:
        pass
    assert told == []
    assert held_back(Machine(tmp_path)).heat == 7
    assert dict(environment(Machine(tmp_path, {})))["cpu.throttle_events"] == "7"


@pytest.mark.parametrize(
    ("files", "subject"),
    [
        ({"cpufreq/policy0/scaling_governor": "powersave"}, "governor powersave"),
        (
            {"cpufreq/policy0/scaling_governor": "performance", "intel_pstate/no_turbo": "0"},
            "turbo on",
        ),
        (
            {"cpufreq/policy3/scaling_governor": "schedutil", "cpufreq/policy3/boost": "1"},
            "governor schedutil, turbo on",
        ),
        ({"cpufreq/policy0/scaling_governor": "performance", "cpufreq/boost": "0"}, ""),
        ({"intel_pstate/no_turbo": "1"}, ""),
    ],
)
def test_a_clock_that_may_change_is_told(
    tmp_path: Path, files: dict[str, str], subject: str
) -> None:
    machine = Machine(written(tmp_path, {f"{CPU}/{name}": text for name, text in files.items()}))
    told = list(unlocked(machine))
    assert [(w.kind, w.subject) for w in told] == (
        [(WarningKind.UNLOCKED_CLOCKS, subject)] if subject else []
    )


def test_the_facts_name_driver_and_turbo(tmp_path: Path) -> None:
    files = {"cpufreq/policy0/scaling_driver": "amd-pstate-epp\n", "cpufreq/policy0/boost": "1"}
    root = written(tmp_path, {f"{CPU}/{name}": text for name, text in files.items()})
    facts = dict(environment(Machine(root, {})))
    assert facts["cpu.frequency_driver"] == "amd-pstate-epp"
    assert facts["cpu.turbo"] == "on"
