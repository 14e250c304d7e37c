"""`--json` of every command: one document by its schema on stdout, and nothing else there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.habits.commands import Done, called, inside
from support.habits.documents import checked
from support.networks import models
from support.runs.advised import alone
from support.runs.ceilings import ceilings
from support.runs.scenarios import scenario_run

from onnxprof.publish.json.every import DOCUMENTS
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.store.beside import ceilings as stored_ceilings
from onnxprof.store.beside import scenarios as stored_scenarios
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

Call = Callable[..., Done]
NODES = [
    ("stem/conv", "Conv", ("x", "wconv")),
    ("stem/norm", "BatchNormalization", ("stem/conv", "ws", "wb", "wm", "wv")),
]


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    return lambda *words: called(capsysbinary, *words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of two systems at three sizes, one that failed, ceilings, loads, and a model."""
    store = Store(tmp_path / "runs")
    for backend, scale in (("ort", 1.0), ("torch", 1.4)):
        for batch in (1, 2, 8):
            run = sample_run("net", batch, backend=backend, scale=scale, seed=batch)
            store.save(run)
    lost = sample_run("net", 64, backend="ort", created="2026-01-01T00:00:00Z")
    store.save(dataclasses.replace(lost, timings=None, failure="killed at 2 GiB"))
    store.save(alone(NODES, (5, 2), model_name="advised"))
    stored_ceilings.save(store.root, ceilings())
    for scenario in Scenario:
        stored_scenarios.save(store.root, scenario_run(scenario))
    stored_scenarios.save(store.root, scenario_run(answer=None, failure="it crashed"))
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "name", "code"),
    [
        ("inspect lenet.onnx --batch 1,8", "inspect", 0),
        ("inspect lenet.onnx --cost", "inspect-cost", 0),
        ("inspect lenet.onnx --alive", "inspect-alive", 0),
        ("inspect lenet.onnx --cost --symbolic", "inspect-symbolic", 0),
        ("runs list", "runs-list", 0),
        ("runs list --store nowhere", "runs-list", 0),
        ("runs show --model net --backend ort --batch 8", "run", 0),
        ("runs show --model net --batch 1 --by scope", "run", 0),
        ("runs show --model net --batch 1 --by operator", "run", 0),
        ("runs show --model net --batch 64", "run", 0),
        ("compare runs/net/cpu_fake/ort runs/net/cpu_fake/torch --force", "compare", 1),
        ("align --model net --batch 1", "align", 0),
        ("align --model net --over batch", "align-over-batches", 0),
        ("align --model net --backend ort --over batch", "scaling", 0),
        ("scaling --model net", "scaling", 0),
        ("advise runs/advised", "advise", 0),
        ("optimized runs/advised", "optimized", 0),
        ("ceilings --list", "ceilings-list", 0),
        ("scenarios list", "scenarios", 0),
        ("scenarios show", "scenarios", 0),
        ("scenarios matrix", "scenarios", 0),
        ("sweep status", "sweep-status", 0),
        ("zoo list", "zoo-list", 0),
        ("zoo info lenet", "zoo-info", 0),
        ("runs history net", "runs-history", 0),
    ],
)
def test_stdout_is_one_document(words: str, name: str, code: int, folder: Path, call: Call) -> None:
    words = words.replace("runs/net/cpu_fake/", f"{next((folder / 'runs' / 'net').iterdir())}/")
    done = call(*words.split(), "--json")
    assert done.code == code, done.err
    assert checked(done.out, name)


@pytest.mark.parametrize(
    "words",
    ["inspect lenet.onnx", "runs show --model net --batch 1", "align --model net --batch 1"],
)
def test_a_document_goes_to_a_file_as_it_goes_to_stdout(
    words: str, folder: Path, call: Call
) -> None:
    done = call(*words.split(), "--json", "-o", "x.json")
    assert (done.code, done.out) == (0, "")
    assert (folder / "x.json").read_text() == call(*words.split(), "--json").out


