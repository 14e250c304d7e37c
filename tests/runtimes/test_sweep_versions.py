"""A sweep over versions of a runtime: each is asked what it takes before anything is measured."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from support import versions
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.sweeping.run import run as sweep
from onnxprof.records.run import RUNTIME
from onnxprof.runtimes import overlay
from onnxprof.store.folder import load_all

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")

PLAN = """
[defaults]
budget = 0.05
threads = 1
telemetry = false
parity = false
verify = false
runtime = ["fakert==1.0", "fakert==1.1"]

[[models]]
name = "*.onnx"
session-option = {quick = 1}
"""

app = typer.Typer()
app.command("sweep")(sweep)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan for two versions of the fake runtime, of which the first has no option `quick`."""
    index = tmp_path / "index"
    versions.wheel(index, "1.0", versions.source({}))
    versions.wheel(index, "1.1", versions.source({}, (), ["quick"]))
    versions.offline_index(index, monkeypatch)
    monkeypatch.syspath_prepend(str(versions.backend(tmp_path / "plugin")))
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    models.save(models.linear(), tmp_path, "linear.onnx")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)
    assert result.exception is None, (result.exception, result.stderr)
    return result


def kept(store: Path) -> list[tuple[str, str]]:
    runs, problems = load_all([store])
    assert not problems
    return [(dict(run.environment)[RUNTIME], run.request.runtime) for run in runs]


def test_a_version_refuses_its_jobs_before_anything_is_measured_and_the_other_runs(
    plan: Path, tmp_path: Path
) -> None:
    result = run(plan, "--store", "kept")
    assert result.return_value == 2
    told = " ".join(result.output.split())
    assert "fakert 1.0: no option quick" in told
    assert told.index("no option quick") < told.index("fakert 1.1 on cpu")
    assert kept(tmp_path / "kept") == [("fakert 1.1", "fakert==1.1")]


def test_the_same_command_again_finds_its_jobs_done_and_none_stale(
    plan: Path, tmp_path: Path
) -> None:
    plan.write_text(PLAN.replace('"fakert==1.0", ', ""))
    assert run(plan, "--store", "kept").return_value == 0
    for more in ((), ("--stale",)):
        again = run(plan, "--store", "kept", *more)
        assert again.return_value == 0
        assert again.stderr.strip() == "0 measured"
        assert len(kept(tmp_path / "kept")) == 1


def test_a_dry_run_installs_nothing_and_says_what_it_could_not_check(plan: Path) -> None:
    result = run(plan, "--store", "kept", "--dry-run")
    assert result.return_value == 0
    assert not overlay.kept()
    assert "fakert==1.0: its devices and options are checked once it is" in result.stderr
    assert "fakert==1.1" in result.stdout
    run(plan, "--store", "kept")
    result = run(plan, "--store", "kept", "--dry-run")
    assert result.return_value == 2
    assert "fakert 1.0: no option quick" in " ".join(result.stderr.split())
    assert "are checked once" not in result.stderr
