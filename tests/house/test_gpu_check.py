"""benchmarks/gpu_check.py, as far as a machine without a GPU can try it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from support import nvml_stub
from support.places import ROOT

from onnxprof.records.device import Availability
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.testing import sample_run

FOLDER = ROOT / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return loaded("gpu_check")


def check(program: ModuleType, out: Path, **options: object):
    given = {"networks": ("zoo:lenet",), "batches": "1", "provider": "cpu", "budget": 0.1}
    return program.Check(out=out, ends=time.monotonic() + 60, **(given | options))


def test_all_of_it_runs_through_on_a_drivers_stub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    driver = nvml_stub.build(tmp_path / "driver")
    environ = nvml_stub.environ(driver, ONNXPROF_LOCKS=str(tmp_path / "locks"))
    command = [
        sys.executable,
        str(FOLDER / "gpu_check.py"),
        "--out",
        str(tmp_path / "out"),
        "--provider",
        "cpu",
    ]
    command += ["--networks", "zoo:lenet", "--batches", "1", "--budget", "0.1"]
    # A busy machine is no fault of a part's.
    command += ["--seconds", "3600", "--patience", "60"]
    command += ["--parts", "devices,kernels,ort,prefix,tensorrt,site"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    report = {each["part"]: each for each in json.loads((tmp_path / "out/report.json").read_text())}
    states = {name: each["state"] for name, each in report.items()}
    assert states == {
        "devices": "passed", "kernels": "skipped", "ort": "passed", "prefix": "passed",
        "tensorrt": "skipped", "site": "passed",
    }  # fmt: skip
    assert report["devices"]["figures"]["devices"].startswith("cuda:0:nvidia-h200")
    assert report["ort"]["figures"]["good runs"] == 1
    assert report["site"]["figures"]["pages"] > 1
    assert (tmp_path / "out/report.md").read_text().count("\n") == len(report) + 2


def test_no_time_left_skips_what_remains(program: ModuleType, tmp_path: Path) -> None:
    late = check(program, tmp_path)
    late.ends = time.monotonic()
    assert program.perform("ort", late).state == "skipped"


def test_a_part_that_breaks_is_reported_and_no_more(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(program, "PARTS", {"broken": (broken, 9.0)})
    outcome = program.perform("broken", check(program, tmp_path))
    assert (outcome.state, outcome.reason) == ("failed", "ZeroDivisionError: by zero")


def test_a_command_that_never_ends_is_ended(program: ModuleType, tmp_path: Path) -> None:
    short = check(program, tmp_path)
    short.limit = time.monotonic() + 1
    with pytest.raises(program.Failure, match="took longer than 1 s"):
        short.program("-c", "import time; time.sleep(60)")


def test_what_is_wrong_with_runs_is_named(program: ModuleType, tmp_path: Path) -> None:
    good = sample_run()
    program.judge(check(program, tmp_path), [good])
    wrong = replace(good, parity=Parity("the CPU", (OutputParity("y", passed=False),)))
    for runs, message in (
        ([], "nothing was measured"),
        ([good, wrong], "1 of 2 give wrong outputs: sample at batch 1"),
        ([replace(good, timings=None, failure="out of memory")], "1 of 1 failed: .*out of memory"),
    ):
        with pytest.raises(program.Failure, match=message):
            program.judge(check(program, tmp_path), runs)
    with pytest.raises(program.Failure, match="neither power nor clocks"):
        program.judge(check(program, tmp_path, provider="cuda"), [good])


def test_a_backend_that_does_not_work_here_is_skipped_with_its_reason(
    program: ModuleType, tmp_path: Path
) -> None:
    asked = check(program, tmp_path)
    state = Availability("mine", "cuda:0:a", False, "the driver is too old")
    names = ("backend", "device", "usable", "detail")
    asked.told = {"backends": [{name: getattr(state, name) for name in names}]}
    with pytest.raises(program.Skip, match="the driver is too old"):
        asked.works("mine", "cuda")


def test_wheels_are_those_of_this_environment() -> None:
    wanted = dict(loaded("gpu_wheels").closure(("pytest", "a-package-that-nobody-made")))
    assert {"pytest", "pluggy", "iniconfig"} <= set(wanted)
    assert wanted["pytest"] == pytest.__version__
