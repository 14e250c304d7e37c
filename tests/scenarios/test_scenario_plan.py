"""What is refused before anything is loaded, and the command that repeats a scenario."""

from __future__ import annotations

import builtins
import importlib.metadata
from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import mixing_models, models

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.processes.confined import Limits
from onnxprof.records.scenarios.asked import RULES_SAMPLES, Scenario
from onnxprof.records.step import Setup
from onnxprof.scenarios import loadgen
from onnxprof.scenarios.plan import Load, check, confirmed, planned

SERVER = Load(Scenario.SERVER, target_latency_ms=15)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (Load(Scenario.SERVER), "--target-latency MS"),
        (Load(Scenario.OFFLINE, target_latency_ms=3), "--target-latency is for the server"),
        (Load(Scenario.SINGLE_STREAM, rate=3), "--rate is for the server"),
        (Load(Scenario.SINGLE_STREAM, sessions=2), "--sessions 2: a single stream"),
        (Load(Scenario.SINGLE_STREAM, max_batch=2), "--max-batch 2: a single stream"),
        (replace(SERVER, max_wait_ms=2), "--max-wait without --max-batch"),
        (Load(Scenario.OFFLINE, max_wait_ms=2, max_batch=4), "--max-wait is for the server"),
    ],
)
def test_what_does_not_go_together_is_refused(load: Load, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check(load)


@pytest.mark.parametrize("load", [SERVER, *map(Load, set(Scenario) - {Scenario.SERVER})])
def test_each_scenario_needs_no_more_than_its_name(load: Load) -> None:
    check(load)


def test_a_shorter_run_has_fewer_samples() -> None:
    assert Load(Scenario.OFFLINE).samples == RULES_SAMPLES
    assert Load(Scenario.OFFLINE, duration_s=1200).samples == RULES_SAMPLES
    assert Load(Scenario.OFFLINE, duration_s=60).samples == round(RULES_SAMPLES / 10)


def test_without_loadgen_the_extra_and_the_pythons_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "mlperf_loadgen":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(loadgen, "installed_version", absent)
    monkeypatch.setattr(builtins, "__import__", without)
    for ask in (loadgen.version, loadgen.module):
        with pytest.raises(
            UsageError, match=r"onnxprof\[loadgen\].*3\.11 to 3\.13 on Linux x86-64"
        ):
            ask()


def test_a_loadgen_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *rest: object) -> object:
        if name == "mlperf_loadgen":
            raise ImportError("libstdc++ is too old")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(UsageError, match="libstdc"):
        loadgen.module()


@pytest.fixture
def installed() -> None:
    pytest.importorskip("mlperf_loadgen", reason="needs onnxprof[loadgen]")
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def options(path: Path, **changes: object) -> Options:
    return Options((str(path),), **({"threads": 1} | changes))


@pytest.mark.usefixtures("installed")
def test_a_plan_has_a_job_for_each_batch_and_a_command(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path, "lenet.onnx")
    load = replace(SERVER, max_batch=6, max_wait_ms=2, sessions=2, duration_s=5)
    plan = planned(load, options(path, seed=3))
    assert [job.batch for job in plan.jobs] == [1, 2, 4, 6]
    assert plan.asked.threads == 1
    assert plan.asked.is_quick
    for words in (
        "scenario lenet.onnx --scenario server",
        "--sessions 2 --threads 1 --max-batch 6 --duration 5",
        "--target-latency 15 --max-wait 2",
        "--seed 3",
    ):
        assert words in plan.command


@pytest.mark.usefixtures("installed")
def test_a_plan_has_the_settings_of_the_runtime_and_its_command_gives_them(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path, "lenet.onnx")
    load = Load(Scenario.OFFLINE, duration_s=5)
    pairs = (("session.disable_prepacking", "1"),)
    plan = planned(load, options(path, session_options=pairs, optimization_level="basic"))
    assert plan.asked.setup == Setup("basic", pairs)
    words = "--session-option session.disable_prepacking=1 --optimization-level basic"
    assert words in plan.command
    bare = planned(load, options(path, optimization_level="disable"))
    assert bare.asked.setup == Setup("disable")
    assert "--optimization-level disable" in bare.command
    with pytest.raises(UsageError, match="speed"):
        planned(load, options(path, session_options=(("speed", "1"),)))


@pytest.mark.usefixtures("installed")
def test_sessions_share_the_cores_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxprof.scenarios import plan as module

    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    path = models.save(models.lenet(), tmp_path)
    assert planned(replace(SERVER, sessions=3), options(path, threads=0)).asked.threads == 2


@pytest.mark.usefixtures("installed")
def test_a_batch_that_the_model_does_not_have_is_refused_with_the_layer(tmp_path: Path) -> None:
    path = models.save(mixing_models.attention(), tmp_path, "mixing.onnx")
    load = Load(Scenario.OFFLINE, max_batch=2)
    with pytest.raises(UsageError, match=r"mixing.* stays at batch .*--max-batch 1"):
        confirmed(planned(load, options(path)), lambda *_: None)


@pytest.mark.usefixtures("installed")
def test_sessions_that_will_not_fit_are_refused_with_their_figure(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    load = replace(SERVER, sessions=900)
    tight = options(path, limits=Limits(60, 200 << 20))
    with pytest.raises(UsageError, match=r"900 x the model at batches 1 takes some .* GiB"):
        planned(load, tight)
