"""`onnxprof runs`, on a store of scripted runs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
import weakref
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.runs.ceilings import ceilings
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.stored.runs import app
from onnxprof.errors import StoreError, UsageError
from onnxprof.publish.tables import timings
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store import parquet
from onnxprof.store.beside.ceilings import save
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

SHORT = ("--format", "json", "--store")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def good(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 8):
        store.save(sample_run("resnet50", batch, created=f"2026-01-0{batch}T03:04:05Z"))
    warned = (RunWarning(WarningKind.FEW_SAMPLES, 3),)
    other = sample_run("lenet", backend="ort", created="2026-02-01T00:00:00Z")
    store.save(dataclasses.replace(other, warnings=warned))
    lost = sample_run("lenet", 64, created="2026-01-05T00:00:00Z")
    store.save(dataclasses.replace(lost, timings=None, failure="killed at 2 GiB"))
    return store.root


def test_list(root: Path) -> None:
    text = good("list", "--store", root).stdout
    places = [text.index(part) for part in ("lenet, fake", "resnet50, fake", "lenet, ort")]
    assert places == sorted(places)
    assert "failed: killed at 2 GiB" in text
    assert max(map(len, text.splitlines())) <= 80


def test_list_tells_providers_apart(tmp_path: Path) -> None:
    run = sample_run("lenet", device="cuda:0:nvidia-h200", backend="ort")
    for provider in ("cuda", "tensorrt"):
        asked = dataclasses.replace(run.request, provider=provider)
        Store(tmp_path).save(dataclasses.replace(run, request=asked))
    text = good("list", "--store", tmp_path).stdout
    assert "lenet, ort on cuda:0:nvidia-h200" in text
    assert "lenet, ort (tensorrt) on cuda:0:nvidia-h200" in text


def test_list_filters(root: Path) -> None:
    text = good("list", "--store", root, "--model", "RES", "--batch", "1,2").stdout
    assert text.count("2026-01-") == 1
    assert "lenet" not in text
    for backends in (["--backend", "ort,nope"], ["--backend", "nope", "--backend", "ort"]):
        text = good("list", "--store", root, *backends).stdout
        assert "lenet, ort" in text
        assert "resnet50" not in text


def test_show_and_export_take_folders_and_filters_hold_for_ids(root: Path) -> None:
    inside = root / "resnet50"
    shown = good("show", inside)
    assert "2 runs match" in shown.stderr
    assert "resnet50, batch 8" in shown.stdout
    rows = list(csv.DictReader(io.StringIO(good("export", inside, "--batch", "1").stdout)))
    assert {row["batch"] for row in rows} == {"1"}
    [name] = {e["id"] for e in json.loads(good("list", *SHORT, root).stdout) if e["batch"] == 8}
    assert isinstance(run("show", name, "--store", root, "--batch", "1").exception, UsageError)


def test_list_for_programs(root: Path) -> None:
    listed = json.loads(good("list", "--store", root, "--format", "json").stdout)
    assert [entry["batch"] for entry in listed] == [1, 64, 8, 1]
    assert listed[1]["failure"] == "killed at 2 GiB"
    assert listed[3]["warnings"] == ["few_samples"]
    text = good("list", "--store", root, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == [entry["id"] for entry in listed]
    assert all(Path(row["path"]).is_file() for row in rows)


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    result = good("list", "--store", tmp_path, "--format", "json")
    assert result.stdout == "[]\n"
    assert "onnxprof profile MODEL" in result.stderr


@pytest.mark.parametrize("command", ["list", "show", "export"])
def test_nothing_matching_is_bad_use(root: Path, command: str) -> None:
    result = run(command, "--store", root, "--model", "nope")
    assert isinstance(result.exception, UsageError)
    assert "none has the model nope. There is: lenet, resnet50" in str(result.exception)
    assert result.exception.exit_code == 2


def test_batches_must_be_numbers(root: Path) -> None:
    assert isinstance(run("list", "--store", root, "--batch", "x").exception, UsageError)


def test_the_store_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_STORE", str(root))
    assert "lenet" in good("list").stdout


def test_stores_add_up(root: Path, tmp_path: Path) -> None:
    Store(tmp_path / "more").save(sample_run("elsewhere"))
    text = good("list", "--store", root, "--store", tmp_path / "more").stdout
    assert "elsewhere" in text
    assert "lenet" in text


def test_unreadable_files_are_told_and_passed_over(root: Path) -> None:
    for i in range(7):
        (root / f"bad{i}.parquet").write_bytes(b"no")
    result = good("list", "--store", root)
    assert "resnet50" in result.stdout
    assert result.stderr.count("skipped") == 6
    assert "2 more files" in result.stderr


def test_show_the_newest_that_matches(root: Path) -> None:
    result = good("show", "--store", root)
    assert "4 runs match" in result.stderr
    assert "lenet, batch 1, ort on Fake CPU, 2 threads" in result.stdout
    assert "3 steps add up to" in result.stdout
    assert "Only 3 un-profiled inferences" in result.stdout
    assert "python" in result.stdout
    assert "(total)" in result.stdout


def test_show_by_id_and_by_path(root: Path) -> None:
    listed = json.loads(good("list", "--store", root, "--format", "json").stdout)
    by_id = good("show", listed[2]["id"], "--store", root, "--all")
    assert "resnet50, batch 8" in by_id.stdout
    assert by_id.stderr.startswith("note: there are no ceilings yet; onnxprof ceilings")
    by_path = good("show", listed[2]["path"], "--all")
    assert by_path.stdout == by_id.stdout
    assert "14.327932" in by_id.stdout
    assert isinstance(run("show", root / "absent.parquet").exception, StoreError)


def test_show_and_export_say_what_bounds_a_step(root: Path) -> None:
    known = dataclasses.replace(ceilings(), environment=())
    save(root, known)
    listed = json.loads(good("list", "--store", root, "--format", "json").stdout)
    shown = good("show", listed[2]["path"])  # its own store is looked into
    assert "why" in shown.stdout
    assert "overhead" in shown.stdout
    assert "Least possible on this machine" in shown.stdout
    assert shown.stderr == ""
    rows = list(csv.DictReader(io.StringIO(good("export", "--store", root).stdout)))
    assert {row["bound"] for row in rows} == {"", "compute", "overhead"}


def test_show_by_scope_and_by_operator_adds_up_to_the_latency(root: Path) -> None:
    of_lenet = ("show", "--store", root, "--model", "lenet", "--backend", "ort")
    by_scope = good(*of_lenet, "--by", "scope").stdout
    assert "lenet, batch 1, ort on Fake CPU, 2 threads" in by_scope
    assert "   conv_0 + relu_1" in by_scope
    assert max(map(len, by_scope.splitlines())) <= 80
    by_operator = good(*of_lenet, "--by", "operator", "--all").stdout
    for shown in (by_scope, by_operator):
        times = [line.split()[-4:] for line in shown.splitlines() if line.startswith(" (")]
        assert any("2.204969" in cells for cells in times), "the total, as everywhere"
    assert "Gemm" in by_operator
    failed = run("show", "--store", root, "--batch", "64", "--by", "scope")
    assert isinstance(failed.exception, StoreError)
    assert "killed at 2 GiB" in str(failed.exception)


def test_show_a_failed_run(root: Path) -> None:
    assert "failed: killed at 2 GiB" in good("show", "--store", root, "--batch", "64").stdout


def test_export_csv(root: Path, tmp_path: Path) -> None:
    result = good("export", "--store", root)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["layer_name"] for row in rows].count("(total)") == 3
    assert "1 failed run" in result.stderr
    good("export", "--store", root, "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == result.stdout_bytes


def test_export_takes_the_format_from_the_name(root: Path, tmp_path: Path) -> None:
    good("export", "--store", root, "-o", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 27
    good("export", "--store", root, "-o", tmp_path / "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text())["runs"]) == 4


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_export_holds_a_few_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    for batch in range(1, 41):
        Store(tmp_path / "runs").save(sample_run("lenet", batch))
    alive: list[weakref.ref[object]] = []
    most, read = 0, parquet.read_run

    def counted(path: Path) -> Run:
        nonlocal most
        loaded = read(path)
        alive.append(weakref.ref(loaded.timings.latency_ns))
        most = max(most, sum(ref() is not None for ref in alive))
        return loaded

    monkeypatch.setattr(parquet, "read_run", counted)
    good("export", "--store", tmp_path / "runs", "-o", tmp_path / f"out.{ending}")
    assert len(alive) == 40
    assert most <= 20


def test_parquet_has_a_row_group_for_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timings, "_GROUP_ROWS", 20)
    runs = [sample_run("lenet", batch) for batch in range(1, 6)]
    file = pq.ParquetFile(io.BytesIO(timings.timing_parquet(runs)))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [27, 18]
    assert file.read() == timings.timing_table(runs)
    assert pq.read_table(io.BytesIO(timings.timing_parquet([]))) == timings.timing_table([])


def test_an_export_that_fails_leaves_the_file_that_was_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.csv"
    output.write_text("before")

    def damaged(path: Path) -> Run:
        raise StoreError("cannot be read", where=str(path))

    monkeypatch.setattr(parquet, "read_run", damaged)
    assert isinstance(run("export", "--store", root, "-o", output).exception, StoreError)
    assert output.read_text() == "before"
    assert not list(tmp_path.glob(".*.tmp"))


def test_export_to_where_nothing_can_be_written(root: Path, tmp_path: Path) -> None:
    result = run("export", "--store", root, "-o", tmp_path)
    assert isinstance(result.exception, UsageError)


def test_importing_the_command_is_cheap() -> None:
    code = "import sys, onnxprof.cli.commands.stored.runs; print([m for m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"'pyarrow'", "'scipy'", "'numpy'"} & set(loaded.stdout.strip("[]\n").split(", "))
