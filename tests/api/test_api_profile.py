"""`op.profile`: measured in processes of its own, from scripts and notebooks alike."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.cli.main import app
from onnxprof.errors import (
    BackendError,
    ModelError,
    OnnxprofError,
    StoreError,
    UsageError,
)
from onnxprof.store.folder import load_all
from onnxprof.sweeps.command import one_line

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
QUICK: op.Measuring = {"threads": 1, "budget": 0.05, "verify": False, "parity": False}


@pytest.fixture
def lenet(tmp_path: Path) -> Path:
    return models.save(models.lenet(), tmp_path, "lenet.onnx")


def test_runs_live_in_memory_where_no_store_is_named(
    lenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    runs = op.profile(lenet, batches=(1, 2), progress=False, **QUICK)
    assert [run.request.batch for run in runs] == [1, 2]
    assert all(run.timings is not None for run in runs)
    assert sorted(tmp_path.iterdir()) == before
    assert not runs.failures
    assert "--budget 0.05" in runs[0].command
    assert runs[0].model.reference == "lenet.onnx"


def test_runs_of_a_store_are_those_that_the_command_shows(lenet: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    runs = op.profile(lenet, batches=(1, 2), store=store, progress=False, **QUICK)
    stored, problems = load_all([store])
    assert not problems
    assert [run.created for run in stored] == [run.created for run in runs]
    assert op.load(store).to_csv() == runs.to_csv()
    result = CliRunner().invoke(
        app, ["runs", "export", "--store", str(store)], standalone_mode=False
    )
    assert result.stdout_bytes.decode() == runs.to_csv()


def test_the_text_is_that_of_the_command(lenet: Path, tmp_path: Path) -> None:
    words = ["profile", str(lenet), "--batch", "1,2", "--store", str(tmp_path / "runs")]
    words += ["--threads", "1", "--budget", "0.05", "--no-verify", "--no-parity"]
    done = inside(*words)
    assert done.code == 0, done.err
    assert op.load(tmp_path / "runs").table() == done.out


def test_the_document_of_the_command_has_the_same_runs(lenet: Path, tmp_path: Path) -> None:
    words = ["profile", str(lenet), str(tmp_path / "gone.onnx"), "--batch", "1", "--json"]
    words += ["--store", str(tmp_path / "runs"), "--threads", "1", "--budget", "0.05"]
    words += ["--no-verify", "--no-parity"]
    done = inside(*words)
    assert done.code == 2, done.err
    told = json.loads(done.out)
    assert told["schema"] == "onnxprof.profile/1"
    [run] = told["runs"]
    assert Path(run["path"]).is_file()
    assert [failure["model"] for failure in told["failures"]] == ["gone"]
    [again] = op.load(tmp_path / "runs").latency_ms
    assert run["median_ms"] == again


SCRIPT = """
import onnxprof as op

print("begins")
runs = op.profile({model!r}, threads=1, budget=0.05, batches=(1, 2), processes={processes})
print(len(runs), op.inspect({model!r}).parameters, len(op.cost({model!r}).layers))
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_script_needs_no_guard(processes: int, lenet: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(model=str(lenet), processes=processes))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "begins\n2 5994 12\n", "the script ran once"
    assert "Traceback" not in done.stderr


def test_a_script_that_is_piped_in_works(lenet: Path) -> None:
    text = SCRIPT.format(model=str(lenet), processes=1)
    done = subprocess.run([sys.executable], input=text, capture_output=True, text=True, check=False)
    assert done.stdout == "begins\n2 5994 12\n", done.stderr


def test_an_event_loop_that_runs_is_no_obstacle(lenet: Path) -> None:
    async def cell() -> int:
        return len(op.profile(lenet, progress=False, **QUICK))

    assert asyncio.run(cell()) == 1


def test_another_thread_than_the_main_one_may_measure(lenet: Path) -> None:
    found: list[op.Runs] = []

    def work() -> None:
        found.append(op.profile(lenet, progress=False, **QUICK))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found[0]) == 1


def test_a_model_in_memory_is_measured_under_its_name() -> None:
    made = models.lenet()
    made.graph.name = "mine"
    [run] = op.profile(made, progress=False, **QUICK)
    assert run.request.model_name == "mine"
    assert "mine.onnx" in run.command


def test_progress_is_on_stderr_or_nowhere(lenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    op.profile(lenet, progress=False, **QUICK)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    op.profile(lenet, batches=(1, 2), **QUICK)
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert [line.rpartition(" (")[2] for line in lines] == ["1 of 2)", "2 of 2)"]
    assert all(line.startswith("onnxprof: lenet, batch") for line in lines)
    assert "\r" not in told.err


def test_what_takes_long_is_announced_once(
    lenet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_line, "_WORTH_SAYING_S", 0.1)
    op.profile(lenet, batches=(1, 2), **QUICK)
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("onnxprof: 2 measurements: up to ")
    assert "s in all, with loading and checks" in first
    assert len(others) == 2


def test_one_model_of_two_fails_and_the_other_is_measured(lenet: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.warns(RuntimeWarning, match="bad at batch 1") as told:
        runs = op.profile([bad, lenet], progress=False, **QUICK)
    assert told[0].filename == __file__
    assert [run.request.model_name for run in runs] == ["lenet"]
    [failure] = runs.failures
    assert (failure.model, failure.batch) == ("bad", 1)
    assert failure.reason


def test_where_nothing_is_measured_the_error_is_raised(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.raises(ModelError):
        op.profile(bad, progress=False, **QUICK)


def test_a_measurement_that_takes_too_long_is_an_error(lenet: Path) -> None:
    with pytest.raises(OnnxprofError, match="stopped after 1 s"):
        op.profile(lenet, progress=False, threads=1, budget=60.0, timeout=1.0)


def test_what_cannot_begin_is_refused_at_once(lenet: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        op.profile([lenet, tmp_path / "gone.onnx"], progress=False, **QUICK)
    with pytest.raises(UsageError, match="no model is given"):
        op.profile([], progress=False)
    with pytest.raises(UsageError, match="there is no option 'thread'"):
        op.profile(lenet, thread=1)  # type: ignore[call-arg]
    with pytest.raises((UsageError, BackendError), match="tvm"):
        op.profile(lenet, backend="tvm", progress=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a store is a folder"):
        op.profile(lenet, store=tmp_path / "file", progress=False, **QUICK)


def test_a_model_that_keeps_its_batch_is_measured_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = models.save(models.class_token(), tmp_path)
    runs = op.profile(path, batches=(1, 8), **QUICK)
    assert [run.request.batch for run in runs] == [1]
    assert "stays at batch 1" in capsys.readouterr().err


def test_nothing_is_warned_of_where_all_is_well(lenet: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op.profile(lenet, progress=False, **QUICK)
