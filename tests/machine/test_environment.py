"""Facts about the machine, read from recorded kernel texts."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

import pytest

from onnxprof.machine import facts as env
from onnxprof.machine import kernel as machines
from onnxprof.machine.cpu import features, from_cpuinfo, from_sysctl, slug, tidy
from onnxprof.machine.kernel import Machine, cpu_quota, memory_limit, usable_cores

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz
cpu MHz\t\t: 2400.125
flags\t\t: fpu sse4_2 avx f16c fma avx2 hypervisor avx512f avx512_vnni amx_bf16 amx_tile amx_int8

processor\t: 1
model name\t: Something else
"""
GRAVITON = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0c
"""
RASPBERRY = """processor\t: 0
Features\t: fp asimd crc32
CPU part\t: 0xfff

Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""
APPLE = """machdep.cpu.cores_per_package: 10
machdep.cpu.brand_string: Apple M2 Pro
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SME: 0
"""
INTEL_MAC = """machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz
machdep.cpu.features: FPU SSE4.2 AVX1.0 F16C FMA
machdep.cpu.leaf7_features: AVX2 SMEP
"""


def tree(root: Path, **files: str) -> Machine:
    """A root with these files; `__` stands for a slash and `_0_` for a full stop in names."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_0_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return Machine(root, {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763"),
        ("AMD EPYC", "amd-epyc"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel-xeon"),
        ("Intel(R) Xeon(R) Platinum 8488C", "intel-xeon-platinum-8488c"),
        ("13th Gen Intel(R) Core(TM) i7-1365U", "intel-core-i7-1365u"),
        ("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", "intel-core-i7-9750h"),
        ("AMD Ryzen 7 5800U with Radeon Graphics", "amd-ryzen-7-5800u"),
        ("AMD Ryzen 9 7950X 16-Core Processor", "amd-ryzen-9-7950x"),
        ("AMD Phenom(tm) II X4 Quad-Core Processor", "amd-phenom-ii-x4"),
        ("Apple M2 Pro", "apple-m2-pro"),
        ("Intel Xeon Processor (Skylake, IBRS)", "intel-xeon-skylake-ibrs"),
    ],
)
def test_a_processor_has_a_stable_id(name: str, expected: str) -> None:
    assert slug(tidy(name)) == expected


def test_cpuinfo_of_x86() -> None:
    name, flags = from_cpuinfo(XEON)
    assert tidy(name) == "Intel Xeon Platinum 8488C"
    assert features(flags) == (
        *("sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512vnni"),
        *("amx", "amx-int8", "amx-bf16"),
    )


def test_cpuinfo_of_arm_names_the_part_or_the_board() -> None:
    name, flags = from_cpuinfo(GRAVITON)
    assert name == "Arm Neoverse-N1"
    assert features(flags) == ("neon", "fp16", "dotprod")
    assert from_cpuinfo(RASPBERRY)[0] == "Raspberry Pi 5 Model B Rev 1.0"


def test_sysctl_of_macos() -> None:
    name, flags = from_sysctl(APPLE)
    assert name == "Apple M2 Pro"
    assert features(flags) == ("neon", "dotprod", "bf16")
    assert features(from_sysctl(INTEL_MAC)[1]) == ("sse4.2", "avx", "f16c", "fma", "avx2")


def test_the_order_of_features_is_fixed() -> None:
    assert features(["avx2", "avx", "unheard_of", "AVX"]) == ("avx", "avx2")


def test_the_device_of_a_recorded_machine(tmp_path: Path) -> None:
    siblings = {
        f"sys__devices__system__cpu__cpu{i}__topology__core_cpus_list": f"{i % 4},{i % 4 + 4}"
        for i in range(8)
    }
    device = env.cpu_device(tree(tmp_path, proc__cpuinfo=XEON, **siblings))
    assert device.id == "cpu:intel-xeon-platinum-8488c"
    assert device.kind == "cpu"
    assert device.physical_cores == 4
    assert device.memory_bytes > 0


def test_this_machine_has_a_device() -> None:
    device = env.cpu_device()
    assert device == env.cpu_device()
    assert device.id.startswith("cpu:")
    assert 1 <= device.physical_cores <= device.logical_cores


@pytest.mark.parametrize(
    ("text", "expected"), [("150000 100000", 1.5), ("max 100000", None), ("", None), ("5 0", None)]
)
def test_quota_of_version_2(tmp_path: Path, text: str, expected: float | None) -> None:
    machine = tree(tmp_path, proc__self__cgroup="0::/a/b", sys__fs__cgroup__a__cpu_0_max=text)
    assert cpu_quota(machine) == expected


def test_the_tightest_group_wins(tmp_path: Path) -> None:
    machine = tree(
        tmp_path,
        proc__self__cgroup="0::/a/b",
        sys__fs__cgroup__a__cpu_0_max="400000 100000",
        sys__fs__cgroup__a__b__cpu_0_max="800000 100000",
        sys__fs__cgroup__memory_0_max="1073741824",
        sys__fs__cgroup__a__memory_0_max="max",
    )
    assert cpu_quota(machine) == 4
    assert memory_limit(machine) == 1 << 30


def test_quota_of_version_1_in_a_container(tmp_path: Path) -> None:
    machine = tree(
        tmp_path,
        proc__self__cgroup="4:memory:/docker/ab\n1:cpu,cpuacct:/docker/ab\n0::/",
        **{
            "sys__fs__cgroup__cpu,cpuacct__cpu_0_cfs_quota_us": "200000",
            "sys__fs__cgroup__cpu,cpuacct__cpu_0_cfs_period_us": "100000",
            "sys__fs__cgroup__memory__memory_0_limit_in_bytes": "9223372036854771712",
        },
    )
    assert cpu_quota(machine) == 2
    assert memory_limit(machine) is None


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    machine = tree(
        tmp_path,
        proc__self__cgroup="1:cpu:/",
        sys__fs__cgroup__cpu__cpu_0_cfs_quota_us="-1",
        sys__fs__cgroup__cpu__cpu_0_cfs_period_us="100000",
    )
    assert cpu_quota(machine) is None


@pytest.mark.parametrize(
    ("cores", "quota", "expected"),
    [(8, "max 100000", 8), (8, "350000 100000", 3), (2, "900000 100000", 2), (4, "50 100", 1)],
)
def test_usable_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, quota: str, expected: int
) -> None:
    monkeypatch.setattr(machines, "affinity", lambda: cores)
    machine = tree(tmp_path, proc__self__cgroup="0::/", sys__fs__cgroup__cpu_0_max=quota)
    assert usable_cores(machine) == expected


def test_affinity_of_this_process() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_facts_of_a_recorded_machine(tmp_path: Path) -> None:
    machine = tree(
        tmp_path,
        etc__os_0_release="",
        proc__cpuinfo=XEON,
        sys__devices__system__cpu__cpufreq__policy0__scaling_governor="performance",
        sys__devices__system__cpu__cpufreq__policy1__scaling_governor="powersave",
        sys__devices__system__cpu__cpu0__cpufreq__scaling_cur_freq="3100000",
        sys__devices__system__cpu__intel_pstate__no_turbo="1",
        sys__devices__system__cpu__cpu0__cache__index0__level="1",
        sys__devices__system__cpu__cpu0__cache__index0__type="Data",
        sys__devices__system__cpu__cpu0__cache__index0__size="48K",
        sys__kernel__mm__transparent_hugepage__enabled="always [madvise] never",
        sys__class__dmi__id__sys_vendor="Amazon EC2",
    )
    facts = dict(env.environment(machine))
    assert facts["cpu"] == "Intel Xeon Platinum 8488C"
    assert facts["cpu.governor"] == "performance, powersave"
    assert facts["cpu.frequency"] == "3100 MHz"
    assert facts["cpu.turbo"] == "off"
    assert facts["cpu.caches"] == "L1 48K"
    assert facts["memory.huge_pages"] == "madvise"
    assert facts["hypervisor"] == "Amazon EC2"
    assert "cpu.max_frequency" not in facts


def test_os_release_names_the_system(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian 12 (bookworm)"\n')
    assert dict(env.environment(Machine(tmp_path, {})))["os"] == "Debian 12 (bookworm)"


def test_facts_of_this_machine() -> None:
    facts = dict(env.environment())
    assert {"os", "kernel", "python", "cpu", "cpu.usable_cores", "memory.total"} <= set(facts)
    assert facts["onnx"][0].isdigit()
    assert all(isinstance(value, str) and value for value in facts.values())
    assert len({fact.key for fact in env.FACTS}) == len(env.FACTS)


def test_variables_that_bear_on_speed_are_listed_and_no_others(tmp_path: Path) -> None:
    variables = {
        "OMP_NUM_THREADS": "4",
        "ORT_DISABLE_X": "1",
        "LD_PRELOAD": "/home/zaphod/lib/jemalloc.so",
        "CUDA_HOME": "/home/zaphod/cuda",
        "ORT_API_TOKEN": "hush",
        "HOME": "/home/zaphod",
        "HOSTNAME": "heartofgold",
    }
    facts = dict(env.environment(Machine(tmp_path, variables)))
    shown = {key: value for key, value in facts.items() if key.startswith("env.")}
    assert shown == {
        "env.LD_PRELOAD": "(set)",
        "env.OMP_NUM_THREADS": "4",
        "env.ORT_DISABLE_X": "1",
    }


def test_no_fact_is_a_path_or_names_host_or_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "heartofgold")
    monkeypatch.setenv("USER", "zaphod")
    values = [value for _, value in env.environment()]
    assert not [value for value in values if value.startswith(("/", "\\\\"))]
    assert not [value for value in values if str(Path.home()) in value]
    assert not {"heartofgold", "zaphod", getpass.getuser(), os.uname().nodename} & set(values)


def test_no_other_program_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("Linux only")
    monkeypatch.setattr("subprocess.Popen", None)
    assert env.environment()
    assert env.cpu_device()
