"""`--backend A,B` in one command: tasks for each, what applies to whom, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from support.networks import models

from onnxprof.errors import BackendError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.store.folder import load_all
from onnxprof.sweeps.command.one_line import announcement, backend_names, remarks, tasks_of

PLUGIN = """
from onnxprof.testing import FakeBackend

class Plain(FakeBackend):
    def __init__(self):
        super().__init__(name="plain")

class Turbo(FakeBackend):
    def __init__(self):
        super().__init__(name="turbo")

    def providers(self):
        return ("boost",)
"""
POINTS = """
    [onnxprof.backends]
    plain = several_plugin:Plain
    turbo = several_plugin:Turbo
    broken = a_plugin_nobody_has:Backend
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and three backends, of which one cannot be loaded."""
    (tmp_path / "several_plugin.py").write_text(PLUGIN)
    info = tmp_path / "several-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: several\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(dedent(POINTS))
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    monkeypatch.delitem(sys.modules, "several_plugin", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("onnxprof.sweeps.command.one_line.start_server", lambda *_: None)
    return tmp_path


def asked(backend: str, **changes) -> Options:
    given = {"models": ("a.onnx", "b.onnx"), "batches": (1, 8), "backend": backend} | changes
    return Options(**given)


def who(options: Options) -> list[tuple[str, str, str]]:
    return [(t.model, t.options.backend, t.options.provider) for t in tasks_of(options)]


@pytest.mark.parametrize(
    ("text", "names"),
    [("ort", ("ort",)), ("ort,torch", ("ort", "torch")), ("torch, ort,torch", ("torch", "ort"))],
)
def test_names_in_the_order_given_each_once(text: str, names: tuple[str, ...]) -> None:
    assert backend_names(text) == names


@pytest.mark.parametrize("text", ["", "ort,", ",", "ort,,torch"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="empty item"):
        backend_names(text)


@pytest.mark.usefixtures("folder")
def test_model_by_model_each_backend_in_turn() -> None:
    assert who(asked("turbo,plain")) == [
        *(("a.onnx", "turbo", ""), ("a.onnx", "plain", "")),
        *(("b.onnx", "turbo", ""), ("b.onnx", "plain", "")),
    ]


@pytest.mark.usefixtures("folder")
def test_a_backend_that_does_not_load_keeps_none_from_running() -> None:
    assert [name for _, name, _ in who(asked("broken,plain", models=("a.onnx",)))] == [
        "broken",
        "plain",
    ]
    with pytest.raises(BackendError, match="backend broken"):
        tasks_of(asked("broken"))


@pytest.mark.usefixtures("folder")
def test_a_name_that_nobody_registered_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="no backend is called 'plian'"):
        tasks_of(asked("plian,turbo"))


@pytest.mark.usefixtures("folder")
def test_a_provider_is_for_those_that_have_it() -> None:
    options = asked("plain,turbo", models=("a.onnx",), provider="boost")
    tasks = tasks_of(options)
    assert [task.options.provider for task in tasks] == ["", "boost"]
    assert list(remarks(tasks, options)) == [
        "plain has no provider 'boost': --provider is for the other backends"
    ]
    whole = asked("plain,turbo", provider="cpu")
    assert list(remarks(tasks_of(whole), whole)) == []
    with pytest.raises(UsageError, match="none of plain, turbo has a provider 'warp'"):
        tasks_of(asked("plain,turbo", provider="warp"))


@pytest.mark.usefixtures("folder")
def test_a_device_that_one_lacks_is_its_failure_alone() -> None:
    tasks = tasks_of(asked("plain,turbo", models=("a.onnx",), device="cuda"))
    assert [task.device_id for task in tasks] == ["", ""]


@pytest.mark.usefixtures("folder")
def test_what_is_announced_counts_every_measurement() -> None:
    text = announcement(tasks_of(asked("plain,turbo", budget=Budget(10.0))))
    assert text.startswith("8 measurements: up to 10 s of sampling each; some ")
    one = asked("plain", models=("a.onnx",), batches=(1,), duration=30.0, streams=2)
    assert announcement(tasks_of(one)).startswith(
        "the measurement: 30 s of sampling at least, then 2 at a time; some "
    )
    assert announcement(tasks_of(asked("plain", iterations=10**6))) == ""
    short = asked("plain", models=("a.onnx",), batches=(1,), budget=Budget(0.1))
    assert announcement(tasks_of(short)) == ""


def profile(folder: Path, *arguments: str) -> tuple[int, str, str]:
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "onnxprof", "profile", "lenet.onnx", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_two_runtimes_and_one_that_is_not_there(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    quick = ("--batch", "1", "--budget", "0.2", "--threads", "1", "--no-telemetry")
    code, out, err = profile(folder, "--backend", "ort,broken,openvino", *quick)
    assert code == 2
    assert "backend broken: ModuleNotFoundError: No module named 'a_plugin_nobody_has'" in err
    assert "2 runs stored in runs; 1 failed" in err
    assert out.index("lenet, batch 1, ort") < out.index("lenet, batch 1, openvino")
    assert "lenet: openvino against ort, batch by batch" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    runs, problems = load_all([folder / "runs"])
    assert not problems
    assert {run.request.backend for run in runs} == {"ort", "openvino"}
    assert {"--backend ort " in run.command for run in runs} == {True, False}
