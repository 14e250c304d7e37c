"""Exports for trackers of benchmarks, checked against what each of them reads.

Each check is written from the published description that the module of the format names; the one
of asv is run on asv's own reader where asv is installed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from support import strategies
from support.gates.repositories import SETTINGS, repository
from typer.testing import CliRunner

from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import reconcile
from onnxprof.cli.commands.stored.runs import app
from onnxprof.errors import UsageError
from onnxprof.publish.exports.asv import asv, with_listed
from onnxprof.publish.exports.bmf import bmf
from onnxprof.publish.exports.figures import name, tracked
from onnxprof.publish.exports.github_benchmark import github_benchmark
from onnxprof.publish.exports.pytorch import pytorch
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def several(**asked: Any) -> Run:
    """Six processes."""
    return merge([sample_run(seed=seed, **asked) for seed in range(6)])


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_bmf(text: str) -> dict[str, Any]:
    """Objects of objects of up to three numbers, of which `value` is required."""
    told = json.loads(text)
    assert isinstance(told, dict)
    for benchmark, measures in told.items():
        assert 0 < len(benchmark) <= 1024
        assert isinstance(measures, dict)
        for measure, metric in measures.items():
            assert 0 < len(measure) <= 64
            assert "value" in metric
            assert set(metric) <= {"value", "lower_value", "upper_value"}
            assert all(map(is_number, metric.values()))
            low, high = metric.get("lower_value"), metric.get("upper_value")
            assert low is None or low <= metric["value"] <= high
    return told


def check_github(text: str) -> list[dict[str, Any]]:
    """`name` and `unit` are texts, `value` is a number; `range` and `extra` texts where given."""
    told = json.loads(text)
    assert isinstance(told, list)
    for entry in told:
        assert (
            {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        )
        assert is_number(entry["value"])
        assert all(isinstance(entry[key], str) for key in set(entry) - {"value"})
    names = [entry["name"] for entry in told]
    assert len(names) == len(set(names))
    return told


#: By field of a record of oss_ci_benchmark_v3: the types of its own fields.
TEXTS = dict
V3: dict[str, dict[str, type]] = {
    "benchmark": {"name": str, "mode": str, "dtype": str, "extra_info": TEXTS},
    "model": {"name": str, "type": str, "backend": str, "origins": list, "extra_info": TEXTS},
    "metric": {"name": str, "benchmark_values": list, "target_value": float, "extra_info": TEXTS},
}
INPUT = {"dtype": str, "extra_info": TEXTS}
DEPENDENCY = {"repo": str, "branch": str, "sha": str, "version": str, "extra_info": TEXTS}
RUNNER = {
    **dict.fromkeys(("name", "type", "cpu_info", "mem_info", "gpu_info", "gpu_mem_info"), str),
    **dict.fromkeys(("cpu_count", "avail_mem_in_gb", "gpu_count", "avail_gpu_mem_in_gb"), int),
    "extra_info": TEXTS,
}


def check_fields(told: dict[str, Any], fields: dict[str, type]) -> None:
    for key, value in told.items():
        assert type(value) is fields[key], key
        if key == "extra_info":
            assert all(type(k) is type(v) is str for k, v in value.items())


def check_pytorch(text: str) -> list[dict[str, Any]]:
    told = json.loads(text)
    for record in told:
        assert set(record) == {*V3, "inputs", "dependencies", "runners"}
        for field, fields in V3.items():
            check_fields(record[field], fields)
            assert "name" in record[field]
        values = record["metric"]["benchmark_values"]
        assert values
        assert all(map(is_number, values))
        assert all(type(origin) is str for origin in record["model"]["origins"])
        for kind, fields in (("inputs", INPUT), ("dependencies", DEPENDENCY)):
            for each in record[kind].values():
                check_fields(each, fields)
        for runner in record["runners"]:
            check_fields(runner, RUNNER)
            assert all(v >= 0 for v in runner.values() if type(v) is int)
    return told


def check_asv(files: dict[str, str]) -> dict[str, Any]:
    """The three kinds of files, and that every result fits the parameters of its benchmark."""
    told = {path: json.loads(text) for path, text in files.items()}
    listed = told.pop("benchmarks.json")
    assert listed.pop("version") == 2
    for key, benchmark in listed.items():
        assert benchmark["name"] == key
        assert (benchmark["type"], benchmark["unit"]) == ("time", "seconds")
        assert len(benchmark["params"]) == len(benchmark["param_names"])
        assert all(isinstance(value, str) for axis in benchmark["params"] for value in axis)
    for path, held in told.items():
        machine, file = path.split("/")
        if file == "machine.json":
            assert (held["machine"], held["version"]) == (machine, 1)
            assert all(
                isinstance(held[key], str) for key in ("os", "arch", "cpu", "num_cpu", "ram")
            )
            continue
        assert file == f"{held['commit_hash'][:8]}-{held['env_name']}.json"
        assert held["version"] == 2
        assert held["params"]["machine"] == machine
        assert {"date", "python", "requirements", "env_vars", "durations"} <= set(held)
        for key, row in held["results"].items():
            columns = dict(zip(held["result_columns"], row, strict=False))
            count = len(columns["params"][0])
            assert columns["params"] == listed[key]["params"]
            assert columns["version"] == listed[key]["version"]
            for column, values in columns.items():
                if column == "result" or column.startswith("stats_"):
                    assert len(values) == count
    return listed


@given(strategies.runs(least=0))
def test_every_export_of_any_run_is_what_its_reader_reads(run: Run) -> None:
    found, _ = tracked([run])
    for layers in (False, True):
        check_bmf(bmf(found, layers=layers))
        check_github(github_benchmark(found, layers=layers))
        check_pytorch(pytorch(found, layers=layers))
        check_asv(asv(found, COMMIT, layers=layers))


def test_the_order_of_sizes_names_no_other_series() -> None:
    plain = several()
    found = [
        dataclasses.replace(plain, request=dataclasses.replace(plain.request, dims=dims))
        for dims in ((("past", 4), ("new", 1)), (("new", 1), ("past", 4)))
    ]
    assert name(found[0]) == name(found[1])
    assert len(tracked(found)[0]) == 1
    one, other = (asv(tracked([run])[0], COMMIT) for run in found)
    assert one.keys() == other.keys()


def test_the_figures_are_those_of_every_table() -> None:
    run = several()
    sums = reconcile(run)
    found, _ = tracked([run])
    (measures,) = check_bmf(bmf(found)).values()
    low, high = sums.interval_ns
    assert measures["latency"] == {
        "value": sums.total_ns,
        "lower_value": low,
        "upper_value": high,
    }
    assert measures["throughput"]["value"] == pytest.approx(1e9 / sums.total_ns)
    (entry,) = check_github(github_benchmark(found))
    assert entry["value"] == pytest.approx(sums.total_ns / 1e6)
    assert entry["range"] == f"± {(high - low) / 2e6:.6f}"
    assert f"samples: {sums.samples}" in entry["extra"]
    (record,) = check_pytorch(pytorch(found))
    assert len(record["metric"]["benchmark_values"]) == 6
    middle = float(np.median(record["metric"]["benchmark_values"]))
    assert middle == pytest.approx(sums.total_ns / 1e6, rel=0.02)
    assert record["inputs"] == {"x": {"dtype": "float32", "extra_info": {"shape": "[1,3,8,8]"}}}
    (listed,) = check_asv(asv(found, COMMIT)).values()
    assert listed["params"] == [["1"]]


def test_layers_are_tracked_where_they_are_wanted() -> None:
    run = several()
    found, _ = tracked([run])
    rows = {row.name: row.median_ns for row in reconcile(run).rows}
    told = check_bmf(bmf(found, layers=True))
    layers = {key.rpartition(" / ")[2]: value for key, value in list(told.items())[1:]}
    assert set(layers) == {"/block/conv_0", "/block/gemm_2"}
    assert all(value == {"latency": {"value": rows[key]}} for key, value in layers.items())
    assert len(check_github(github_benchmark(found, layers=True))) == 3
    assert len(check_pytorch(pytorch(found, layers=True))) == 3
    names = set(check_asv(asv(found, COMMIT, layers=True)))
    assert "sample.time_latency" in names
    assert len(names) == 3


def test_a_name_says_what_was_asked_for_and_stays() -> None:
    run = sample_run(batch=8)
    assert name(run) == "sample / fake / cpu:fake / batch 8 / 2 threads"
    asked = dataclasses.replace(run.request, dims=(("s", 4),), inputs_sha256="ab" * 32)
    assert name(dataclasses.replace(run, request=asked)).endswith("/ s=4 / inputs abababab")
    later = dataclasses.replace(run, created="2027-01-01T00:00:00Z")
    assert name(later) == name(run)
    found, older = tracked([run, later])
    assert [one.run for one in found] == [later]
    assert older == 1


def test_batches_are_one_benchmark_of_asv_and_machines_are_folders() -> None:
    runs = [
        several(batch=1),
        several(batch=8),
        several(batch=4, device="cpu:other"),
        several(model="Other Net", batch=2),
    ]
    files = asv(tracked(runs)[0], COMMIT)
    listed = check_asv(files)
    assert listed["sample.time_latency"]["params"] == [["1", "4", "8"]]
    assert {path.split("/")[0] for path in files} == {"benchmarks.json", "cpu-fake", "cpu-other"}
    results = {p: json.loads(t) for p, t in files.items() if COMMIT[:8] in p}
    here = next(held for path, held in results.items() if path.startswith("cpu-fake"))
    values = here["results"]["sample.time_latency"][0]
    assert [value is None for value in values] == [False, True, False]
    assert set(here["results"]) == {"sample.time_latency", *(n for n in listed if "other" in n)}


def test_lists_of_earlier_commits_are_kept() -> None:
    before = asv(tracked([several(batch=1), several(model="gone")])[0], COMMIT)["benchmarks.json"]
    after = asv(tracked([several(batch=8)])[0], COMMIT)["benchmarks.json"]
    both = json.loads(with_listed(after, before))
    assert both["sample.time_latency"]["params"] == [["1", "8"]]
    assert "gone.time_latency" in both
    for foreign in ("[]", '{"version": 2, "x": {"version": "1"}}', "no JSON"):
        with pytest.raises(ValueError, match=r"no list|another program|Expecting"):
            with_listed(after, foreign)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    kept = Store(tmp_path / "runs")
    for run in (several(), several(batch=8), several(created="2026-05-05T00:00:00Z")):
        kept.save(run)
    kept.save(dataclasses.replace(sample_run("lost"), timings=None, failure="killed"))
    return kept.root


def export(*arguments: object) -> Any:
    given = ["export", *map(str, arguments)]
    return CliRunner().invoke(app, given, standalone_mode=False)


def test_the_command_exports_the_newest_of_each(store: Path, tmp_path: Path) -> None:
    shown = export("--format", "bmf", "--store", store)
    assert len(check_bmf(shown.stdout)) == 2
    assert "1 older run of the same kind left out" in shown.stderr
    assert "1 failed run left out" in shown.stderr
    for chosen, check in (("github-action-benchmark", check_github), ("pytorch", check_pytorch)):
        target = tmp_path / f"{chosen}.json"
        assert export("--format", chosen, "--store", store, "-o", target).exception is None
        assert len(check(target.read_text("utf-8"))) == 2


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*.json")
    }


def test_the_command_writes_a_folder_for_asv(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GITHUB_SHA", "CI_COMMIT_SHA"):
        monkeypatch.delenv(variable, raising=False)
    target = tmp_path / "results"
    given = ("--format", "asv", "--store", store, "-o", target)
    assert export(*given, "--commit", COMMIT).exception is None
    check_asv(tree(target))
    assert "which commit" in str(export(*given).exception)
    monkeypatch.setenv("GITHUB_SHA", "f" * 40)
    assert export(*given, "--layers").exception is None
    commits = {path.split("/")[1][:8] for path in tree(target) if "/" in path}
    assert commits == {"machine.", COMMIT[:8], "ffffffff"}
    (target / "benchmarks.json").write_text('{"version": 1}')
    assert "cannot be kept" in str(export(*given).exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "csv", "--layers"], "--layers is not for --format csv"),
        (["--format", "bmf", "--commit", COMMIT], "--commit is not for --format bmf"),
        (["--format", "asv", "--commit", COMMIT], "asv reads a folder"),
        (["--format", "asv", "--commit", "abc", "-o", "x"], "no full hash"),
        (["--format", "bmf", "-o", "x.csv"], "do not go together"),
        (["--format", "asv", "-o", "x.json"], "do not go together"),
        (["--format", "bmf", "--model", "lost"], "no run with an un-profiled latency"),
    ],
)
def test_bad_use_of_the_export(store: Path, arguments: list[str], words: str) -> None:
    error = export("--store", store, *arguments).exception
    assert isinstance(error, UsageError | typer.BadParameter), error
    assert words in str(error)


def test_a_bare_json_file_is_still_every_fact(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.json"
    assert export("--store", store, "-o", target).exception is None
    assert set(json.loads(target.read_text("utf-8"))) == {"runs"}


def test_asv_opens_the_folder(tmp_path: Path) -> None:
    """With the reader itself: results, statistics, machines and the list of benchmarks."""
    pytest.importorskip("asv", reason="needs onnxprof[test]")
    from asv.benchmarks import Benchmarks
    from asv.config import Config
    from asv.machine import Machine, iter_machine_files
    from asv.results import iter_results
    from asv.util import load_json

    runs = [several(batch=1), several(batch=8), several(batch=4, device="cpu:other")]
    for path, text in asv(tracked(runs)[0], COMMIT, layers=True).items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    conf = Config()
    conf.results_dir = str(tmp_path)
    listed = Benchmarks.load(conf)
    assert "sample.time_latency" in listed
    machines = [load_json(path, Machine.api_version) for path in iter_machine_files(str(tmp_path))]
    assert {machine["machine"] for machine in machines} == {"cpu-fake", "cpu-other"}
    found = list(iter_results(str(tmp_path)))
    assert len(found) == 2
    for results in found:
        assert results.commit_hash == COMMIT
        assert results.get_result_keys(listed) == set(results.get_all_result_keys())
        params = listed["sample.time_latency"]["params"]
        values = results.get_result_value("sample.time_latency", params)
        stats = results.get_result_stats("sample.time_latency", params)
        assert len(values) == 3
        for value, known in zip(values, stats, strict=True):
            assert (value is None) == (not known)
            if value is not None:
                assert known["ci_99_a"] <= value <= known["ci_99_b"]


def test_asv_publishes_the_folder(tmp_path: Path) -> None:
    """With `asv publish`: a point of each benchmark at the commit that was named."""
    pytest.importorskip("asv", reason="needs onnxprof[test]")
    repo = repository(tmp_path / "repo")
    repo.write("readme", b"x")
    commit = repo.commit()
    run = several()
    for path, text in asv(tracked([run])[0], commit, layers=True).items():
        target = tmp_path / "results" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    settings = {"version": 1, "project": "p", "repo": str(repo.root), "branches": ["main"]}
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("results", "html", "env")}
    conf = tmp_path / "asv.conf.json"
    conf.write_text(json.dumps(settings | folders))
    done = subprocess.run(
        [sys.executable, "-m", "asv", "--config", str(conf), "publish", "--no-pull"],
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120, "check": False},
        env={**os.environ, **SETTINGS},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (graph,) = (tmp_path / "html" / "graphs").rglob("*/threads-2/sample.time_latency.json")
    ((_, seconds),) = json.loads(graph.read_text("utf-8"))
    assert seconds == [pytest.approx(reconcile(run).total_ns / 1e9)]
    index = json.loads((tmp_path / "html" / "index.json").read_text("utf-8"))
    assert set(index["revision_to_hash"].values()) == {commit}
