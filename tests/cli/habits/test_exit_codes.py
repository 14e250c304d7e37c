"""Exit codes: 0, 1 for a measured no, 2 for use, 141 for a reader that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.habits.commands import inside, started
from support.networks import models
from support.places import ROOT

from onnxprof.cli import main
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("codes")
    for batch in (1, 2):
        Store(root / "runs").save(sample_run("net", batch))
    models.save(models.lenet(), root, "lenet.onnx")
    return root


#: tests/cli/test_cli_output.py has four more, whose code is always 141.
PRINTING = (
    "inspect lenet.onnx --json",
    "runs list",
    "runs list --json",
    "runs show --json",
    "runs export --format parquet",
    "runs history net",
    "align runs --over batch",
    "scaling runs --json",
    "zoo list --json",
    "zoo info lenet",
    "doctor --json",
    "completion bash",
    "schema",
    "--help",
    "profile --help",
)


@pytest.mark.parametrize("words", PRINTING)
def test_a_reader_that_is_gone_is_no_failure(folder: Path, words: str) -> None:
    """As behind `| head`: 0, or what a shell says of SIGPIPE; never 1, and nothing on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "onnxprof", *words.split()],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    finally:
        os.close(writing)
    assert done.returncode in (0, 141)
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("profle lenet.onnx", "Did you mean 'profile'?"),
        ("runs lst", "Did you mean 'list'?"),
        ("profile lenet.onnx --budgt 1", "Did you mean --budget?"),
        ("inspect", "onnxprof inspect --help"),
        ("inspect lenet.onnx --batch x", "'x' is not a whole number"),
        ("inspect lenet.onnx --timeout soon", "onnxprof inspect --help"),
        ("runs list --format xml", "onnxprof runs list --help"),
        ("inspect lenet.onnx --format xml", "Choose table, csv, json, md or xlsx"),
        ("profile lenet", "Did you mean zoo:lenet?"),
        ("inspect squeeznet", "zoo:squeezenet"),
        ("compare lenet runs", "Did you mean the model zoo:lenet"),
        ("runs show LeNet", "--model lenet?"),
        ("profile lenet.onnx --backend orts", "Did you mean"),
        ("profile lenet.onnx --timer trce", "Choose auto, trace, prefix or cupti"),
    ],
)
def test_bad_use_is_2_with_one_line_that_helps(folder: Path, words: str, told: str) -> None:
    done = inside(*words.split(), folder=folder)
    assert done.code == 2
    assert told in done.err, done.err
    assert done.err.startswith("onnxprof: ")
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_a_measured_no_is_1(folder: Path) -> None:
    slow = Store(folder / "slow")
    slow.save(sample_run("net", 1, scale=2.0))
    done = started("compare", "runs", "slow", "--batch", "1", folder=folder)
    assert done.code == 1, done.err
    assert started("compare", "slow", "runs", "--batch", "1", folder=folder).code == 0


def test_what_windows_says_of_a_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = OSError(22, "Invalid argument")
    assert not main._is_unread(gone)
    monkeypatch.setattr(sys, "platform", "win32")
    assert main._is_unread(gone)
    assert not main._is_unread(OSError(22, "Invalid argument", "file.onnx"))
    assert main._is_unread(BrokenPipeError(32, "Broken pipe"))
    assert not main._is_unread(UsageError("x"))
