"""Power, clocks and memory of a GPU beside a steady stretch: from a stub of NVML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import nvml_stub

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
