"""Runs made of what trtexec wrote: right, and honest about what they lack."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from support.runs.imported_runs import (
    NAMES,
    TENSORRT,
    imported_warning,
    invoke,
    made,
    models_in,
    trtexec,
)
from typer.testing import CliRunner

from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.cli.main import app
from onnxprof.errors import StoreError
from onnxprof.imports import build, files
from onnxprof.imports.build import Facts
from onnxprof.model.file import open_model
from onnxprof.publish.overlays.chrome import chrome_trace
from onnxprof.publish.tables.timings import timing_csv, timing_table
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence
from onnxprof.store.encoding import run_from_json, run_to_json
from onnxprof.store.folder import Store, load, scan


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return models_in(tmp_path)


def csv_rows(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(timing_csv([run]))))


def test_an_imported_run_is_stored_shown_listed_and_exported(models: Path) -> None:
    store = str(models / "store")
    done = invoke(
        *(models / "residual.onnx", *trtexec("residual"), "--batch", "2", "--store", store),
        *("--device-name", "NVIDIA H200", "--runtime", "TensorRT 11.0"),
    )
    assert done.exit_code == 0, done.output
    assert "imported: IProfiler" in done.output
    [summary], problems = scan([Path(store)])
    assert not problems
    run = load(summary.path)
    assert run.timer == "imported: IProfiler"
    assert run.device.id == "cuda:0:nvidia-h200"
    assert ("runtime", "TensorRT 11.0") in run.environment
    assert ("tensorrt", "11.0") in run.environment
    assert run.origin is not None
    assert (run.origin.program, run.origin.inferences, run.origin.averaged) == (
        "trtexec",
        100,
        True,
    )
    assert [name for name, _ in run.origin.files] == [
        *("residual.layers.json", "residual.profile.json", "residual.times.json")
    ]
    assert run.command == (
        "onnxprof runs import residual.onnx --engine-layers residual.layers.json --profile"
        " residual.profile.json --times residual.times.json --batch 2 --device-name"
        " 'NVIDIA H200' --runtime 'TensorRT 11.0'"
    )
    for words in (["list"], ["list", "--format", "csv"], ["show"], ["export", "--format", "json"]):
        shown = CliRunner().invoke(app, ["runs", *words, "--store", store])
        assert shown.exit_code == 0, shown.output
        assert "failed" not in shown.output
    shown = CliRunner().invoke(app, ["runs", "show", "--store", store]).output
    assert "threads not known" in shown
    assert "--separateProfileRun" in shown


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("times", [True, False])
def test_it_survives_the_store_and_json(models: Path, name: str, times: bool) -> None:
    run = made(models, name, times=times)
    again = load(Store(models / "store").save(run))
    assert again.origin == run.origin
    assert again.warnings == run.warnings
    assert again.steps == run.steps
    assert again.timings is not None
    assert run.timings is not None
    assert again.timings.step_ns.tolist() == run.timings.step_ns.tolist()
    assert again.timings.latency_ns.tolist() == run.timings.latency_ns.tolist()
    assert run_from_json(json.loads(json.dumps(run_to_json(run)))).origin == run.origin


@pytest.mark.parametrize("name", NAMES)
def test_with_latencies_rows_and_overhead_add_up(models: Path, name: str) -> None:
    run = made(models, name)
    profile = json.loads((TENSORRT / f"{name}.profile.json").read_text())[1:]
    compute = [
        row["computeMs"] for row in json.loads((TENSORRT / f"{name}.times.json").read_text())
    ]
    sums = reconcile(run)
    assert sums.is_whole
    assert sums.layer_sum_ns == round(sum(row["medianMs"] for row in profile) * 1e6)
    assert sums.total_ns == round(float(np.median(compute)) * 1e6)
    rows = csv_rows(run)
    printed = [float(row["median_ms"]) for row in rows[:-1] if row["median_ms"]]
    assert sum(printed) == pytest.approx(float(rows[-1]["median_ms"]), abs=1e-9)


def test_without_latencies_the_overhead_is_unknown_and_no_zero(models: Path) -> None:
    run = made(models, times=False)
    sums = reconcile(run)
    assert not sums.is_whole
    overhead, total = sums.rows[-2:]
    assert (overhead.median_ns, overhead.share, total.median_ns, total.share) == (None,) * 4
    assert sum(row.share or 0 for row in sums.rows) == pytest.approx(1)
    closing = csv_rows(run)[-2:]
    assert [row["layer_name"] for row in closing] == ["(overhead)", "(total)"]
    assert all(row["median_ms"] == row["share"] == row["samples"] == "" for row in closing)
    assert timing_table([run])["median_ms"].to_pylist()[-2:] == [None, None]
    assert "(overhead)" not in chrome_trace([run])
    assert "there are no latencies" in imported_warning(run)


def test_without_latencies_the_terminal_says_so(models: Path) -> None:
    store = str(models / "store")
    done = invoke(
        models / "residual.onnx",
        *trtexec("residual", times=False),
        "--batch",
        "2",
        "--store",
        store,
    )
    assert done.exit_code == 0, done.output
    assert "no un-profiled latency, so the overhead is not known" in done.output
    for name in ("(overhead)", "(total)"):
        [line] = [line for line in done.output.splitlines() if line.strip().startswith(name)]
        assert line.split()[-2:] == ["not", "known"]
    assert "0 ns" not in done.output
    listed = CliRunner().invoke(app, ["runs", "list", "--store", store]).output
    assert "not known" in listed
    assert "failed" not in listed


def test_averages_have_no_quantiles(models: Path) -> None:
    for row in reconcile(made(models)).rows:
        if row.status in (Status.TIMED, Status.UNATTRIBUTED):
            assert (row.p5_ns, row.p95_ns, row.samples) == (None, None, 100)


def test_align_shows_it_beside_a_measured_run_and_gives_no_verdict(models: Path) -> None:
    from onnxprof.compare.align import align
    from onnxprof.compare.table import RowKind
    from onnxprof.compare.verdict import Verdict

    run, other = made(models), made(models)
    cells = [row.cells[1] for row in align([run, other]).rows if row.kind is RowKind.BLOCK]
    assert {cell.verdict for cell in cells if cell.ratio} == {Verdict.UNDECIDED}
    assert all(cell.interval is None for cell in cells)
    assert any(cell.ratio == 1 for cell in cells)


def test_align_takes_one_without_latencies_and_says_what_is_not_known(models: Path) -> None:
    from onnxprof.compare.align import align
    from onnxprof.compare.systems import refuse_unlike
    from onnxprof.publish.comparing.alignment import Choice, column_text, remark_texts
    from onnxprof.publish.comparing.alignment_text import markdown, plain, to_csv

    bare, whole = made(models, times=False), made(models)
    refuse_unlike([whole, bare])
    found = align([whole, bare])
    assert found.columns[1].total_ns is None
    assert (found.total.cells[1].ns, found.overhead.cells[1].ns) == (None, None)
    assert found.layer_sum.cells[1].ns == found.layer_sum.cells[0].ns
    shares = [row.cells[1].share or 0 for row in (*found.rows, found.no_layer)]
    assert sum(shares) == pytest.approx(1)
    assert {row.cells[1].ratio for row in found.rows} == {1.0}
    assert "no latency" in column_text(found.columns[1], found)
    assert any("overhead is not known" in text for text in remark_texts(found))
    assert plain(found)["columns"][1]["total_ns"] is None
    assert "**" in markdown(found, Choice())
    total = to_csv(found).splitlines()[-1]
    assert total.startswith("total,")
    assert align([bare, whole]).columns[0].total_ns is None


def test_a_table_of_one_without_latencies(models: Path) -> None:
    store = Store(models / "store")
    for times in (True, False):
        store.save(made(models, times=times))
    paths = [str(path) for path in store.paths()]
    done = CliRunner().invoke(app, ["align", *paths])
    assert done.exit_code == 0, done.output
    for name in ("(overhead)", "(median)"):
        [line] = [line for line in done.output.splitlines() if line.strip().startswith(name)]
        assert "unknown" in line
    over = CliRunner().invoke(app, ["align", *paths, "--over", "batch"])
    assert isinstance(over.exception, StoreError)
    assert "no un-profiled samples" in str(over.exception)


def test_compare_refuses_what_cannot_be_told(models: Path) -> None:
    from onnxprof.compare.changes import compare

    bare, whole = made(models, times=False), made(models)
    with pytest.raises(StoreError, match="no un-profiled samples"):
        compare([([bare], [whole])], 0.05)
    with pytest.raises(StoreError, match="averages"):
        compare([([whole], [whole])], 0.05)


def test_the_site_says_why_it_leaves_one_out(models: Path) -> None:
    from onnxprof.publish.site.model_files import misfit

    assert misfit(made(models)) == ""
    assert "without un-profiled latencies" in misfit(made(models, times=False))


def test_names_alone_are_less_certain(models: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rows = [
        *("Reformatting CopyNode for Input Tensor 0 to /stem/Conv", "/stem/Conv + /stem/Relu"),
        *("/block[0]/Conv + node_of_a1 + /block[0]/Relu", "/head/GlobalAveragePool"),
        *("/head/Gemm", "/head/Softmax"),
    ]
    told = [{"count": 9}, *({"name": n, "timeMs": 9.0, "averageMs": 1.0} for n in rows)]
    profile.write_text(json.dumps(told))
    reader = files.chosen({"--profile": str(profile)})
    run = build.build(open_model(str(models / "residual.onnx")), reader, Facts(batch=2))
    assert {s.confidence for s in run.steps} == {Confidence.INFERRED, Confidence.NONE}
    assert run.steps[0].layers == ()
    assert run.steps[1].layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert "device was not named" in imported_warning(run)
