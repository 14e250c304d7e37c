"""`onnxprof compare`, on scripted runs and on models."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
import typer
from support.habits.commands import inside
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.analysis.processes import merge
from onnxprof.cli.commands.stored.compare import compare
from onnxprof.errors import StoreError, UsageError
from onnxprof.records.run import Run
from onnxprof.store.folder import Store, load_all
from onnxprof.testing import sample_run

app = typer.Typer()
app.command()(compare)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def done(*arguments: str | Path, code: int = 0) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    assert result.return_value == code
    return result


def refused(*arguments: str | Path, words: str, kind: type[Exception] = UsageError) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind), result.exception
    assert words in str(result.exception)
    assert result.stdout == ""


def several(model: str = "net", batch: int = 1, scale: float = 1.0, seed: int = 0) -> Run:
    """Ten scripted processes."""
    runs = [sample_run(model, batch, scale=scale, seed=100 * seed + i) for i in range(10)]
    return merge(runs)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two stores: batch 8 is 30 % slower in B; one model is on one side only."""
    a, b = Store(tmp_path / "a"), Store(tmp_path / "b")
    for batch, scale in ((1, 1.0), (8, 1.3)):
        a.save(several(batch=batch, seed=1))
        b.save(several(batch=batch, scale=scale, seed=2))
    b.save(several("other"))
    return a.root, b.root


def test_folders_are_paired_and_a_regression_is_exit_code_1(folders) -> None:
    text = done(*folders, code=1).stdout
    assert text.index("net, batch 1") < text.index("net, batch 8")
    assert "Only in B: other, batch 1" in text
    assert "Latency of B: same" in text
    assert "Latency of B: slower (1.30" in text
    assert max(map(len, text.splitlines())) <= 80


def test_filters(folders) -> None:
    assert "batch 8" not in done(*folders, "--batch", "1").stdout
    assert "other" not in done(*folders, "--model", "net", code=1).stdout
    refused(*folders, "--model", "nothing", words="no stored run matches")


def test_the_threshold_is_what_matters(folders) -> None:
    assert "slower (1.30" not in done(*folders, "--threshold", "0.5").stdout


def test_faster_is_no_regression(folders) -> None:
    assert "Latency of B: faster (0.7" in done(*reversed(folders)).stdout


def test_json_has_everything(folders) -> None:
    told = json.loads(done(*folders, "--format", "json", code=1).stdout)
    assert told["regressed"] is True
    assert told["threshold"] == 0.02
    pair = told["pairs"][1]
    assert (pair["processes_a"], pair["processes_b"]) == (10, 10)
    assert pair["latency"]["verdict"] == "slower"
    assert 1.28 < pair["latency"]["low"] < pair["latency"]["ratio"] < pair["latency"]["high"] < 1.32
    assert [run["request"]["model_name"] for run in told["unmatched_b"]] == ["other"]
    rows = sum(row["a_ms"] or 0 for row in pair["rows"])
    rows += pair["interruptions_a_ms"] or 0
    assert rows + pair["overhead_a_ms"] == pytest.approx(pair["latency"]["a_ms"])


def test_csv_has_a_row_a_layer(folders) -> None:
    rows = list(csv.DictReader(io.StringIO(done(*folders, "--format", "csv", code=1).stdout)))
    assert [row["layer"] for row in rows[:4]] == [
        *("(latency)", "/block/conv_0", "/block/gemm_2", "(no layer)"),
    ]
    assert rows[1]["layers"] == "/block/conv_0;/block/relu_1"
    assert {row["batch"] for row in rows} == {"1", "8"}


def test_markdown_goes_where_it_is_told_by_the_name(folders, tmp_path: Path) -> None:
    target = tmp_path / "comment.md"
    assert done(*folders, "-o", target, code=1).stdout == ""
    text = target.read_text("utf-8")
    assert text.startswith("### onnxprof: 🔴 slower")
    assert "| /block/conv\\_0 +1 |" in text
    refused(*folders, "-o", tmp_path / "no" / "file.md", words="cannot be written")


def test_names_from_a_model_do_no_harm_in_markdown(tmp_path: Path) -> None:
    paths = [
        Store(tmp_path / side).save(several("<b>|@all\n#", seed=s)) for s, side in enumerate("ab")
    ]
    text = done(*paths, "--format", "md").stdout
    assert "<b>" not in text
    assert "@all" not in text


def test_runs_by_id_and_by_file(folders) -> None:
    a, b = (next(folder.rglob("b0001*.parquet")) for folder in folders)
    done(a, b)
    name = a.name.split("-")[2]
    assert "same" in done(name, b, "--store", folders[0]).stdout
    refused(a, a, words="A and B have a run in common")
    refused("abcdef0", b, "--store", folders[0], words="abcdef0")


def test_other_batches_are_refused_unless_forced(folders) -> None:
    a = next(folders[0].rglob("b0001*.parquet"))
    b = next(folders[1].rglob("b0008*.parquet"))
    refused(a, b, words="batch differs: 1 in A, 8 in B")
    assert "batch differs" in done(a, b, "--force", code=1).stderr


def test_other_models_are_named(tmp_path: Path) -> None:
    first = several("one")
    other = several("two")
    request = dataclasses.replace(other.request, model_sha256="cd" * 32)
    paths = [
        Store(tmp_path / "runs").save(run)
        for run in (first, dataclasses.replace(other, request=request))
    ]
    result = done(*paths)
    assert "model differs: one in A, two in B" in result.stderr
    assert "model digest differs" in result.stderr
    assert "one (A) and two (B), batch 1" in result.stdout


def test_a_failed_run_is_no_side(tmp_path: Path) -> None:
    lost = dataclasses.replace(sample_run(), timings=None, failure="killed")
    paths = [Store(tmp_path / side).save(r) for side, r in (("a", lost), ("b", several()))]
    refused(*paths, words="killed", kind=StoreError)


def test_one_process_says_so(tmp_path: Path) -> None:
    paths = [Store(tmp_path / side).save(sample_run(seed=s)) for s, side in enumerate("ab")]
    text = done(*paths).stdout
    assert "A, B: one process" in text
    assert "undecided" in text


def test_models_and_runs_do_not_mix(folders) -> None:
    refused("zoo:lenet", folders[0], words="one is a model, the other a run")


def command(*arguments: object, folder: Path) -> tuple[int, str, str]:
    done = inside("compare", *arguments, folder=folder)
    return done.code, done.out, done.err


def test_two_models_are_measured_in_turn(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    models.save(models.lenet(), tmp_path, "a.onnx")
    models.save(models.lenet(), tmp_path, "b.onnx")
    code, out, err = command(
        *("a.onnx", "b.onnx", "--processes", "2", "--budget", "0.1", "--threads", "1"),
        *("--batch", "2", "--store", "kept", "--threshold", "5", "--format", "json"),
        folder=tmp_path,
    )
    assert code == 0, err
    (pair,) = json.loads(out)["pairs"]
    assert (pair["processes_a"], pair["processes_b"]) == (2, 2)
    assert pair["latency"]["verdict"] in ("same", "undecided")
    runs, problems = load_all([tmp_path / "kept"])
    assert not problems
    assert {run.request.processes for run in runs} == {2}
    assert "--processes 2" in runs[0].command


def test_bad_use_is_one_line(tmp_path: Path) -> None:
    code, out, err = command("nowhere", "nothing", folder=tmp_path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "Give an id" in err
