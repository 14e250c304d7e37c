"""`onnxprof gate` by the command line, on models of a small repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from support.gates.repositories import SETTINGS, Repository, repository
from support.gates.slowdowns import network
from support.habits.commands import inside
from typer.testing import CliRunner

from onnxprof.cli.commands.gate import gate
from onnxprof.cli.options import parse_percent
from onnxprof.errors import UsageError
from onnxprof.store.folder import load_all

QUICK = ("--processes", "4", "--budget", "0.2", "--threads", "1", "--batch", "64")


def run(*arguments: str, folder: Path, **environ: str) -> tuple[int, str, str]:
    done = inside("gate", *arguments, folder=folder, env={**SETTINGS, "COLUMNS": "80", **environ})
    return done.code, done.out, done.err


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two models; in the work tree one is slower, one only says something else of itself."""
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    made = repository(tmp_path_factory.mktemp("repo"))
    for name in ("slow", "equal", "same"):
        made.write(f"models/{name}.onnx", network(3))
    made.commit()
    made.write("models/slow.onnx", network(9))
    made.write("models/equal.onnx", network(3, "retrained"))
    made.write("models/new.onnx", network(1))
    return made


def test_a_planted_slowdown_fails_the_job_and_says_where(repo: Repository, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    code, out, err = run(
        *("models/slow.onnx", "models/new.onnx", "models/same.onnx", "--baseline", "main", *QUICK),
        *("--github", "--markdown", str(tmp_path / "gate.md")),
        *("--code-quality", str(tmp_path / "quality.json"), "--store", str(tmp_path / "kept")),
        folder=repo.root,
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_WORKSPACE=str(repo.root),
    )
    assert code == 1, err
    assert "Gate: 1 of 3 cases slower by more than 5 %." in out
    assert "only in new" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith("::")) <= 80
    lines = out.splitlines()
    assert lines[0].startswith("::stop-commands::")
    assert f"::{lines[0].removeprefix('::stop-commands::')}::" in lines
    assert any(
        line.startswith("::error file=models/slow.onnx,title=onnxprof gate%3A slower::")
        for line in lines
    )
    text = (tmp_path / "gate.md").read_text("utf-8")
    assert summary.read_text("utf-8") == "before\n" + text
    assert "🔴 slower" in text
    assert "| unchanged |" in text
    issues = json.loads((tmp_path / "quality.json").read_text("utf-8"))
    assert issues[0]["check_name"] == "onnxprof-gate-slower"
    assert {issue["location"]["path"] for issue in issues} == {"models/slow.onnx"}
    runs, problems = load_all([tmp_path / "kept"])
    assert not problems
    assert [found.request.processes for found in runs] == [4, 4]
    assert {found.model.reference for found in runs} == {"slow.onnx"}
    assert "pairs of processes of the old version" in err
    assert "processes of one model scatter by" in err


def test_an_equal_model_passes(repo: Repository, tmp_path: Path) -> None:
    code, out, err = run(
        *("models/equal.onnx", "--baseline", "HEAD", *QUICK, "--max-slowdown", "50%"),
        *("--markdown", str(tmp_path / "gate.md")),
        folder=repo.root,
    )
    assert code == 0, err
    assert "Gate: nothing is shown to be slower by more than 50 %." in out
    assert not out.startswith("::")
    assert "### 🟢 onnxprof gate" in (tmp_path / "gate.md").read_text("utf-8")
    assert not list(tmp_path.glob("onnxprof-*"))


def test_json_is_all_that_stdout_has(repo: Repository) -> None:
    given = ("models/same.onnx", "models/new.onnx", "--baseline", "main", "--json")
    code, out, err = run(*given, folder=repo.root)
    assert (code, err) == (0, "")
    assert [case["outcome"] for case in json.loads(out)["cases"]] == ["unchanged", "new"]


def test_a_folder_is_a_baseline_and_what_is_unchanged_is_not_measured(
    repo: Repository, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "equal.onnx").write_bytes(network(3, "retrained"))
    code, out, err = run("models/equal.onnx", "--baseline", str(before), folder=repo.root)
    assert code == 0
    assert "Unchanged: the same bytes" in out
    assert err == ""


def test_a_damaged_model_is_told_and_stops_no_other(repo: Repository, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "bad.onnx").write_bytes(b"no model")
    (before / "same.onnx").write_bytes(network(3))
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(network(3))
    code, out, _ = run(*(str(bad), "models/same.onnx", "--baseline", str(before)), folder=repo.root)
    assert code == 2
    assert "Failed:" in out
    assert "Unchanged" in out
    assert "Gate: 1 of 2 cases not measured." in out


app = typer.Typer()
app.command()(gate)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-slowdown", "5"], "no percentage"),
        (["--max-slowdown", "0%"], "not between 0.1% and 1000%"),
        (["--false-alarms", "90%"], "not between 0.01% and 50%"),
        (["--device", "all"], "one device"),
        (["--github", "--json"], "both print on stdout"),
        (["--baseline", "--help"], "no folder, file or commit"),
        (["--baseline", "none"], "no folder, file or commit 'none'"),
        (["--baseline", "zoo:none"], "the zoo has no such network"),
        (["--baseline", "hf:none"], "hf:none"),
    ],
)
def test_bad_use(repo: Repository, arguments: list[str], words: str) -> None:
    given = [str(repo.root / "models/slow.onnx"), "--baseline=main", *arguments]
    found = CliRunner().invoke(app, given, standalone_mode=False)
    assert isinstance(found.exception, UsageError)
    assert words in str(found.exception)


def test_too_few_pairs_and_no_baseline_are_refused(repo: Repository) -> None:
    model = str(repo.root / "models/slow.onnx")
    for given in ([model, "--baseline", "main", "--processes", "3"], [model]):
        assert CliRunner().invoke(app, given).exit_code == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("5%", 0.05), ("2.5 %", 0.025), ("0.05", 0.05), (".1", 0.1), ("200%", 2.0)],
)
def test_percentages(text: str, value: float) -> None:
    assert parse_percent(text, "--x", 0.001, 10.0) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "5", "-5%", "nan", "1e3%", "5%%", "five", "9" * 40 + "%"])
def test_what_is_no_percentage(text: str) -> None:
    with pytest.raises(UsageError, match="--x"):
        parse_percent(text, "--x", 0.001, 10.0)
