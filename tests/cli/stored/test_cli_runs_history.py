"""`onnxprof runs history`: runs in order of time, what changed, and clocks that were ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages.repeated import at, failed, good, wrong
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.stored.runs import app
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    runs = (good(1, runtime="ort 1.22"), good(2, 1.5, runtime="ort 1.23"), failed(3), wrong(4))
    for run in (*runs, good(5, 1.5, runtime="ort 1.23"), good(1, model="other")):
        store.save(run)
    return store.root


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["history", *map(str, arguments)])


def test_runs_are_in_order_with_the_verdict_and_what_differs(root: Path) -> None:
    result = run("m", "--store", root)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("m, batch 1, Fake CPU · fake")
    assert "other" not in result.stdout
    moments = [line[:16] for line in lines if line.startswith("2026")]
    assert moments == [f"2026-01-0{day} 03:04" for day in range(1, 6)]
    assert "slower" in lines[2]
    assert "runtime: ort 1.22 → ort 1.23" in lines[3]
    assert "failed: killed <by> signal 9" in result.stdout
    assert "wrong outputs" in result.stdout
    last = next(line for line in lines if line.startswith("2026-01-05"))
    assert last.endswith("undecided")  # one process each: 0.4 % says nothing
    assert "timer" not in result.stdout


def test_the_newest_runs_alone_where_a_limit_is_given(root: Path) -> None:
    lines = run("m", "--store", root, "--limit", "1").stdout.splitlines()
    [line] = [line for line in lines if line.startswith("2026")]
    assert line.startswith("2026-01-05")
    assert line.endswith("undecided")


def test_a_clock_that_was_ahead_is_named(root: Path) -> None:
    Store(root).save(at(good(1), "2999-01-01T00:00:00Z"))
    assert "1 run is of the future" in run("m", "--store", root).stderr
    assert "future" not in run("other", "--store", root).stderr


def test_a_model_that_was_never_measured_is_an_error(root: Path) -> None:
    result = run("nothing", "--store", root)
    assert isinstance(result.exception, UsageError)
