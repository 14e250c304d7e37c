"""`onnxprof advise`, on scripted runs and on a model that is measured and rewritten here."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from onnx import numpy_helper
from support.networks import models
from support.runs.advised import alone
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.profile import profile
from onnxprof.cli.commands.reasons.advise import advise
from onnxprof.cli.output import plain_text
from onnxprof.errors import ModelError, UsageError
from onnxprof.publish.reasons import advice as tables
from onnxprof.reasons.advice.advise import advise as advice_of
from onnxprof.reasons.advice.applied import Applied, Measured
from onnxprof.records.run import Run
from onnxprof.store.folder import Store

app = typer.Typer()
app.command()(advise)
NODES = [
    ("stem/conv", "Conv", ("x", "wconv")),
    ("stem/norm", "BatchNormalization", ("stem/conv", "ws", "wb", "wm", "wv")),
    ("stem/relu", "Relu", ("stem/norm",)),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def planted(**changes) -> Run:
    return alone(NODES, (5, 2, 1), model_name="net", **changes)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place = Store(tmp_path / "store")
    place.save(planted())
    return place.root


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_the_table_has_the_largest_gain_first_and_fits_in_80_columns(store: Path) -> None:
    done = run(store, "--store", store)
    assert done.exception is None, done.exception
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("net on fake, Fake CPU, 2 threads, batch 1: 8.")
    norm = next(n for n, line in enumerate(lines) if "× BatchNormalization behind Conv" in line)
    relu = next(n for n, line in enumerate(lines) if "× Relu behind Conv" in line)
    assert norm < relu
    text = " ".join(" ".join(lines).split())
    assert "their gains do not add up" in text
    assert "--apply OUT.onnx makes those marked so" in text
    assert "there are no ceilings yet" in done.stderr


def test_formats_follow_the_file(store: Path, tmp_path: Path) -> None:
    for name, start in (("a.csv", "model,backend"), ("a.md", "**net"), ("a.txt", "net on fake")):
        assert run(store, "--store", store, "-o", tmp_path / name).exception is None
        assert (tmp_path / name).read_text().startswith(start)


def test_json_and_csv_have_all_figures(store: Path) -> None:
    [document] = json.loads(run(store, "--store", store, "--format", "json").stdout)
    first, second = document["findings"]
    assert first["rule"] == "unfused-batchnorm"
    assert first["layers"] == ["stem/norm"]
    assert first["steps"] == ["1 BatchNormalization"]
    assert first["gain"]["low_ns"] < first["gain"]["expected_ns"] < first["gain"]["high_ns"]
    assert second["rewrite"] is None
    assert document["rewritable"] == first["gain"]
    text = run(store, "--store", store, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["rule"] for row in rows] == ["unfused-batchnorm", "unfused-activation"]
    assert float(rows[0]["gain_low_ms"]) == pytest.approx(first["gain"]["low_ns"] / 1e6, abs=1e-6)


def test_other_runs_of_the_store_are_evidence(store: Path) -> None:
    mine = next(Store(store).paths())
    slow = planted()
    assert slow.timings is not None
    halved = {
        name: (getattr(slow.timings, name) * 0.5).astype(np.int64)
        for name in ("latency_ns", "step_ns", "traced_ns")
    }
    fast = replace(
        slow,
        timings=replace(slow.timings, **halved),
        request=replace(slow.request, backend="swift"),
    )
    Store(store).save(fast)
    done = run(mine, "--store", store)
    assert "swift runs the network in 50 % of the time" in " ".join(done.stdout.split())
    assert "swift runs" not in run(mine, "--store", store / "nowhere").stdout


def test_names_of_a_model_cannot_move_the_cursor(tmp_path: Path) -> None:
    hostile = "a\x1b[2J\u202eb|<script>"
    nodes = [(hostile, "Conv", ("x", "w")), ("norm", "BatchNormalization", (hostile, "w", "w"))]
    slow = alone(nodes, (1, 1), model_name=hostile)
    Store(tmp_path).save(slow)
    assert slow.timings is not None
    fast = replace(slow.timings, latency_ns=slow.timings.latency_ns // 2)
    asked = replace(slow.request, backend=f"b{hostile}")
    Store(tmp_path).save(replace(slow, timings=fast, request=asked))
    for kind in ("table", "md", "json", "csv"):
        text = run(tmp_path, "--store", tmp_path, "--format", kind).stdout
        assert "faster-runtime" in text or "runs the network in" in " ".join(text.split())
        assert "\x1b[2J" not in text
        assert "\u202e" not in text
    assert "<script>" not in run(tmp_path, "--store", tmp_path, "--format", "md").stdout


def test_what_was_not_found_is_said(tmp_path: Path) -> None:
    Store(tmp_path).save(alone(NODES[:1], (5,), model_name="net"))
    assert "Nothing found." in run(tmp_path, "--store", tmp_path).stdout
    error = run(tmp_path, "--store", tmp_path, "--apply", tmp_path / "o.onnx").exception
    assert isinstance(error, UsageError)
    assert "no finding has a safe rewrite" in str(error)


def test_small_findings_alone_are_said_to_be_small() -> None:
    made = advice_of(planted())
    small = replace(made, total_ns=made.total_ns * 10**6)
    assert small.large == ()
    text = " ".join(plain_text(tables.table(small)).split())
    assert f"Nothing gains 0.2 % or more; {len(made.findings)} small ones with --all." in text


@pytest.mark.parametrize(
    ("target", "what"), [("out.bin", "End it in .onnx"), ("no/out.onnx", "there is no folder")]
)
def test_a_bad_target_is_refused_first(store: Path, target: str, what: str) -> None:
    error = run(store, "--store", store, "--apply", store / target).exception
    assert isinstance(error, UsageError)
    assert what in str(error)


def test_several_runs_cannot_be_applied(store: Path) -> None:
    Store(store).save(planted(batch=4))
    error = run(store, "--store", store, "--apply", store / "o.onnx").exception
    assert isinstance(error, UsageError)
    assert "one run, 2 are named" in str(error)


def network(folder: Path) -> Path:
    ones = numpy_helper.from_array(np.ones(4, np.float32), "var")
    names = ("scale", "shift", "mean")
    weights = [models.weight("w", 4, 3, 3, 3), *(models.weight(n, 4) for n in names), ones]
    nodes = [
        models.node("Conv", ["x", "w"], ["conv"], "conv", pads=[1, 1, 1, 1]),
        models.node("BatchNormalization", ["conv", *names, "var"], ["norm"], "norm"),
        models.node("Relu", ["norm"], ["y"], "relu"),
    ]
    inputs, outputs = [models.value("x", ["N", 3, 16, 16])], [models.value("y", ["N", 4, 16, 16])]
    return models.save(models.model(nodes, inputs, outputs, weights), folder)


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, Path]:
    """A model, and a store with one run of it in which each layer is a step."""
    path, place = network(tmp_path), tmp_path / "store"
    command = typer.Typer()
    command.command()(profile)
    words = [path, "--batch", 2, "--budget", 0.05, "--threads", 1, "--granularity", "written"]
    words += ["--store", place, "--quiet", "--no-telemetry"]
    done = CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)
    assert done.exit_code == 0, done.exception
    return path, place


def test_advice_is_applied_and_measured(measured: tuple[Path, Path], tmp_path: Path) -> None:
    path, place = measured
    target = tmp_path / "out.onnx"
    words = [place, "--store", place, "--model", path, "--apply", target, "--budget", 0.05]
    done = run(*words, "--processes", 2, "--format", "json")
    assert done.exception is None, done.exception
    applied = json.loads(done.stdout)[0]["applied"]
    assert applied["operators"] == [["BatchNormalization", 1, 0]]
    assert applied["checks"] == 2
    low, high = applied["predicted"]
    assert 0 <= low < high
    ours = applied["measured"]
    assert ours["part"] == pytest.approx(1 - ours["after_ns"] / ours["before_ns"], abs=0.5)
    assert applied["is_inside"] == (low <= ours["part"] <= high)
    assert target.is_file()
    assert [one.name for one in tmp_path.glob(".out*")] == []


def test_nothing_is_measured_without_a_budget(measured: tuple[Path, Path], tmp_path: Path) -> None:
    path, place = measured
    target = tmp_path / "out.onnx"
    done = run(place, "--store", place, "--model", path, "--apply", target, "--budget", 0)
    assert done.exception is None, done.exception
    text = " ".join(done.stdout.split())
    assert "BatchNormalization 1 → 0" in text
    assert "Predicted gain:" in text
    assert "Measured" not in text


def test_the_model_of_the_run_is_needed(measured: tuple[Path, Path], tmp_path: Path) -> None:
    path, place = measured
    words = [place, "--store", place, "--apply", tmp_path / "out.onnx"]
    error = run(*words).exception
    assert isinstance(error, UsageError)
    assert "Give the file with --model" in str(error)
    error = run(*words[:-1], path, "--model", path).exception
    assert isinstance(error, UsageError)
    assert "is the model itself" in str(error)
    other = models.save(models.lenet(), tmp_path, "other.onnx")
    error = run(*words, "--model", other).exception
    assert isinstance(error, ModelError)
    assert "another file than the run's" in str(error)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("part", "interval", "words"),
    [
        (0.07, (0.06, 0.08), "; inside the predicted interval."),
        (0.10, (0.03, 0.16), "outside of the predicted interval, though both intervals overlap."),
        (0.20, (0.19, 0.21), "; outside of the predicted interval."),
    ],
)
def test_predicted_stands_beside_measured(part: float, interval, words: str) -> None:
    measured = Measured(50e6, 50e6 * (1 - part), part, interval, "faster")
    done = Applied("o.onnx", (("Relu", 2, 1),), 1e-6, 2, 1000, (0.06, 0.08), measured)
    *_, predicted, last = tables.applied_lines(done)
    assert predicted == "Predicted gain: 6.0 % to 8.0 % of the latency."
    assert last.endswith(words)
