"""`onnxprof align`, on scripted runs and on a model measured here."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.stored.align import align
from onnxprof.errors import StoreError, UsageError
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

app = typer.Typer()
app.command()(align)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def done(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result


def refused(*arguments: str | Path, words: str, kind: type[Exception] = UsageError) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind), result.exception
    assert words in str(result.exception)
    assert result.stdout == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two systems at batches 1 and 8, one of them measured twice; one failed; another model."""
    store = Store(tmp_path / "runs")
    store.save(sample_run("net", scale=9.0, backend="ort", created="2026-01-01T00:00:00Z"))
    for batch in (1, 8):
        store.save(sample_run("net", batch, backend="ort"))
        store.save(sample_run("net", batch, backend="torch", scale=2.0, fused=False, seed=1))
    broken = sample_run("net", backend="tvm")
    store.save(dataclasses.replace(broken, timings=None, failure="it broke"))
    other = sample_run("other", batch=4, backend="ort")
    table = dataclasses.replace(other.table, layers=other.table.layers[:-1])
    asked = dataclasses.replace(other.request, model_sha256="cd" * 32)
    store.save(dataclasses.replace(other, table=table, request=asked))
    return store.root


def test_the_newest_of_each_system_of_a_folder(folder: Path) -> None:
    result = done(folder, "--model", "net", "--batch", "1")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("net, batch 1, Fake CPU, 2 threads, 1 process: 2 runs, 2 blocks")
    assert max(map(len, lines)) <= 80
    assert "conv_0 … " in result.stdout or "conv_0 +1" in result.stdout
    assert "2.67▲" in next(line for line in lines if line.startswith(" (median)"))
    assert "1 run without times" in result.stderr


def test_a_store_needs_no_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_STORE", str(folder))
    assert "2 runs" in done("--model", "net", "--batch", "1").stdout
    refused("--model", "nothing", words="no stored run matches")


def test_several_batches_and_models_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    refused(folder, "--model", "net", words="batch differs: 1, 8")
    refused(folder, words="not the same model: 1 layers are in one")
    refused(folder, "--model", "other", words="1 run to align, two are needed")
    refused(folder, "--model", "tvm*", words="no stored run matches")
    refused(folder, "--backend", "tvm", words="1 run without times and no other match: it broke")
    refused(tmp_path / "gone.parquet", folder, words="gone.parquet", kind=StoreError)
    refused("0123456789ab", words="no stored run matches")


def test_files_and_ids_in_the_order_given(folder: Path) -> None:
    files = {path.parent.name: path for path in folder.rglob("net/**/b0001*")}
    told = json.loads(done(files["torch"], files["ort"], "--format", "json").stdout)
    assert [column["label"] for column in told["columns"]] == ["torch", "ort"]
    ids = [request_digest(sample_run("net", backend=name).request) for name in ("torch", "ort")]
    told = json.loads(done(*ids, "--store", folder, "--format", "json").stdout)
    assert [column["label"] for column in told["columns"]] == ["torch", "ort"]
    assert told["columns"][1]["total_ns"] < 4e6  # the newest, not the slow one
    refused(files["torch"], files["tvm"], words="it broke", kind=StoreError)
    refused(files["torch"], files["torch"], words="1 run to align")


def test_backends_in_the_order_asked_for_and_a_baseline_by_name(folder: Path) -> None:
    chosen = (folder, "--model", "net", "--batch", "1", "--format", "json")
    told = json.loads(done(*chosen, "--backend", "torch,ort").stdout)
    assert [column["label"] for column in told["columns"]] == ["torch", "ort"]
    for name in ("2", "torch", "TOR"):
        told = json.loads(done(*chosen, "--baseline", name).stdout)
        assert told["baseline"] == [c["label"] for c in told["columns"]].index("torch")
    refused(*chosen, "--baseline", "tvm", words="'tvm' is no column")
    refused(*chosen, "--baseline", "3", words="'3' is no column")
    refused(folder, "--baseline", "tvm", words="'tvm' is no column")
    both = [folder / p.relative_to(folder) for p in folder.rglob("net/**/ort/b0001*")]
    refused(*both, "--baseline", "or", words="'or' is several columns")


