"""The composite action and GitLab's template: what they may do, and that their steps work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.gates.repositories import SETTINGS, Repository, repository
from support.gates.slowdowns import network
from support.places import ROOT

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which huggingface_hub brings")

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
TEMPLATE = yaml.safe_load((ROOT / "ci" / "gate.gitlab-ci.yml").read_text("utf-8"))
JOB = TEMPLATE[".onnxprof-gate"]
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
STEPS = ACTION["runs"]["steps"]
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
QUICK = {"processes": "4", "budget": "0.2", "threads": "1", "batch": "64"}


def test_scripts_hold_no_expression() -> None:
    for step in STEPS:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        assert set(step) <= {"name", "id", "shell", "env", "run"}


def test_every_input_reaches_a_step_and_every_variable_is_an_input() -> None:
    used = {value for step in STEPS for value in step["env"].values()}
    assert used == {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]}
    for step in STEPS:
        for name in step["env"]:
            assert f"${name}" in step["run"], name


def test_versions_are_pinned() -> None:
    assert VERSION is not None
    wanted = f"onnxprof[cpu]=={VERSION[1]}"
    assert ACTION["inputs"]["package"]["default"] == wanted
    assert JOB["variables"]["GATE_PACKAGE"] == wanted
    assert f"`{wanted}`" in PAGE, "the page says what is installed"
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-\w+", JOB["image"])
    for used in re.findall(r"uses: (\S+)", PAGE):
        assert used == "./" or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used)


def workflows() -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def test_the_workflow_of_the_docs_may_only_read() -> None:
    workflow = workflows()[0]
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request" in workflow[True]  # YAML 1.1 reads `on` as a boolean
    assert "secrets." not in PAGE
    (job,) = workflow["jobs"].values()
    given = job["steps"][-1]["with"]
    assert set(given) <= set(ACTION["inputs"])


def test_the_template_of_the_docs_is_the_one_that_is_there() -> None:
    told = workflows()[1]
    assert told["gate"]["extends"] == ".onnxprof-gate"
    assert set(told["gate"]["variables"]) <= set(JOB["variables"])
    assert (ROOT / told["include"][0]["local"]).is_file()


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    made = repository(tmp_path_factory.mktemp("repo"))
    made.write("a b/slow.onnx", network(3))
    made.write("a b/equal.onnx", network(3))
    made.write("a b/same.onnx", network(3))
    made.commit()
    made.write("a b/slow.onnx", network(9))
    made.write("a b/equal.onnx", network(3, "retrained"))
    made.commit()
    return made


def environment(folder: Path) -> dict[str, str]:
    """That of a job, in which `python3` is the one that runs the tests."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        script = bin_ / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        script.chmod(0o755)
    return {
        **os.environ,
        **SETTINGS,
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }


def action(repo: Repository, folder: Path, **inputs: str) -> tuple[int, str]:
    """Run the action's steps as the runner does: expressions are put into `env`, a step a shell."""
    given = {name: str(told.get("default", "")) for name, told in ACTION["inputs"].items()}
    given |= {"package": ""} | QUICK | {k.replace("_", "-"): v for k, v in inputs.items()}
    environ = {**environment(folder), "GITHUB_WORKSPACE": str(repo.root)}
    out = ""
    for step in STEPS:
        script = folder / "step.sh"
        script.write_text(step["run"], "utf-8")
        own = {
            name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")]
            for name, value in step["env"].items()
        }
        code, told = shell(["bash", "-e", str(script)], repo.root, environ | own)
        out += told
        if code:
            return code, out
    return 0, out


def shell(command: list[str], folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        **{"cwd": folder, "env": environ, "text": True, "timeout": 300, "check": False},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


@needs_bash
def test_the_action_stops_a_planted_slowdown(repo: Repository, tmp_path: Path) -> None:
    code, out = action(repo, tmp_path, models="a b/slow.onnx\n\na b/same.onnx\n")
    assert code == 1, out
    assert "::error file=a b/slow.onnx,title=onnxprof gate%3A slower::" in out
    told = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert told["exit-code"] == "1"
    report = Path(told["markdown"]).read_text("utf-8")
    assert "🔴 slower" in report
    assert (tmp_path / "summary").read_text("utf-8") == report


@needs_bash
def test_the_action_passes_what_is_equal(repo: Repository, tmp_path: Path) -> None:
    code, out = action(repo, tmp_path, models="a b/equal.onnx", max_slowdown="50%")
    assert code == 0, out
    assert "::error" not in out
    assert "exit-code=0" in (tmp_path / "output").read_text()


@needs_bash
def test_inputs_are_data(repo: Repository, tmp_path: Path) -> None:
    hostile = '$(touch hacked)`touch hacked`"; touch hacked; "'
    names = "models", "baseline", "max_slowdown", "require", "batch", "backend", "threads"
    for name in (*names, "phase", "dim"):
        given = {"models": "a b/equal.onnx"} | {name: hostile}
        code, out = action(repo, tmp_path, **given)
        assert code == 2, (name, out)
    assert not (repo.root / "hacked").exists()


@needs_bash
def test_the_action_fetches_the_commit_before_where_it_is_missing(
    repo: Repository, tmp_path: Path
) -> None:
    shallow = repository(tmp_path / "shallow")
    shallow.git("remote", "add", "origin", f"file://{repo.root}")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "main")
    shallow.git("checkout", "--quiet", "FETCH_HEAD")
    (tmp_path / "job").mkdir()
    code, out = action(shallow, tmp_path / "job", models="a b/same.onnx")
    assert code == 0, out
    assert "Unchanged: the same bytes as in HEAD^" in out


@needs_bash
@pytest.mark.parametrize(("model", "code"), [("a b/slow.onnx", 1), ("a b/same.onnx", 0)])
def test_the_template_runs(repo: Repository, tmp_path: Path, model: str, code: int) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(repo.root, clone)
    variables = dict(JOB["variables"]) | {
        "GATE_MODELS": f"{model}\n",
        "GATE_BASELINE": "HEAD^",
        "GATE_MAX_SLOWDOWN": "50%",
        **{f"GATE_{name.upper()}": value for name, value in QUICK.items()},
    }
    environ = {**environment(tmp_path), **variables, "CI_PROJECT_DIR": str(clone)}
    done, out = shell(["bash", "-eo", "pipefail", "-c", "\n".join(JOB["script"])], clone, environ)
    assert done == code, out
    assert (clone / "onnxprof-gate.md").is_file()
    assert (clone / "gl-code-quality.json").read_text().startswith("[")
    paths = [*JOB["artifacts"]["paths"], JOB["artifacts"]["reports"]["codequality"]]
    assert all((clone / path).is_file() for path in paths)
