"""`onnxprof compare MODEL --runtime …` and `--bisect`, with a runtime in many versions."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from support import versions
from support.habits.documents import checked
from support.networks import models
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.load.scenario import scenario
from onnxprof.cli.commands.profile import profile
from onnxprof.cli.commands.stored.compare import compare
from onnxprof.errors import BackendError, UsageError
from onnxprof.records.run import RUNTIME, Run
from onnxprof.records.warning import WarningKind
from onnxprof.store.beside.scenarios import load as load_scenario
from onnxprof.store.folder import load_all

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")
FAST, SLOW = {"Gemm": 1_000_000}, {"Gemm": 2_500_000}
#: Short, and enough for a change of twice.
QUICK = ("--processes", "2", "--budget", "0.6", "--threads", "1", "--threshold", "0.3")

app = typer.Typer()
app.command("compare")(compare)
app.command("profile")(profile)
app.command("scenario")(scenario)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)


def done(*arguments: object, code: int = 0) -> Result:
    result = run(*arguments)
    assert result.exception is None, (result.exception, result.stderr)
    assert result.return_value == code, result.output
    return result


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, the fake backend, and versions 1.0 to 1.6 of its runtime: slow from 1.4 on."""
    index = tmp_path / "index"
    for minor in range(7):
        speed = SLOW if minor >= 4 else FAST
        lacks = ["no fast_call, so the slow one"] if minor == 0 else []
        versions.wheel(
            index, f"1.{minor}", versions.source(speed, lacks, ["quick"] if minor else [])
        )
    versions.wheel(index, "1.3rc1", "raise ImportError('never to be tried')")
    versions.wheel(index, "2.0", "raise ImportError('no such library')")
    versions.offline_index(index, monkeypatch)
    monkeypatch.syspath_prepend(str(versions.backend(tmp_path / "plugin")))
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return models.save(models.linear(), tmp_path)


def loaded(store: Path) -> list[Run]:
    runs, problems = load_all([store])
    assert not problems
    return sorted(runs, key=lambda run: run.request.runtime)


def test_two_versions_in_turn(model: Path, tmp_path: Path) -> None:
    pair = ("--runtime", "fakert==1.0", "--runtime", "fakert==1.4")
    words = (*QUICK, "--store", "kept", "--require", "no-slower")
    result = done("compare", model, *pair, *words, code=1)
    text = result.stdout
    assert "A: fakert 1.0 on Fake CPU" in text
    assert "B: fakert 1.4 on Fake CPU" in text
    assert "layers: 1 slower" in text  # their times are scripted, the latency is slept
    assert "by operator" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "--require no-slower: " in result.stderr
    assert "runtime differs: fakert 1.0 in A, fakert 1.4 in B" in result.stderr
    old, new = loaded(tmp_path / "kept")
    for kept, version in ((old, "1.0"), (new, "1.4")):
        facts = dict(kept.environment)
        assert facts[RUNTIME] == f"fakert {version}"
        assert facts["fakert"] == version
        assert kept.request.runtime == f"fakert=={version}"
        assert f"--runtime fakert=={version}" in kept.command
    lacks = [w.subject for w in old.warnings if w.kind is WarningKind.RUNTIME_LACKS]
    assert lacks == ["no fast_call, so the slow one"]
    assert not any(w.kind is WarningKind.RUNTIME_LACKS for w in new.warnings)


def test_one_version_against_itself_in_json(model: Path) -> None:
    pair = ("--runtime", "fakert==1.1", "--runtime", "fakert==1.1", "--threshold", "3")
    told = checked(done("compare", model, *pair, *QUICK[:6], "--json").stdout, "compare")
    assert told["bisection"] is None
    (only,) = told["pairs"]
    assert only["latency"]["verdict"] in ("same", "undecided")
    assert [each["operator"] for each in only["operators"]]
    assert only["a"][0]["request"]["runtime"] == "fakert==1.1"


def test_one_version_stands_against_the_installed_one(model: Path, monkeypatch) -> None:
    installed = model.parent / "installed"
    versions.wheel(installed, "1.9", versions.source(SLOW))
    monkeypatch.syspath_prepend(str(next(installed.glob("*.whl"))))  # a wheel is a zip of modules
    result = done("compare", model, "--runtime", "fakert==1.2", *QUICK, code=1)
    assert "A: fakert 1.2" in result.stdout
    assert "B: fakert 1.9" in result.stdout


def test_the_first_slow_version_is_found(model: Path) -> None:
    ends = ("--runtime", "fakert==1.0", "--runtime", "fakert==1.6", "--bisect")
    result = done("compare", model, *ends, *QUICK, code=1)
    told = " ".join(result.stdout.split())
    assert "The first slow version is fakert 1.4; 1.3 is the last that is not slower." in told
    assert "5 versions lie between, 3 steps at most" in result.stderr
    assert "1.3rc1" not in result.output
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_search_into_a_file(model: Path, tmp_path: Path) -> None:
    ends = ("--runtime", "fakert==1.3", "--runtime", "fakert==1.5", "--bisect", *QUICK)
    done("compare", model, *ends, "-o", tmp_path / "found.json", code=1)
    told = json.loads((tmp_path / "found.json").read_text("utf-8"))["bisection"]
    assert (told["first_slow"], told["last_good"]) == ("1.4", "1.3")
    assert [(step["step"], step["version"], step["outcome"]) for step in told["steps"]] == [
        *((0, "1.5", "slower"), (1, "1.4", "slower"))
    ]