def test_batch_by_batch(folder: Path, tmp_path: Path) -> None:
    text = done(folder, "--model", "net", "--over", "batch").stdout
    assert text.startswith("net: torch against ort, batch by batch")
    assert max(map(len, text.splitlines())) <= 80
    assert "Speed-up of torch, layer by layer" in text
    turned = done(folder, "--model", "net", "--over", "batch", "--baseline", "torch").stdout
    assert turned.startswith("net: ort against torch")
    target = tmp_path / "batches.csv"
    done(folder, "--model", "net", "--over", "batch", "-o", target)
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    assert [row["batch"] for row in rows if not row["layers"]] == ["1", "1", "8", "8"]
    gains = [
        float(r["speedup_percent"]) for r in rows if r["system"] == "torch" and not r["layers"]
    ]
    assert all(-70 < gain < -50 for gain in gains)
    for form in ("json", "md"):
        assert done(folder, "--model", "net", "--over", "batch", "--format", form).stdout
    alone = done(folder, "--model", "net", "--over", "batch", "--backend", "ort").stdout
    assert alone.startswith("net on ort"), "one system is scaled"


def test_formats_by_the_name_of_the_file(folder: Path, tmp_path: Path) -> None:
    for name, start in (("a.md", "**net"), ("a.csv", "row,"), ("a.json", "{"), ("a.txt", "net,")):
        target = tmp_path / name
        assert done(folder, "--model", "net", "--batch", "8", "-o", target).stdout == ""
        assert target.read_text("utf-8").startswith(start)
    refused(folder, "--model", "net", "--batch", "8", "-o", tmp_path / "no" / "x", words="written")


def test_order_and_choice_of_blocks(folder: Path) -> None:
    chosen = (folder, "--model", "net", "--batch", "1", "--sort", "ratio")
    assert "(1 more)" in done(*chosen, "--limit", "1").stdout
    assert "more)" not in done(*chosen, "--limit", "1", "--all").stdout
    assert "(2 more)" in done(*chosen, "--min-share", "0.99").stdout


def test_models_that_differ_only_by_force(folder: Path) -> None:
    store = Store(folder)
    other = sample_run("net2", backend="torch")
    table = dataclasses.replace(other.table, layers=other.table.layers[:-1])
    asked = dataclasses.replace(other.request, model_sha256="ef" * 32)
    path = store.save(dataclasses.replace(other, table=table, request=asked))
    first = next(folder.rglob("net/**/ort/b0001*"))
    refused(first, path, words="not the same model")
    assert "torch: another model file than" in done(first, path, "--force").stdout


def test_a_terminal_with_room_shows_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = done(folder, "--model", "net", "--batch", "1").stdout
    monkeypatch.setenv("COLUMNS", "140")
    wide = done(folder, "--model", "net", "--batch", "1").stdout
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines())) <= 140
    assert "█" in wide


def test_as_a_process_with_real_runs_of_two_granularities(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = models.save(models.lenet(), tmp_path)
    store = str(tmp_path / "runs")
    main = [sys.executable, "-m", "onnxprof"]
    for kind in ("executed", "written"):
        measure = ["profile", str(model), "--budget", "0.2", "--batch", "1", "--store", store]
        subprocess.run([*main, *measure, "--granularity", kind], check=True, capture_output=True)
    result = subprocess.run(
        [*main, "align", store, "--format", "json"], capture_output=True, text=True, check=True
    )
    told = json.loads(result.stdout)
    assert [column["label"] for column in told["columns"]] == ["ort executed", "ort written"]
    assert told["blocks"]
    bad = subprocess.run(
        [*main, "align", store, "--baseline", "9"], capture_output=True, text=True, check=False
    )
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("onnxprof: --baseline '9' is no column")