def test_sweep_prints_a_document_a_line(folder: Path, call: Call) -> None:
    (folder / "plan.toml").write_text(
        '[[models]]\nname = "lenet.onnx"\n[defaults]\nbatch = [1, 2]\n'
    )
    done = call("sweep", "plan.toml", "--dry-run", "--json")
    assert done.code == 0, done.err
    events = [checked(line, "sweep-event") for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["planned", "foreseen", "foreseen"]
    assert events[1]["seconds"] is None or events[1]["seconds"] > 0


def test_a_site_says_what_it_made(folder: Path, call: Call) -> None:
    pytest.importorskip("jinja2", reason="needs onnxprof[site]")
    done = call("site", "build", "--store", "runs", "--out", "public", "--json")
    assert done.code == 0, done.err
    document = checked(done.out, "site-build")
    assert document["models"] == 2
    assert Path(document["index"]).is_file()


def test_a_report_says_what_it_holds(folder: Path, call: Call) -> None:
    pytest.importorskip("jinja2", reason="needs onnxprof[site]")
    Store(folder / "runs").save(sample_run("net", 1, backend="ort", created="2027-01-01T00:00:00Z"))
    done = call("report", "runs", "--json")
    assert done.code == 0, done.err
    document = checked(done.out, "report")
    assert (document["models"], document["runs"]) == (2, 8)
    assert (document["failed"], document["earlier"]) == (1, 1)
    assert Path(document["path"]).stat().st_size == document["bytes"]
    told = call("report", "runs").out.splitlines()[0]
    assert told.startswith("2 models, 8 runs (1 failed) and 1 earlier one of a request, ")


def test_a_history_has_every_run_with_what_it_is_against(folder: Path, call: Call) -> None:
    store = Store(folder / "later")
    for day, scale in (("01", 1.0), ("02", 1.5)):
        store.save(sample_run("net", scale=scale, created=f"2026-01-{day}T00:00:00Z"))
    lost = sample_run("net", created="2026-01-03T00:00:00Z")
    store.save(dataclasses.replace(lost, timings=None, failure="killed at 2 GiB"))
    words = ("runs", "history", "net", "--store", "later", "--json")
    [asked] = checked(call(*words).out, "runs-history")["requests"]
    first, second, third = asked["runs"]
    assert (asked["count"], first["against"]) == (3, None)
    assert second["against"]["created"] == "2026-01-01T00:00:00Z"
    assert second["against"]["verdict"] == "slower"
    assert second["against"]["ratio"] == pytest.approx(1.5, rel=0.05)
    assert (third["outcome"], third["reason"]) == ("failed", "killed at 2 GiB")
    assert (third["median_ms"], third["against"]) == (None, None)
    [short] = checked(call(*words, "--limit", "1").out, "runs-history")["requests"]
    assert (short["count"], len(short["runs"])) == (3, 1)


def test_doctor_has_what_it_prints(folder: Path, call: Call) -> None:
    (folder / "onnxprof.toml").write_text("[profile]\nthreads = 2\n")
    done = call("doctor", "--json")
    document = checked(done.out, "doctor")
    assert done.code == int(not document["works"])
    assert document["config_file"] == str(folder / "onnxprof.toml")
    assert call("doctor", "--format", "json").out.splitlines()[:3] == done.out.splitlines()[:3]


def test_what_was_not_measured_is_null(folder: Path, call: Call) -> None:
    listed = json.loads(call("runs", "list", "--json", "--batch", "64").out)["runs"]
    assert [run["failure"] for run in listed] == ["killed at 2 GiB"]
    assert {listed[0][name] for name in ("median_ms", "low_ms", "layer_sum_ms", "grade")} == {None}
    shown = json.loads(call("runs", "show", "--model", "net", "--batch", "64", "--json").out)
    assert (shown["sums"], shown["rows"], shown["roofline"]) == (None, [], None)
    found = json.loads(call("zoo", "list", "--json").out)["networks"]
    figures = [network["published"]["macs"] for network in found]
    assert None in figures
    assert 0 not in figures
    [failed] = [
        run for run in json.loads(call("scenarios", "list", "--json").out)["runs"] if run["failure"]
    ]
    assert {failed[name] for name in ("valid", "p50_ms", "percentile_ms", "queries")} == {None}


def test_rows_of_a_document_add_up(folder: Path, call: Call) -> None:
    words = ("runs", "show", "--model", "net", "--backend", "ort", "--batch", "1", "--json")
    document = json.loads(call(*words).out)
    sums, rows = document["sums"], document["rows"]
    times = {row["status"]: 0.0 for row in rows}
    for row in rows:
        times[row["status"]] += row["median_ms"] or 0.0
    parts = sums["layers_ms"] + sums["no_layer_ms"] + (sums["interruptions_ms"] or 0.0)
    assert parts + sums["overhead_ms"] == pytest.approx(sums["total_ms"])
    assert times["total"] == pytest.approx(sums["total_ms"])
    assert document["run"]["median_ms"] == pytest.approx(sums["total_ms"])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("runs show nothing-like-this --json", "nothing-like-this"),
        ("inspect none.onnx --json", "there is no such file"),
        ("inspect lenet.onnx --json --format csv", "--json and --format csv"),
        ("inspect lenet.onnx --json -o x.csv", "--json and the ending .csv"),
        ("inspect lenet.onnx --json --layout classic", "--json has all columns"),
        ("zoo list --json --format csv", "--json and --format csv"),
        ("runs list --json --format csv", "--json and --format csv"),
        ("inspect --json", "Missing argument"),
        ("runs list --json --mdel x", "--mdel"),
        ("nonsense --json", "nonsense"),
        ("compare runs none.onnx --json", "one is a model, the other a run"),
    ],
)
def test_an_error_leaves_a_document_and_goes_to_stderr(
    words: str, what: str, folder: Path, call: Call
) -> None:
    done = call(*words.split())
    assert done.code == 2
    document = checked(done.out, "error")
    assert document["exit_code"] == 2
    told = document["error"]
    assert what in " ".join((told["where"], told["what"]))
    assert done.err.startswith("onnxprof: ")
    assert told["what"] in done.err
    assert list(folder.glob("x.*")) == []


