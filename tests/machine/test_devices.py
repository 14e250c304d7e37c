"""Devices: one id whatever the backend, with clocks, driver and cores."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from support import nvml_stub
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.commands.doctor import doctor
from onnxprof.cli.commands.stored.compare import compare
from onnxprof.errors import BackendError, UsageError
from onnxprof.jobs.options import Options, command_line
from onnxprof.jobs.sweep import plan
from onnxprof.machine.cpu import base_clock_mhz, cpu_device
from onnxprof.machine.gpus import Gpus, cuda_devices
from onnxprof.machine.kernel import Machine
from onnxprof.plugins import registry
from onnxprof.plugins.placement import pick_devices
from onnxprof.plugins.registry import Plugin
from onnxprof.publish.text.device import device_text
from onnxprof.records.device import Availability, Device
from onnxprof.testing import FakeBackend

#: `onnxprof.doctor` is the function of that name.
diagnose = import_module("onnxprof.doctor")

LIST = """
import json
from onnxprof.machine.gpus import cuda_devices
from onnxprof.store.encoding import to_json
print(json.dumps(to_json(cuda_devices())))
"""
COMPLETED = """
import json
from onnxprof.machine.gpus import completed
from onnxprof.records.run import Device
from onnxprof.store.encoding import to_json
device = Device("cuda:0:nvidia-l4", "cuda", "NVIDIA L4", 1, 58, features=("sm_89",))
print(json.dumps(to_json(completed(device))))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an NVML of two GPUs."""
    return nvml_stub.build(tmp_path_factory.mktemp("nvml"))


def ids(found: Any) -> list[str]:
    return [device["id"] for device in found["devices"]]


def test_gpus_are_listed_with_their_facts(stub: Path) -> None:
    found = nvml_stub.ask(stub, LIST)
    assert ids(found) == ["cuda:0:nvidia-h200", "cuda:1:nvidia-l4"]
    assert found["reason"] == ""
    assert found["devices"][0] == {
        "id": "cuda:0:nvidia-h200",
        "kind": "cuda",
        "name": "NVIDIA H200",
        "memory_bytes": 141 << 30,
        "physical_cores": 132,
        "logical_cores": 16896,
        "features": ["sm_90"],
        "driver": "580.95.05",
        "base_clock_mhz": 0,  # this stub does not tell, as most GPUs do not
        "max_clock_mhz": 1980,
        "memory_clock_mhz": 3201,
    }


def test_free_memory_is_the_drivers_word(stub: Path) -> None:
    code = "from onnxprof.machine.gpus import free_bytes; print(free_bytes({!r}) or 0)"
    assert nvml_stub.ask(stub, code.format("cuda:0:nvidia-h200")) == 140 << 30
    assert nvml_stub.ask(stub, code.format("cuda:9:nvidia-t4")) == 0
    assert nvml_stub.ask(stub, code.format("cuda:0"), STUB_NO_DRIVER="1") == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1,0", ["cuda:0:nvidia-l4", "cuda:1:nvidia-h200"]),
        ("GPU-bbbb", ["cuda:0:nvidia-l4"]),
        ("0,7,1", ["cuda:0:nvidia-h200"]),  # CUDA ends the list at what is none
        ("", []),
        ("-1", []),
        ("GPU-", []),  # begins the name of both
        ("MIG-aaaa", []),
    ],
)
def test_they_are_numbered_as_cuda_numbers_them(
    stub: Path, visible: str, expected: list[str]
) -> None:
    found = nvml_stub.ask(stub, LIST, CUDA_VISIBLE_DEVICES=visible)
    assert ids(found) == expected
    assert bool(found["reason"]) != bool(expected)


def test_a_driver_that_is_not_loaded_is_a_reason(stub: Path) -> None:
    found = nvml_stub.ask(stub, LIST, STUB_NO_DRIVER="1")
    assert found == {"devices": [], "reason": "no NVIDIA driver answers: Driver Not Loaded"}


def test_a_gpu_that_is_gone_is_a_reason(stub: Path) -> None:
    code = "import pynvml as n; n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0)\n"
    code += "try: n.nvmlDeviceGetClockInfo(h, 1)\nexcept n.NVMLError: pass\n" + LIST
    assert "GPU is lost" in nvml_stub.ask(stub, code, STUB_LOST_AFTER="1")["reason"]


def test_a_runtimes_device_is_completed_by_name_where_its_number_is_another(stub: Path) -> None:
    found = nvml_stub.ask(stub, COMPLETED)
    assert found["driver"] == "580.95.05"
    assert found["logical_cores"] == 7424
    assert (found["id"], found["memory_bytes"], found["physical_cores"]) == (
        *("cuda:0:nvidia-l4", 1, 58),
    )


def test_without_a_driver_a_runtimes_device_stays_as_it_is(stub: Path) -> None:
    assert nvml_stub.ask(stub, COMPLETED, STUB_NO_DRIVER="1")["driver"] == ""


def test_this_machine_lists_gpus_or_says_why_not() -> None:
    found = cuda_devices()
    assert bool(found.devices) != bool(found.reason)


def write(root: Path, files: dict[str, str]) -> Machine:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Machine(root)


CPU0 = "sys/devices/system/cpu/cpu0"


@pytest.mark.parametrize(
    ("files", "marketed", "expected"),
    [
        ({f"{CPU0}/cpufreq/base_frequency": "2900000\n"}, "x @ 1.00GHz", 2900),
        ({f"{CPU0}/acpi_cppc/nominal_freq": "2450\n"}, "AMD EPYC 7763", 2450),
        ({}, "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 2900),
        ({f"{CPU0}/cpufreq/base_frequency": "unknown"}, "AMD EPYC 7763", 0),
    ],
)
def test_the_base_clock_of_a_processor(
    tmp_path: Path, files: dict[str, str], marketed: str, expected: int
) -> None:
    assert base_clock_mhz(write(tmp_path, files), marketed) == expected


def test_a_processor_has_its_clocks(tmp_path: Path) -> None:
    machine = write(
        tmp_path,
        {
            "proc/cpuinfo": "model name : Intel(R) Xeon(R) CPU @ 2.90GHz\n",
            f"{CPU0}/cpufreq/cpuinfo_max_freq": "3500000",
        },
    )
    device = cpu_device(machine)
    assert (device.id, device.base_clock_mhz, device.max_clock_mhz) == (
        *("cpu:intel-xeon", 2900, 3500),
    )


class Several(FakeBackend):
    """A runtime with a CPU and two GPUs."""

    def devices(self) -> tuple[Device, ...]:
        gpus = (Device(f"cuda:{i}:nvidia-l4", "cuda", "NVIDIA L4") for i in range(2))
        return (*FakeBackend().devices(), *gpus)

    def kind_of(self, provider: str) -> str:
        known = {"openvino": "cpu", "tensorrt": "cuda", "cpu": "cpu", "cuda": "cuda"}
        return known.get(provider, "")


class Bare(FakeBackend):
    """A runtime without a device."""

    def devices(self) -> tuple[Device, ...]:
        return ()


def test_all_devices_are_those_of_the_backend_in_its_order() -> None:
    assert [d.id for d in pick_devices(Several(), "all")] == [
        *("cpu:fake", "cuda:0:nvidia-l4", "cuda:1:nvidia-l4"),
    ]
    assert [d.id for d in pick_devices(Several(), "cuda")] == ["cuda:0:nvidia-l4"]
    assert [d.id for d in pick_devices(Several(), "cuda:1:nvidia-l4")] == ["cuda:1:nvidia-l4"]


def test_all_devices_are_those_that_the_provider_runs_on() -> None:
    found = {p: [d.kind for d in pick_devices(Several(), "all", p)] for p in PROVIDED}
    assert found == PROVIDED
    assert {p: pick_devices(Several(), "", p)[0].kind for p in PROVIDED} == {
        p: kinds[0] for p, kinds in PROVIDED.items()
    }


def test_a_provider_without_its_device_is_an_error() -> None:
    class Few(Several):
        def devices(self) -> tuple[Device, ...]:
            return FakeBackend().devices()

    for wanted in ("all", ""):
        with pytest.raises(BackendError, match="has no device 'cuda'"):
            pick_devices(Few(), wanted, "tensorrt")


def test_a_provider_called_like_a_device_is_that_device() -> None:
    class Silent(FakeBackend):
        def availability(self) -> tuple[Availability, ...]:
            cuda = Availability(self.name, "cuda", False, "no driver", "Install one")
            return (*super().availability(), cuda)

    assert pick_devices(Silent(), "", "cpu")[0].kind == "cpu"
    assert pick_devices(Silent(), "", "fast")[0].kind == "cpu"
    with pytest.raises(BackendError, match="no driver"):
        pick_devices(Silent(), "", "cuda")


PROVIDED = {
    "": ["cpu", "cuda", "cuda"],
    "compile": ["cpu", "cuda", "cuda"],
    "openvino": ["cpu"],
    "cpu": ["cpu"],
    "cuda": ["cuda", "cuda"],
    "tensorrt": ["cuda", "cuda"],
}


@pytest.mark.parametrize("wanted", ["all", "", "npu"])
def test_no_device_is_an_error(wanted: str) -> None:
    with pytest.raises(BackendError, match="has no device"):
        pick_devices(Bare(), wanted)


def test_all_devices_are_planned_one_after_another_each_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "backend", lambda name: Several())
    path = models.save(models.lenet(), tmp_path)
    jobs = plan(Options((str(path),), batches=(1, 2), device="all"))
    assert [(job.device.id, job.batch) for job in jobs] == [
        *(("cpu:fake", 1), ("cpu:fake", 2)),
        *(("cuda:0:nvidia-l4", 1), ("cuda:0:nvidia-l4", 2)),
        *(("cuda:1:nvidia-l4", 1), ("cuda:1:nvidia-l4", 2)),
    ]
    assert [job.provider for job in jobs[::2]] == ["cpu", "cuda", "cuda"]
    assert all(f"--device {job.device.id} " in job.command for job in jobs)


def test_two_models_are_not_compared_on_all_devices(tmp_path: Path) -> None:
    path = str(models.save(models.lenet(), tmp_path))
    with pytest.raises(UsageError, match="on one device"):
        compare(path, path, device="all")


def test_the_command_that_measures_again_says_what_was_left_out() -> None:
    assert "telemetry" not in command_line(Options(("m",)))
    bare = Options(("m",), device="cuda:1:nvidia-l4", telemetry=False)
    assert command_line(bare).endswith("--no-telemetry")
    assert "--device cuda:1:nvidia-l4" in command_line(bare)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (
            Device("c", "cpu", "AMD EPYC 7763", 8 << 30, 64, 128, ("avx2", "fma"), "", 2450, 3500),
            "AMD EPYC 7763, 64 cores, 128 threads, 2450 to 3500 MHz, 8.0 GiB, avx2 fma",
        ),
        (
            Device("g", "cuda", "L4", 0, 58, 7424, ("sm_89",), "580.95", 0, 2040, 6251),
            "L4, 58 multiprocessors, 7,424 CUDA cores, up to 2040 MHz, memory up to 6251 MHz, "
            "sm_89, driver 580.95",
        ),
        (Device("x", "npu", "NPU", physical_cores=1, base_clock_mhz=900), "NPU, 1 core, 900 MHz"),
    ],
)
def test_a_device_in_words(device: Device, expected: str) -> None:
    assert device_text(device) == expected


def plugin(backend: FakeBackend) -> Plugin[Any]:
    return Plugin(backend.name, "x:Y", "x 1", backend)


class Raising(FakeBackend):
    """Breaks the promise never to raise."""

    def devices(self) -> tuple[Device, ...]:
        raise OSError("libfoo.so")


def test_doctor_lists_each_device_once_with_who_runs_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = (Several(name="several"), FakeBackend(), Raising(name="raising"))
    monkeypatch.setattr(diagnose, "backends", lambda: {b.name: plugin(b) for b in loaded})
    lone = Device("cuda:7:nvidia-h200", "cuda", "NVIDIA H200")
    monkeypatch.setattr(diagnose, "cuda_devices", lambda: Gpus((lone,)))
    app = typer.Typer()
    app.command()(doctor)
    told = json.loads(CliRunner().invoke(app, ["--format", "json"]).stdout)
    users = {seen["device"]["id"]: seen["backends"] for seen in told["devices"]}
    assert users == {
        "cpu:fake": ["several", "fake"],
        "cuda:0:nvidia-l4": ["several"],
        "cuda:1:nvidia-l4": ["several"],
        "cuda:7:nvidia-h200": [],
    }
    text = CliRunner().invoke(app, []).stdout
    assert "used by several, fake" in text
    assert "used by no backend" in text


def test_doctor_says_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "cuda_devices", lambda: Gpus(reason="no driver"))
    app = typer.Typer()
    app.command()(doctor)
    assert "none: no driver" in CliRunner().invoke(app, []).stdout
