"""Runs made of what other profilers wrote: right, honest about what they lack, or refused."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorrt_models
from typer.testing import CliRunner

from onnxprof import importing, recordings
from onnxprof.cli import app
from onnxprof.contracts import StoreError, UsageError
from onnxprof.importing import Facts
from onnxprof.modelfile import open_model
from onnxprof.publish.chrome import chrome_trace
from onnxprof.publish.timing_csv import timing_csv, timing_table
from onnxprof.reconcile import Status, reconcile
from onnxprof.records import Confidence, Run, WarningKind
from onnxprof.serial import run_from_json, run_to_json
from onnxprof.store import Store, load, scan

DATA = Path(__file__).parent / "data"
TENSORRT = DATA / "tensorrt"
NAMES = tuple(tensorrt_models.MODELS)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, build in tensorrt_models.MODELS.items():
        (tmp_path / f"{name}.onnx").write_bytes(build().SerializeToString())
    return tmp_path


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["runs", "import", *map(str, arguments)])


def refused(*arguments: Any) -> str:
    """What the one line on stderr says; any other exception is a bug."""
    done = invoke(*arguments)
    assert isinstance(done.exception, UsageError), done.output
    assert done.exception.exit_code == 2
    return str(done.exception)


def trtexec(name: str, *, times: bool = True) -> list[str]:
    given = ["--engine-layers", f"{TENSORRT / name}.layers.json"]
    given += ["--profile", f"{TENSORRT / name}.profile.json"]
    return given + (["--times", f"{TENSORRT / name}.times.json"] if times else [])


def made(models: Path, name: str = "residual", *, times: bool = True, batch: int = 2) -> Run:
    given = trtexec(name, times=times)
    reader = recordings.chosen(dict(zip(given[::2], given[1::2], strict=True)))
    facts = Facts(batch=batch, device_name="NVIDIA H200", created="2026-01-02T03:04:05Z")
    return importing.build(open_model(str(models / f"{name}.onnx")), reader, facts)


def imported_warning(run: Run) -> str:
    [warning] = [w for w in run.warnings if w.kind is WarningKind.IMPORTED]
    return warning.subject


def csv_rows(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(timing_csv([run]))))


# --- trtexec -----------------------------------------------------------------------------


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
    from onnxprof.align import align
    from onnxprof.alignment import RowKind, Verdict

    run, other = made(models), made(models)
    cells = [row.cells[1] for row in align([run, other]).rows if row.kind is RowKind.BLOCK]
    assert {cell.verdict for cell in cells if cell.ratio} == {Verdict.UNDECIDED}
    assert all(cell.interval is None for cell in cells)
    assert any(cell.ratio == 1 for cell in cells)


def test_align_and_compare_refuse_what_cannot_be_told(models: Path) -> None:
    from onnxprof.align import align
    from onnxprof.compare import compare

    bare, whole = made(models, times=False), made(models)
    with pytest.raises((StoreError, UsageError), match="no un-profiled samples"):
        align([whole, bare])
    with pytest.raises(StoreError, match="no un-profiled samples"):
        compare([([bare], [whole])], 0.05)
    with pytest.raises(StoreError, match="averages"):
        compare([([whole], [whole])], 0.05)


def test_the_site_says_why_it_leaves_one_out(models: Path) -> None:
    from onnxprof.publish.site import _readable

    good, [problem] = _readable([made(models), made(models, times=False)])
    assert len(good) == 1
    assert "without un-profiled latencies" in problem


def test_names_alone_are_less_certain(models: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rows = [
        *("Reformatting CopyNode for Input Tensor 0 to /stem/Conv", "/stem/Conv + /stem/Relu"),
        *("/block[0]/Conv + node_of_a1 + /block[0]/Relu", "/head/GlobalAveragePool"),
        *("/head/Gemm", "/head/Softmax"),
    ]
    told = [{"count": 9}, *({"name": n, "timeMs": 9.0, "averageMs": 1.0} for n in rows)]
    profile.write_text(json.dumps(told))
    reader = recordings.chosen({"--profile": str(profile)})
    run = importing.build(open_model(str(models / "residual.onnx")), reader, Facts(batch=2))
    assert {s.confidence for s in run.steps} == {Confidence.INFERRED, Confidence.NONE}
    assert run.steps[0].layers == ()
    assert run.steps[1].layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert "device was not named" in imported_warning(run)


# --- onnxruntime and benchmark_app -------------------------------------------------------


def ort_profile(model: Path, folder: Path, inferences: int = 5) -> Path:
    ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for _ in range(inferences):
        session.run(None, {"x": np.ones((2, 3, 16, 16), np.float32)})
    return Path(session.end_profiling())


def ort_run(models: Path, path: Path, batch: int = 2, name: str = "residual") -> Run:
    reader = recordings.chosen({"--ort-profile": str(path)})
    return importing.build(open_model(str(models / f"{name}.onnx")), reader, Facts(batch=batch))


def test_a_profile_of_onnxruntime_keeps_every_inference(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    run = ort_run(models, path)
    assert run.timings is not None
    assert run.timings.step_ns.shape == (len(run.steps), 4), "the first is apart"
    assert run.timings.first_ns > 0
    assert run.timings.load_ns > 0
    assert run.timings.traced_ns.size == 4
    assert (run.timings.step_ns.sum(axis=0) <= run.timings.traced_ns).all()
    assert not reconcile(run).is_whole
    assert run.device.id == "cpu:unknown-device"
    covered = Counter(name for step in run.steps for name in step.layers)
    assert set(covered.values()) == {1}
    stem = next(step for step in run.steps if "/stem/Conv" in step.layers)
    assert "/stem/Relu" in stem.layers
    again = load(Store(models / "store").save(run))
    assert again.timings is not None
    assert again.timings.step_ns.tolist() == run.timings.step_ns.tolist()


def test_a_profile_of_another_batch_is_refused_with_the_right_one(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    with pytest.raises(UsageError, match=r"of batch 2, not 4.*--batch 2"):
        ort_run(models, path, batch=4)


def test_a_truncated_profile_says_so(models: Path) -> None:
    path = ort_profile(models / "residual.onnx", models)
    events = [*json.loads(path.read_text()), {"name": "profile_truncated", "cat": "Session"}]
    path.write_text(json.dumps(events))
    assert "truncated" in imported_warning(ort_run(models, path))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_report_of_benchmark_app(models: Path, form: str) -> None:
    path = DATA / "benchmark_app" / f"residual.{form}"
    reader = recordings.chosen({"--benchmark-app": str(path)})
    run = importing.build(open_model(str(models / "residual.onnx")), reader, Facts(batch=2))
    assert run.timer == "imported: performance counters"
    owner = {name: step for step in run.steps for name in step.layers}
    assert owner["/stem/Conv"].name == "Multiply_3896", "batch norm took the convolution's name"
    assert owner["/stem/Conv"].confidence is Confidence.INFERRED
    assert owner["/stem/Conv"] is owner["/stem/Relu"]
    assert owner["/block[0]/Conv"].layers == ("/block[0]/Conv",)
    assert all(not step.layers for step in run.steps if step.op_type == "Reorder")
    covered = Counter(name for step in run.steps for name in step.layers)
    assert set(covered.values()) == {1}
    assert run.timings is not None
    assert run.timings.step_ns.sum() > 0
    assert "no latencies" in imported_warning(run)


def test_the_report_that_holds_one_node_names_the_way_out(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "average.json"
    node = {"name": "x", "node_type": "Parameter", "status": "Status.NOT_RUN", "real_time": "0.000"}
    path.write_text(json.dumps({"report_type": "average", "avg_performance": {"nodes": [node]}}))
    assert "detailed_counters" in refused(
        models / "residual.onnx", "--benchmark-app", path, "--batch", "2"
    )


# --- trouble -----------------------------------------------------------------------------


def test_files_of_another_model_are_refused_with_counts(models: Path) -> None:
    assert "the files name 7 ONNX layers, of which this model has 0" in refused(
        models / "attention.onnx", *trtexec("residual"), "--batch", "2"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"{}", "no profile of trtexec"),
        (b"[]", "no profile of trtexec"),
        (b'{"Layers": []}', "for --engine-layers"),
        (b'[{"computeMs": 1}]', "for --times"),
        (b'[{"dur": 1, "name": "model_run"}]', "for --ort-profile"),
        (
            b"layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\n",
            "for --benchmark-app",
        ),
        (b'[{"count": 1}, {"name": "a", "averageMs": 1e999}]', "no time in milliseconds"),
        (b'[{"count": 1}, {"name": "a", "averageMs": "1"}]', "no time in milliseconds"),
        (b'[{"count": 1' + b"0" * 5000 + b"}]", "is no JSON"),
    ],
)
def test_a_wrong_or_damaged_file_is_one_line(
    models: Path, tmp_path: Path, content: bytes, text: str
) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(content)
    assert text in refused(models / "residual.onnx", "--profile", path, "--batch", "2")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "content", "text"),
    [
        ("--ort-profile", '{"a": 1}', "no profile of onnxruntime"),
        (
            "--ort-profile",
            '[{"cat": "Node", "name": "a_kernel_time"}]',
            "no profile of onnxruntime",
        ),
        ("--ort-profile", '[{"cat": "Session", "name": "x"}]', "no inference in it"),
        ("--benchmark-app", "a;b\n", "is no JSON"),
        ("--benchmark-app", '{"report_type": "detailed"}', "no counters of benchmark_app"),
        ("--benchmark-app", "HEADER\nConv;Status.EXECUTED\n", "a row has 2 columns"),
        ("--benchmark-app", "HEADER\na;S.EXECUTED;Conv;x;nan;0\nb;S.NOT_RUN;C;x;0;0\n", "no time"),
        ("--benchmark-app", "HEADER\na;S.NOT_RUN;Conv;x;0;0\nb;S.NOT_RUN;C;x;0;0\n", "executed"),
    ],
)
def test_other_forms_too(
    models: Path, tmp_path: Path, option: str, content: str, text: str
) -> None:
    path = tmp_path / "given"
    header = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"
    path.write_text(content.replace("HEADER", header))
    assert text in refused(models / "residual.onnx", option, path, "--batch", "2")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "no profile: one profile makes a run"),
        (["--engine-layers"], "no profile: one profile makes a run"),
        (["--profile", "--ort-profile"], "--profile and --ort-profile: one profile"),
        (["--ort-profile", "--times"], "--times: only trtexec writes that"),
    ],
)
def test_options_that_make_no_run(models: Path, given: Sequence[str], text: str) -> None:
    path = str(TENSORRT / "residual.profile.json")
    assert text in refused(
        models / "residual.onnx", *(word for option in given for word in (option, path))
    )


def test_a_file_that_is_not_there_or_too_big(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Export both from one engine" in refused(
        models / "residual.onnx", "--profile", tmp_path / "none.json"
    )
    assert (done.exit_code, "cannot be read" in done.stderr) == (2, True)
    assert "cannot be read" in refused(models / "residual.onnx", "--profile", tmp_path)
    monkeypatch.setattr(recordings, "MAX_BYTES", 100)
    with pytest.raises(UsageError, match="more than 0 MiB"):
        recordings.read(TENSORRT / "residual.profile.json")


def test_layers_and_profile_of_two_engines_are_refused(models: Path) -> None:
    given = trtexec("residual")
    given[1] = given[1].replace("residual", "branches")
    done = invoke(models / "residual.onnx", *given, "--batch", "2")


def test_nothing_of_this_machine_is_recorded(models: Path) -> None:
    import platform

    run = made(models)
    told = json.dumps(run_to_json(run))
    assert str(models) not in told
    assert platform.node() not in told or len(platform.node()) < 4
    assert [key for key, _ in run.environment] == ["imported by"]


def test_recorded_files_hold_nothing_of_a_machine() -> None:
    for path in (*TENSORRT.glob("*.json"), *(DATA / "benchmark_app").iterdir()):
        text = path.read_text()
        assert "/home" not in text
        assert "/tmp" not in text
        assert "/root" not in text
