"""Whether the processor's clock held still while something was measured.

Linux kernel documentation: CPU Performance Scaling (`scaling_governor`, `boost`), intel_pstate
(`no_turbo`), sysfs-devices-system-cpu (`thermal_throttle`), cgroup-v2 (`cpu.stat`). A virtual
machine mostly shows none of them, and then there are no warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onnxprof.machine.kernel import Machine, groups
from onnxprof.records.warning import RunWarning, WarningKind

_CPU = "sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Counters of throttling since the machine, or the control group, was started."""

    heat: int = 0
    """Thermal events of the core or package with the most."""
    quota: int = 0
    """Periods in which the control group's quota was used up."""


def held_back(machine: Machine) -> HeldBack:
    """The present counters; 0 where the system shows none."""
    counts = machine.texts(f"{_CPU}/cpu[0-9]*/thermal_throttle/*_throttle_count")
    heat = max((int(count) for count in counts if count.isdecimal()), default=0)
    stats = [machine.text(f"{folder}/cpu.stat") for folder in groups(machine, "")]
    stats += [machine.text(f"{folder}/cpu.stat") for folder in groups(machine, "cpu")]
    matches = (re.search(r"^nr_throttled (\d+)", text, re.MULTILINE) for text in stats)
    return HeldBack(heat, max((int(match[1]) for match in matches if match), default=0))


@contextmanager
def watched(root: Path = Path("/")) -> Iterator[list[RunWarning]]:
    """Watch the counters during the body; afterwards the list holds a warning if they grew."""
    warnings: list[RunWarning] = []
    before = held_back(Machine(root))
    yield warnings
    after = held_back(Machine(root))
    if after.heat > before.heat:
        warnings.append(RunWarning(WarningKind.THROTTLED, after.heat - before.heat, "heat"))
    if after.quota > before.quota:
        more = after.quota - before.quota
        warnings.append(RunWarning(WarningKind.THROTTLED, more, "the control group's quota"))


def unlocked(machine: Machine) -> Iterator[RunWarning]:
    """A warning where the system is set to change the clock by itself."""
    governors = sorted(set(machine.texts(f"{_CPU}/cpufreq/policy*/scaling_governor")))
    why = [f"governor {name}" for name in governors if name not in ("performance", "userspace")]
    if turbo(machine):
        why.append("turbo on")
    if why:
        yield RunWarning(WarningKind.UNLOCKED_CLOCKS, subject=", ".join(why))


def turbo(machine: Machine) -> bool | None:
    """Whether clocks above the nominal one are allowed; None where the system does not say."""
    forbidden = machine.number(f"{_CPU}/intel_pstate/no_turbo")
    boosts = [machine.number(f"{_CPU}/cpufreq/boost")]
    boosts += [int(t) for t in machine.texts(f"{_CPU}/cpufreq/policy*/boost") if t.isdecimal()]
    known = [boost for boost in boosts if boost is not None]
    if forbidden is None and not known:
        return None
    return forbidden == 0 or 1 in known
