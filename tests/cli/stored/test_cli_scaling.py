"""`onnxprof scaling`, on scripted runs and on a model measured here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.cli.commands import profile
from onnxprof.cli.commands.stored import align
from onnxprof.cli.commands.stored.scaling import parse_time, scaling
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

app = typer.Typer()
app.command()(scaling)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place = Store(tmp_path / "store")
    for batch in (1, 2, 8):
        place.save(sample_run("net", batch, backend="ort"))
    place.save(sample_run("net", 4, backend="torch"))
    place.save(sample_run("other", 1, backend="ort"))
    return place.root


def test_the_store_is_taken_and_each_system_apart(store: Path) -> None:
    done = run("--store", store)
    assert done.exception is None, done.exception
    assert "net on ort, Fake CPU, 2 threads: 3 sizes of batch" in done.output
    assert "torch" not in done.output
    assert "samples/s" in done.output


def test_one_system_aligned_over_batches_is_the_same(store: Path) -> None:
    command = typer.Typer()
    command.command()(align.align)
    asked = ["--over", "batch", "--model", "net", "--backend", "ort", "--store", str(store)]
    aligned = CliRunner().invoke(command, asked, standalone_mode=False)
    assert aligned.exception is None, aligned.exception
    assert aligned.output == run("--model", "net", "--store", store).output


def test_formats_follow_the_file(store: Path, tmp_path: Path) -> None:
    for name, start in (("a.csv", "model,system"), ("a.md", "**net"), ("a.txt", "net on ort")):
        assert run("--store", store, "-o", tmp_path / name).exception is None
        assert (tmp_path / name).read_text().startswith(start)
    document = json.loads(run("--store", store, "--format", "json").output)
    assert [one["model"] for one in document] == ["net"]


def test_what_cannot_be_scaled_says_what_to_measure(store: Path) -> None:
    error = run("--store", store, "--model", "other").exception
    assert isinstance(error, UsageError)
    assert "no system was measured at two sizes of batch" in str(error)
    assert "--batch 1,2,4,8,16,32" in str(error)
    error = run("--store", store, "--over", "tokens").exception
    assert isinstance(error, UsageError)
    assert "no run has an axis 'tokens'" in str(error)


@pytest.mark.parametrize(
    ("given", "ns"), [("20ms", 20_000_000), ("1.5", 1_500_000), ("500us", 500_000), ("2 s", 2e9)]
)
def test_times_are_read(given: str, ns: float) -> None:
    assert parse_time(given) == ns


@pytest.mark.parametrize("given", ["0", "-3ms", "soon", "1h", "", "1e99s", "nan", "99999999999999"])
def test_other_times_are_refused(given: str) -> None:
    with pytest.raises(UsageError, match="no time above zero"):
        parse_time(given)


def test_a_model_that_is_measured_here(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    command = typer.Typer()
    command.command()(profile.profile)
    asked = [str(path), "--batch", "1,4", "--budget", "0.05", "--store", str(tmp_path / "s")]
    assert CliRunner().invoke(command, [*asked, "--quiet"], standalone_mode=False).exit_code == 0
    done = run("--store", tmp_path / "s", "--latency-limit", "1s")
    assert done.exception is None, done.exception
    assert "2 sizes of batch" in done.output
    assert "(overhead)" in done.output
