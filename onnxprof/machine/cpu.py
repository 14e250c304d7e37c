"""The processor: model name, stable id, cores and instruction sets."""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

import psutil

from onnxprof.machine.kernel import Machine
from onnxprof.records.device import Device

#: Instruction sets that change the speed of inference, by the system's name and by ours.
FEATURES: Mapping[str, str] = {
    "sse4_2": "sse4.2",
    "avx": "avx",
    "f16c": "f16c",
    "fma": "fma",
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512vnni",
    "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16",
    "avx_vnni": "avxvnni",
    "amx_tile": "amx",
    "amx_int8": "amx-int8",
    "amx_bf16": "amx-bf16",
    "neon": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
}
#: Other spellings of the above: Linux on Arm, macOS.
_SPELLINGS: Mapping[str, str] = {
    "asimd": "neon",
    "sse4.2": "sse4_2",
    "avx1.0": "avx",
    "avx512vnni": "avx512_vnni",
    "advsimd": "neon",
    "feat_fp16": "asimdhp",
    "feat_dotprod": "asimddp",
    "feat_i8mm": "i8mm",
    "feat_bf16": "bf16",
    "feat_sme": "sme",
}
#: Arm's part numbers, as in the Main ID Register (Arm technical reference manuals).
_ARM_PARTS: Mapping[str, str] = {
    "0xd03": "Arm Cortex-A53",
    "0xd07": "Arm Cortex-A57",
    "0xd08": "Arm Cortex-A72",
    "0xd0b": "Arm Cortex-A76",
    "0xd0c": "Arm Neoverse-N1",
    "0xd40": "Arm Neoverse-V1",
    "0xd49": "Arm Neoverse-N2",
    "0xd4f": "Arm Neoverse-V2",
}
#: Parts of a model name that do not name the model.
_NOISE = (
    r"\((r|tm|c)\)",
    r"@.*$",
    r"\bwith radeon.*$",
    r"\b\d+(st|nd|rd|th) gen\b",
    r"\b(\w+|\d+)-core\b",
    r"\b(cpu|apu|processor)\b",
)
# winnt.h: arguments of IsProcessorFeaturePresent.
_WINDOWS_FEATURES: Mapping[str, int] = {
    "neon": 19,
    "sse4_2": 38,
    "avx": 39,
    "avx2": 40,
    "avx512f": 41,
    "asimddp": 43,
}

_CPU0 = "sys/devices/system/cpu/cpu0"


def cpu_device(machine: Machine | None = None) -> Device:
    """This machine's processor, with an id like `cpu:amd-epyc-7763`."""
    given = machine or Machine()
    marketed, flags = _describe(given)
    name = tidy(marketed) or platform.machine() or "unknown"
    return Device(
        id=f"cpu:{slug(name)}",
        kind="cpu",
        name=name,
        memory_bytes=psutil.virtual_memory().total,
        physical_cores=physical_cores(given),
        logical_cores=psutil.cpu_count() or 1,
        features=features(flags),
        base_clock_mhz=base_clock_mhz(given, marketed),
        max_clock_mhz=(given.number(f"{_CPU0}/cpufreq/cpuinfo_max_freq") or 0) // 1000,
    )


def base_clock_mhz(machine: Machine, marketed: str = "") -> int:
    """The nominal clock; 0 if neither the kernel nor the model's name says.

    Linux kernel documentation: intel_pstate (`base_frequency`, kHz), ACPI CPPC (`nominal_freq`,
    MHz). Intel's model names end in it, as `@ 2.90GHz`.
    """
    named = re.search(r"@\s*(\d+(?:\.\d+)?)\s*GHz", marketed, re.IGNORECASE)
    return (
        (machine.number(f"{_CPU0}/cpufreq/base_frequency") or 0) // 1000
        or machine.number(f"{_CPU0}/acpi_cppc/nominal_freq")
        or (round(1000 * float(named[1])) if named else 0)
    )


def tidy(name: str) -> str:
    """A model name without marks, clock rate, core count and the word processor."""
    for pattern in _NOISE:
        name = re.sub(pattern, " ", name, flags=re.IGNORECASE)
    return " ".join(name.split())


def slug(name: str) -> str:
    """Lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def features(flags: Iterable[str]) -> tuple[str, ...]:
    """The instruction sets that matter, in one fixed order."""
    seen = {_SPELLINGS.get(flag.lower(), flag.lower()) for flag in flags}
    return tuple(shown for flag, shown in FEATURES.items() if flag in seen)


def physical_cores(machine: Machine) -> int:
    """Cores, threads of one core counted once."""
    pattern = "sys/devices/system/cpu/cpu[0-9]*/topology/core_cpus_list"
    siblings = set(machine.texts(pattern))
    return len(siblings) or psutil.cpu_count(logical=False) or psutil.cpu_count() or 1


def _describe(machine: Machine) -> tuple[str, list[str]]:
    text = machine.text("proc/cpuinfo")
    if text:
        return from_cpuinfo(text)
    if sys.platform == "darwin":
        return from_sysctl(_sysctl())
    if sys.platform == "win32":
        return _windows()
    return platform.processor(), []


def from_cpuinfo(text: str) -> tuple[str, list[str]]:
    """Model name and flags from the first processor in Linux's `/proc/cpuinfo`."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    part = _ARM_PARTS.get(fields.get("cpu part", "").lower(), "")
    name = fields.get("model name") or part or fields.get("model") or fields.get("hardware", "")
    flags = fields.get("flags") or fields.get("features") or ""
    return name, flags.split()


def from_sysctl(text: str) -> tuple[str, list[str]]:
    """Model name and flags from macOS's `sysctl machdep.cpu hw.optional`."""
    name, flags = "", []
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "machdep.cpu.brand_string":
            name = value
        elif key in ("machdep.cpu.features", "machdep.cpu.leaf7_features"):
            flags += value.split()
        elif key.startswith("hw.optional.") and value.strip() == "1":
            flags.append(key.rpartition(".")[2])
    return name, flags


def _sysctl() -> str:
    command = ["/usr/sbin/sysctl", "machdep.cpu", "hw.optional"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _windows() -> tuple[str, list[str]]:
    if sys.platform != "win32":
        return "", []
    import winreg

    key = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            name = str(winreg.QueryValueEx(opened, "ProcessorNameString")[0])
    except OSError:
        name = platform.processor()
    present = ctypes.windll.kernel32.IsProcessorFeaturePresent
    return name, [flag for flag, number in _WINDOWS_FEATURES.items() if present(number)]
