"""Defaults from a file: found from the folder upwards, checked, and below the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.habits.commands import Done, called
from support.networks import models

from onnxprof.cli.defaults.found import in_force
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

Call = Callable[..., Done]


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    return lambda *words: called(capsysbinary, *words)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder within a folder; what is above both is not looked at."""
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.delenv("ONNXPROF_CONFIG", raising=False)
    monkeypatch.delenv("ONNXPROF_STORE", raising=False)
    monkeypatch.chdir(inner)
    return inner


def test_the_nearest_file_counts_and_ours_before_the_shared_one(place: Path) -> None:
    above = place.parent / "onnxprof.toml"
    above.write_text("")
    shared = place / "pyproject.toml"
    shared.write_text("[project]\nname = 'x'\n")
    assert (found := in_force()) is not None
    assert found.path == above
    shared.write_text("[tool.onnxprof]\n")
    assert (found := in_force()) is not None
    assert found.path == shared
    ours = place / "onnxprof.toml"
    ours.write_text("")
    assert (found := in_force()) is not None
    assert found.path == ours


def test_a_variable_names_the_file_or_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "onnxprof.toml").write_text("[profile]\nthreads = 1\n")
    other = place / "other.toml"
    other.write_text("[profile]\nthreads = 2\n")
    monkeypatch.setenv("ONNXPROF_CONFIG", str(other))
    assert (found := in_force()) is not None
    assert found.values == {"profile": {"threads": 2}}
    monkeypatch.setenv("ONNXPROF_CONFIG", "")
    assert in_force() is None
    monkeypatch.setenv("ONNXPROF_CONFIG", str(place / "none.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        in_force()


def test_options_of_a_command_take_their_defaults_from_it(place: Path, call: Call) -> None:
    models.save(models.lenet(), place, "lenet.onnx")
    (place / "onnxprof.toml").write_text(
        '[inspect]\nbatch = [1, 2]\nformat = "json"\ntimeout = 100\n'
    )
    tables = json.loads(call("inspect", "lenet.onnx").out)
    assert [table["batch"] for table in tables] == [1, 2]
    table = json.loads(call("inspect", "lenet.onnx", "--batch", "3").out)
    assert table["batch"] == 3, "the command line comes first"
    assert "default: json" in call("inspect", "--help").out


def test_a_store_for_every_command_from_the_folder_of_the_file(
    place: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(place.parent / "kept").save(sample_run("filed"))
    Store(place / "else").save(sample_run("environment"))
    Store(place / "given").save(sample_run("given"))
    (place.parent / "onnxprof.toml").write_text('store = "kept"\n')
    assert "filed" in call("runs", "list").out
    assert "filed" in call("runs", "show").out
    monkeypatch.setenv("ONNXPROF_STORE", "else")
    assert "environment" in call("runs", "list").out, "the environment comes before the file"
    assert "given" in call("runs", "list", "--store", "given").out


def test_lists_switches_and_tables(place: Path, call: Call) -> None:
    for batch in (1, 8):
        Store(place / "runs").save(sample_run("net", batch))
    Store(place / "runs").save(sample_run("other"))
    (place / "pyproject.toml").write_text(
        '[tool.onnxprof.runs.list]\nmodel = ["net"]\nbatch = 8\n'
        '[tool.onnxprof.runs.show]\nall = true\nmodel = "other"\n'
    )
    found = json.loads(call("runs", "list", "--json").out)["runs"]
    assert [(run["model"], run["batch"]) for run in found] == [("net", 8)]
    assert "other, batch 1" in call("runs", "show").out


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (
            "[inspect]\ncost = true\nbach = 1\n",
            "inspect lenet.onnx",
            "onnxprof.toml, line 3: 'bach' is no option of inspect. Did you mean batch? Allowed: ",
        ),
        (
            "\n[inspct]\n",
            "runs list",
            "onnxprof.toml, line 2: 'inspct' is no command or option. Did you mean inspect?",
        ),
        (
            "[runs]\nlit = 1\n",
            "runs list",
            "line 2: 'lit' is no command. Did you mean list? Allowed: list, show, export",
        ),
        ("inspect = 3\n", "inspect lenet.onnx", "line 1: inspect is no table. Write [inspect]"),
        ("[inspect]\ncost = 1\n", "inspect lenet.onnx", "line 2: cost is not true or false"),
        (
            "[inspect]\nbatch = {}\n",
            "inspect lenet.onnx",
            "line 2: batch is not a text or a number",
        ),
        ("[inspect]\ndim = [[]]\n", "inspect lenet.onnx", "line 2: dim is not a list of texts"),
        (
            "[inspect]\njson = true\n",
            "inspect lenet.onnx",
            "line 2: 'json' is no option of inspect",
        ),
        (
            "[inspect]\nmodel = 'x'\n",
            "inspect lenet.onnx",
            "line 2: 'model' is no option of inspect",
        ),
        ("[inspect]\ntimeout = 0\n", "inspect lenet.onnx", "onnxprof.toml, line 2: "),
        ("[inspect]\nbatch = 'two'\n", "inspect lenet.onnx", "onnxprof.toml, line 2: "),
        ("[runs.list]\nformat = 'xml'\n", "runs list", "onnxprof.toml, line 2: "),
        ("a =\n", "runs list", "onnxprof.toml: this is no TOML"),
        ("[a" * 2000, "runs list", "onnxprof.toml: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    text: str, words: str, expected: str, place: Path, call: Call
) -> None:
    models.save(models.lenet(), place, "lenet.onnx")
    (place / "onnxprof.toml").write_text(text)
    done = call(*words.split())
    assert done.code == 2
    assert expected in done.err, done.err
    assert done.err.count("\n") == 1


def test_the_line_is_that_of_the_file_alone_where_the_command_line_is_right(
    place: Path, call: Call
) -> None:
    models.save(models.lenet(), place, "lenet.onnx")
    (place / "onnxprof.toml").write_text("[inspect]\nbatch = 'two'\n")
    assert call("inspect", "lenet.onnx", "--batch", "2").code == 0
    wrong = call("inspect", "lenet.onnx", "--batch", "three")
    assert "onnxprof.toml" not in wrong.err


def test_doctor_checks_all_of_it_and_says_which_file_is_in_force(place: Path, call: Call) -> None:
    file = place / "onnxprof.toml"
    file.write_text("[profile]\nthreads = 1\n[runs.list]\nbatch = 1\n[sweep.run]\nquiet = true\n")
    done = call("doctor")
    assert "onnxprof.toml" in done.out
    file.write_text("[profile]\nthreads = 1\n[sweep.run]\nquite = true\n")
    wrong = call("doctor")
    assert wrong.code == 2
    assert "line 4: 'quite' is no option of sweep run. Did you mean quiet?" in wrong.err


def test_a_file_that_is_not_ours_is_passed_over(place: Path, call: Call) -> None:
    (place / "pyproject.toml").write_bytes(b"\xff\xfe not utf-8")
    assert call("runs", "list").code == 0
    (place / "pyproject.toml").write_text("this is no toml")
    assert call("runs", "list").code == 0
    (place / "pyproject.toml").write_text("tool.onnxprof = 3\n")
    done = call("runs", "list")
    assert (done.code, "tool.onnxprof is no table" in done.err) == (2, True)


def test_what_it_says_does_not_reach_the_environment(place: Path, call: Call) -> None:
    before = dict(os.environ)
    (place / "onnxprof.toml").write_text("[runs.list]\nbatch = 1\n")
    call("runs", "list")
    assert dict(os.environ) == before