def test_a_version_that_is_not_slower_has_nothing_to_bisect(model: Path) -> None:
    ends = ("--runtime", "fakert==1.0", "--runtime", "fakert==1.3", "--bisect")
    result = done("compare", model, *ends, *QUICK)
    assert "no bisection" in result.stderr
    assert "first slow version" not in result.stdout


def test_the_printed_command_measures_the_version_again(model: Path, tmp_path: Path) -> None:
    words = ("--runtime", "fakert==1.1", "--batch", "1", "--budget", "0.1", "--no-parity")
    result = run("profile", model, *words, "--store", "again", "--no-telemetry")
    assert result.exception is None, result.exception
    (kept,) = loaded(tmp_path / "again")
    assert dict(kept.environment)[RUNTIME] == "fakert 1.1"
    assert kept.request.backend == "fakert"
    assert "--runtime fakert==1.1" in kept.command


def test_a_version_is_put_under_load(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="needs onnxprof[loadgen]")
    words = ("--scenario", "single-stream", "--duration", "0.2", "--threads", "1")
    result = run("scenario", model, *words, "--runtime", "fakert==1.1", "--store", "loads")
    assert result.exception is None, (result.exception, result.stderr)
    (path,) = (tmp_path / "loads").rglob("*.json")
    kept = load_scenario(path)
    assert kept.answer is not None
    assert (kept.asked.runtime, kept.asked.backend) == ("fakert==1.1", "fakert")
    assert dict(kept.environment)[RUNTIME] == "fakert 1.1"
    assert "--runtime fakert==1.1" in kept.command


def test_a_version_is_asked_what_may_be_set(model: Path, tmp_path: Path) -> None:
    words = ("--budget", "0.1", "--batch", "1", "--no-parity", "--no-telemetry", "--store", "kept")
    setting = ("--session-option", "quick=1")
    run("profile", model, "--runtime", "fakert==1.1", *setting, *words)
    (kept,) = loaded(tmp_path / "kept")
    assert kept.request.session_options == (("quick", "1"),)
    older = run("profile", model, "--runtime", "fakert==1.0", *setting, *words)
    assert isinstance(older.exception, BackendError)
    assert str(older.exception).startswith("fakert 1.0: no option quick")


def test_every_process_of_a_measurement_has_the_version(model: Path, tmp_path: Path) -> None:
    words = ("--budget", "0.1", "--batch", "1", "--no-parity", "--no-telemetry", "--store", "kept")
    more = ("--threads", "2", "--streams", "2", "--save-optimized", tmp_path / "graph.txt")
    result = run("profile", model, "--runtime", "fakert==1.1", *words, *more)
    assert result.exception is None, result.exception
    (kept,) = loaded(tmp_path / "kept")
    assert kept.concurrency is not None
    assert kept.concurrency.failure == ""
    assert all(kept.concurrency.latency_ns)
    assert "fakert-1.1-" in (tmp_path / "graph.txt").read_text("utf-8")


def test_a_version_is_of_one_backend(model: Path) -> None:
    result = run("profile", model, "--runtime", "fakert==1.1", "--backend", "fakert,torch")
    assert isinstance(result.exception, UsageError)
    assert "--backend names 2 backends" in str(result.exception)
    assert not (model.parent / "cache").exists()


def test_a_version_that_cannot_be_imported_says_why(model: Path) -> None:
    result = run("compare", model, "--runtime", "fakert==2.0", "--runtime", "fakert==1.0", *QUICK)
    assert isinstance(result.exception, BackendError)
    told = str(result.exception)
    assert told.startswith("fakert 2.0: fakert cannot be imported: no such library")
    assert "pip install" not in told  # that would install another version


def test_a_package_without_the_runtime_is_refused(model: Path, tmp_path: Path) -> None:
    versions.wheel(tmp_path / "index", "1.0", package="fakert-tools")
    result = run("compare", model, "--runtime", "fakert-tools==1.0", *QUICK)
    assert isinstance(result.exception, BackendError)
    assert "fakert-tools 1.0" in str(result.exception)


TWO = ("--runtime", "fakert==1.0", "--runtime", "fakert==1.4")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("m.onnx", "n.onnx", *TWO), "compares versions on one model"),
        (("runs", *TWO), "compares versions on one model"),
        (("m.onnx", *TWO, "--runtime", "fakert==1.5"), "3 versions are named"),
        (("m.onnx", *TWO, "--layer-errors"), "--layer-errors needs two models"),
        (("m.onnx", "--bisect"), "--bisect looks between two versions"),
        (("m.onnx", *TWO[:2], "--bisect"), "--bisect looks between two versions"),
        (("m.onnx",), "compare takes two runs or two models"),
        (("m.onnx", "--runtime", "numpy==2.0"), "numpy is the package of no backend"),
        (("m.onnx", "--runtime", "fakert"), "is no version of a runtime"),
        (("m.onnx", *TWO, "--backend", "torch"), "is a runtime of the backend fakert"),
        (("m.onnx", *TWO[:2], *TWO[:2], "--bisect"), "there is nothing between"),
        (("m.onnx", *TWO[:2], "--runtime", "torch==2.0", "--bisect"), "not versions of one"),
        (("m.onnx", *TWO, "--bisect", "--batch", "1,2"), "takes one batch size"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_downloaded(
    model: Path, words: tuple[str, ...], told: str
) -> None:
    result = run("compare", *words)
    assert isinstance(result.exception, UsageError), result.exception
    assert told in str(result.exception)
    assert not (model.parent / "cache").exists()
