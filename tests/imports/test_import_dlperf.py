"""Runs made of published tables: lower bounds that say so, whose totals are the files'."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import models
from support.places import DATA
from support.published import dlperf_clone
from support.published.dlperf_clone import NEVER, ROWS, TOTAL_NS, sheet
from support.runs.imported_runs import invoke, refused

from onnxprof.analysis.grades import grade
from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.compare.align import align
from onnxprof.compare.systems import newest, refuse_unlike, system
from onnxprof.imports.dlperf import sheets, tables
from onnxprof.imports.dlperf.folder import MAX_BYTES, Damaged
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.publish.tables import layers
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.publish.text.sentences import reconciliation_text
from onnxprof.publish.text.warnings import warning_texts
from onnxprof.records.run import Run
from onnxprof.store.folder import load, scan
from onnxprof.testing import sample_run


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return dlperf_clone.clone(tmp_path / "dlperf")


def imported(clone: Path, store: Path) -> list[Run]:
    done = invoke("--dlperf", str(clone), "--store", str(store))
    assert done.exit_code == 0, done.output
    found, problems = scan([store])
    assert not problems
    return [load(summary.path) for summary in found]


def one(clone: Path, store: Path, device: str = "Tesla K80", batch: int = 1) -> Run:
    [run] = [
        run
        for run in imported(clone, store)
        if run.device.name == device and run.request.batch == batch
    ]
    return run


def test_every_table_is_a_run_and_every_total_is_its_own(clone: Path, tmp_path: Path) -> None:
    runs = imported(clone, tmp_path / "store")
    keys = {(run.device.name, run.request.batch): reconcile(run).total_ns for run in runs}
    whole = {(name, 1): TOTAL_NS for name in ("Tesla K80", "TITAN V")}
    assert keys == whole | {(name, 8): 2 * TOTAL_NS for name, _ in whole}
    for run in runs:
        rows = list(csv.DictReader(io.StringIO(timing_csv([run]))))
        [total] = [row["median_ms"] for row in rows if row["status"] == "total"]
        times = [row["median_ms"] for row in rows if row["status"] != "total"]
        assert sum(round(float(ms) * 1e6) for ms in times if ms) == round(float(total) * 1e6)


def test_a_run_says_what_it_is_and_what_it_lacks(clone: Path, tmp_path: Path) -> None:
    run = one(clone, tmp_path / "store")
    assert run.request.is_published
    assert run.device.id == "cuda:0:tesla-k80"
    assert run.timings is not None
    assert run.timings.latency_ns.size == 0
    assert grade(run) is None
    [text] = warning_texts(run)
    assert text.startswith(
        "As published in 2020: cuDNN primitives timed one by one, a lower bound, no latency"
        " measured; never timed: Reshape (Times212_reshape1, Times212_reshape0),"
        " ElementWise (Plus214)"
    )
    sums = reconcile(run)
    assert {row.name for row in sums.rows if row.status is Status.UNTIMED} == set(NEVER)
    assert "a lower bound as published, no latency" in reconciliation_text(sums, run)


def test_several_rows_of_a_layer_are_its_steps(clone: Path, tmp_path: Path) -> None:
    run = one(clone, tmp_path / "store")
    assert len(run.steps) == len(ROWS)
    assert len({step.name for step in run.steps}) == len(ROWS)
    rows = {row.name: row for row in reconcile(run).rows}
    assert rows["Convolution28"].median_ns == 31001 + 4000
    step = rows["Convolution28"].step
    assert step is not None
    assert step.op_type == "CONV_FWD + ADD_TENSOR"


def test_the_layer_table_is_the_published_one(clone: Path, tmp_path: Path) -> None:
    run = one(clone, tmp_path / "store")
    classic = layers.to_csv([run.table], "classic")
    assert classic.encode() == (DATA / "lenet_layers.csv").read_bytes()
    kinds = {layer.name: layer.op_type for layer in run.table.nodes}
    assert kinds["Times212"] == "MatMul"
    assert kinds["Pooling66"] == "MaxPool"
    assert kinds["Plus214"] == "ElementWise"  # which one was not published
    assert {t.dtype for layer in run.table for t in (*layer.inputs, *layer.outputs)} == {""}


def test_layers_timed_at_batch_1_keep_their_shapes(clone: Path, tmp_path: Path) -> None:
    run = one(clone, tmp_path / "store", batch=8)
    shapes = {layer.name: layer.outputs[0].shape for layer in run.table.nodes}
    assert shapes["Pooling160"] == (8, 16, 4, 4)
    assert shapes["Times212_reshape0"] == (1, 256)  # it feeds a product of batch 1
    assert shapes["Times212"] == shapes["Plus214"] == (1, 10)
    assert "1 of 9 timed layers were timed at batch 1" in warning_texts(run)[0]


def test_a_total_above_its_rows_is_a_step_of_no_layer(clone: Path, tmp_path: Path) -> None:
    text = sheet(ROWS[1:], TOTAL_NS)
    dlperf_clone.write(clone, "MNIST", "Tesla_K80", 1, text)
    run = one(clone, tmp_path / "store")
    sums = reconcile(run)
    assert sums.total_ns == TOTAL_NS
    assert sums.unattributed_ns == 31001
    assert "0.031001 ms of its total are in no row" in warning_texts(run)[0]


def test_a_total_that_was_rounded_otherwise_is_still_the_file_s(
    clone: Path, tmp_path: Path
) -> None:
    dlperf_clone.write(clone, "MNIST", "Tesla_K80", 1, sheet(total_ns=TOTAL_NS - 1))
    sums = reconcile(one(clone, tmp_path / "store"))
    assert sums.total_ns == TOTAL_NS - 1
    closing = {row.name: row.median_ns for row in sums.rows if row.name.startswith("(")}
    assert closing == {"(interruptions)": None, "(rounding)": -1, "(total)": TOTAL_NS - 1}
    assert not sums.is_whole


def test_importing_again_adds_nothing(clone: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert len(imported(clone, store)) == 4
    assert len(imported(clone, store)) == 4
    dlperf_clone.write(clone, "MNIST", "TITAN_V", 1, sheet(ROWS[:-1]))
    assert len(imported(clone, store)) == 5


def test_bounds_align_with_our_own_lenet(clone: Path, tmp_path: Path) -> None:
    bound = one(clone, tmp_path / "store")
    table = inspect(open_model(str(models.save(models.lenet(1), tmp_path))), 1, {})
    assert [layer.name for layer in table] == [layer.name for layer in bound.table]
    ours = sample_run("lenet")
    covered = (("Convolution28", "Plus30", "ReLU32"), ("Times212", "Plus214"), ())
    steps = tuple(
        replace(step, layers=names) for step, names in zip(ours.steps, covered, strict=True)
    )
    ours = replace(ours, table=table, steps=steps)
    refuse_unlike([ours, bound])
    aligned = align([ours, bound])
    cells = {row.layers: row.cells[1].ns for row in aligned.rows}
    assert cells[covered[0]] == 35001 + 14194 + 11695
    assert cells[covered[1]] == 14256
    assert cells[("Pooling66",)] == 14635
    assert aligned.total.cells[1].ns is None  # there is no latency to compare


def test_bounds_are_no_measurement_of_the_same_system(clone: Path, tmp_path: Path) -> None:
    runs = imported(clone, tmp_path / "store")
    assert len(newest(runs)) == len(runs)
    assert all("published" in system(run) for run in runs)


HOSTILE = {
    "wrong columns": sheet().replace("RealTime(ms)", "Time"),
    "too few columns": sheet().replace(",0.014194,6272", ",0.014194"),
    "NaN": sheet().replace("0.014194", "nan"),
    "infinite": sheet().replace("0.014194", "inf"),
    "negative": sheet().replace("0.014194", "-0.014194"),
    "exponent": sheet().replace("0.014194", "1e9"),
    "digits of another script": sheet().replace("0.014194", "٠.٠١"),
    "a month": sheet().replace("0.014194", "2600000"),
    "no operations": sheet().replace(",6272", ",-6272"),
    "no total": sheet().replace("Total", "Sum"),
    "rows above the total": sheet(total_ns=TOTAL_NS - 500),
    "a stranger": sheet().replace("Plus30", "Plus31"),
    "nothing": "",
    "a NUL": sheet().replace("Plus30", "Plus\0"),
    "an endless cell": sheet().replace("Plus30", "P" * 200_000),
    "an open quote": sheet().replace("Plus30", '"Plus30'),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_table_costs_itself(clone: Path, tmp_path: Path, text: str) -> None:
    path = dlperf_clone.write(clone, "MNIST", "TITAN_V", 8, text)
    done = invoke("--dlperf", str(clone), "--store", str(tmp_path / "store"))
    assert done.exit_code == 0
    assert "3 runs of 1 model imported" in done.output
    assert f"left out: {path}" in done.stderr


def test_a_table_that_is_too_large_is_not_read(clone: Path, tmp_path: Path) -> None:
    path = dlperf_clone.write(clone, "MNIST", "TITAN_V", 8, "")
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    done = invoke("--dlperf", str(clone), "--store", str(tmp_path / "store"))
    assert "has more than 16 MiB" in done.stderr


LAYERS = {
    "no JSON": "{",
    "no list": "{}",
    "deep": "[" * 100_000,
    "no shapes": '[{"name": "a", "type": "Conv"}]',
    "negative size": '[{"name": "a", "type": "ConstantInput", "input_dimensions":'
    ' {"output_shapes": [[-2]]}}]',
    "a size that is no number": '[{"name": "a", "type": "ConstantInput", "input_dimensions":'
    ' {"output_shapes": [[NaN]]}}]',
    "no output": '[{"name": "a", "type": "Relu", "input_dimensions": {}}]',
}


@pytest.mark.parametrize("text", LAYERS.values(), ids=LAYERS)
def test_a_damaged_layer_table_costs_its_model(clone: Path, tmp_path: Path, text: str) -> None:
    dlperf_clone.write_layers(clone, "other", text)
    dlperf_clone.write(clone, "other", "TITAN_V", 1, sheet())
    done = invoke("--dlperf", str(clone), "--store", str(tmp_path / "store"))
    assert done.exit_code == 0
    assert "other.json: " in done.stderr
    assert "4 runs of 1 model imported" in done.output


def test_two_layers_of_one_name_are_refused_unless_they_are_the_same() -> None:
    given = dlperf_clone.layers()
    twice = json.dumps([*given, given[-1]]).encode()
    assert tables.parse(twice).repeated == ("Plus214",)
    with pytest.raises(Damaged, match="two layers of the name"):
        tables.parse(json.dumps([*given, {**given[-1], "type": "Relu"}]).encode())


@pytest.mark.posix
@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_are_not_followed(clone: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(sheet(), "utf-8")
    folder = clone / "assets" / "serial_latency" / "batchsize_1" / "Tesla_T4"
    folder.mkdir()
    (folder / "MNIST.csv").symlink_to(secret)
    (clone / "assets" / "serial_latency" / "batchsize_2").symlink_to(tmp_path)
    done = invoke("--dlperf", str(clone), "--store", str(tmp_path / "store"))
    assert "4 runs of 1 model imported" in done.output
    assert done.stderr.count("is a link, which is not followed") == 2


def test_a_device_cannot_leave_the_store(clone: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    dlperf_clone.write(clone, "MNIST", "..%2f.._..", 1, sheet())
    imported(clone, store)
    assert all(path.is_relative_to(store) for path in store.rglob("*.parquet"))
    assert len(list(tmp_path.rglob("*.parquet"))) == 5


def test_times_are_read_exactly() -> None:
    text = sheet([("a", "Relu", "X", 1, 1)]).replace("0.000001", "12.0000014", 1)
    [row] = sheets.parse(text.replace(",Total,0.000001", ",Total,12.000001").encode()).rows
    assert row.ns == 12_000_001


def test_the_options_of_one_model_are_refused_beside_it(clone: Path, tmp_path: Path) -> None:
    given = ("--dlperf", str(clone), "--store", str(tmp_path / "store"))
    assert "beside --dlperf" in refused("model.onnx", *given)
    assert "beside --dlperf" in refused(*given, "--batch", "2")
    assert "no MODEL" in refused("--store", str(tmp_path))
    assert "there are no tables" in refused("--dlperf", str(tmp_path / "empty"))