def test_without_json_an_error_leaves_stdout_empty(folder: Path, call: Call) -> None:
    assert call("inspect", "none.onnx").out == ""


def test_formats_that_were_lists_still_are(folder: Path, call: Call) -> None:
    for words in ("runs list", "zoo list", "scaling --model net", "advise runs/advised"):
        found = json.loads(call(*words.split(), "--format", "json").out)
        assert isinstance(found, list), words
    table = json.loads(call("inspect", "lenet.onnx", "--format", "json").out)
    assert table["batch"] == 1
    two = json.loads(call("inspect", "lenet.onnx", "--batch", "1,2", "--format", "json").out)
    assert [each["batch"] for each in two] == [1, 2]


def test_measuring_commands_print_documents(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    common = ("--threads", "1", "--budget", "0.05", "--json")
    done = inside("provenance", "lenet.onnx", *common, folder=tmp_path)
    assert done.code == 0, done.err
    assert checked(done.out, "provenance")["verified_share"] > 0.5
    (tmp_path / "plan.toml").write_text(
        '[[models]]\nname = ["lenet.onnx", "none.onnx"]\n[defaults]\nbudget = 0.05\nthreads = 1\n'
    )
    done = inside("sweep", "plan.toml", "--json", folder=tmp_path)
    assert done.code == 2, "a model is missing"
    events = [checked(line, "sweep-event")["event"] for line in done.out.splitlines()]
    assert (events[0], events[-1]) == ("planned", "ended")
    assert "finished" in events
    status = inside("sweep", "status", "--json", folder=tmp_path)
    assert [each["state"] for each in checked(status.out, "sweep-status")["sweeps"]] == ["ended"]


def test_a_measurement_says_what_it_stored_and_what_it_did_not(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    common = ("--batch", "1,2", "--threads", "1", "--budget", "0.05", "--json")
    done = inside("profile", "lenet.onnx", "none.onnx", *common, folder=tmp_path)
    assert done.code == 2, "a model is missing"
    document = checked(done.out, "profile")
    assert [run["batch"] for run in document["runs"]] == [1, 2]
    paths = [run["path"] for run in document["runs"]]
    assert all((tmp_path / path).is_file() for path in paths)
    assert set(document["warnings"]) == set(paths)
    lost = [(failure["model"], failure["batch"]) for failure in document["failures"]]
    assert lost == [("none", 1), ("none", 2)]
    assert "there is no such file" in document["failures"][0]["reason"]
    assert all(run["median_ms"] > 0 for run in document["runs"])
    listed = json.loads(inside("runs", "list", "--json", folder=tmp_path).out)["runs"]
    assert [run["id"] for run in listed] == [run["id"] for run in document["runs"]]


@pytest.mark.parametrize("name", ["runs-list", "error"])
def test_schema_prints_what_is_shipped(name: str, call: Call) -> None:
    done = call("schema", name)
    assert json.loads(done.out) == DOCUMENTS[name].schema
    assert set(DOCUMENTS) == {line.split()[0] for line in call("schema").out.splitlines()}
    assert "Did you mean runs-list?" in call("schema", "run-list").err
