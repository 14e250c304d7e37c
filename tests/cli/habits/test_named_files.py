"""A file that cannot be written: refused before work is done for it, with what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.habits.commands import Done, called, started
from support.networks import models

from onnxprof.errors import OnnxprofError, StoreError, UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run
from onnxprof.writing import no_folder, refuse_unwritable, unwritable

Call = Callable[..., Done]


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    return lambda *words: called(capsysbinary, *words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 2):
        store.save(sample_run("net", batch, seed=batch))
    models.save(models.lenet(), tmp_path, "net.onnx")
    (tmp_path / "there.csv").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: Commands that write a file, each with the ending that it takes.
WRITING = [
    ("inspect net.onnx -o", ".csv"),
    ("runs show --batch 1 -o", ".csv"),
    ("runs export -o", ".csv"),
    ("compare runs runs -o", ".csv"),
    ("compare net.onnx net.onnx -o", ".csv"),
    ("align --over batch -o", ".csv"),
    ("scaling -o", ".csv"),
    ("advise runs -o", ".csv"),
    ("advise runs --apply", ".onnx"),
    ("optimized net.onnx -o", ".csv"),
    ("optimized net.onnx --save-optimized", ".onnx"),
    ("provenance net.onnx -o", ".csv"),
    ("ceilings -o", ".csv"),
    ("gate net.onnx --baseline net.onnx --markdown", ".md"),
    ("report -o", ".html"),
    ("export zoo:lenet -o", ".onnx"),
    ("zoo materialise lenet -o", ".onnx"),
    ("sweep init -o", ".toml"),
    ("profile net.onnx --batch 1 --save-optimized", ".onnx"),
]


@pytest.mark.parametrize(("words", "ending"), WRITING)
def test_a_folder_that_is_not_there(words: str, ending: str, folder: Path, call: Call) -> None:
    done = call(*words.split(), f"nowhere/x{ending}")
    assert (done.code, done.out) == (2, "")
    assert f"nowhere/x{ending}: cannot be written: there is no folder " in done.err
    assert "Make it, or name a file elsewhere" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(("words", "ending"), [WRITING[0], WRITING[2], WRITING[4], WRITING[14]])
def test_a_folder_in_the_place_of_the_file(
    words: str, ending: str, folder: Path, call: Call
) -> None:
    (folder / f"x{ending}").mkdir()
    done = call(*words.split(), f"x{ending}")
    assert done.code == 2
    assert "cannot be written: this is a folder. Name a file in it" in done.err
    below = call(*words.split(), f"file/x{ending}")
    assert (below.code, "file is a file and no folder" in below.err) == (2, True)


def test_formats_of_several_files_take_a_folder(folder: Path, call: Call) -> None:
    (folder / "made").mkdir()
    done = call("runs", "export", "--format", "model-explorer", "-o", "made")
    assert done.code == 0, done.err
    assert len(list((folder / "made").iterdir())) == 2


@pytest.mark.parametrize(
    ("number", "what", "remedy"),
    [
        (errno.ENOSPC, "no space is left there", "Free some, or name a file elsewhere"),
        (errno.EROFS, "you may not write to ", "or change its permissions"),
        (errno.EACCES, "you may not write to ", "or change its permissions"),
        (errno.EIO, os.strerror(errno.EIO), "Name a file elsewhere"),
    ],
)
def test_what_the_system_says(number: int, what: str, remedy: str, tmp_path: Path) -> None:
    error = unwritable(tmp_path / "x.csv", OSError(number, os.strerror(number)), StoreError)
    assert type(error) is StoreError
    assert error.what.startswith(f"cannot be written: {what}")
    assert error.remedy.endswith(remedy)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = no_folder(tmp_path / "file" / "x", NotADirectoryError(errno.ENOTDIR, "no"))
    assert isinstance(error, OnnxprofError)
    assert error.what == f"no folder can be made or filled: {tmp_path / 'file'} is a file"
    assert error.remedy == "Name a folder elsewhere"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_looked_at_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.csv").write_text("")
    refuse_unwritable(tmp_path / "there.csv", tmp_path / "new.csv", None, "", "-")
    monkeypatch.setattr(os, "access", lambda *_: False)
    for name in ("there.csv", "new.csv"):
        with pytest.raises(UsageError, match="you may not write to"):
            refuse_unwritable(tmp_path / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["runs list", "runs list --json", "inspect net.onnx", "--help"])
def test_stdout_on_a_full_disk(words: str, folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "onnxprof", *words.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "onnxprof: the output: cannot be written: no space is left there."
        " Free some, or write elsewhere\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_file_on_a_full_disk(folder: Path) -> None:
    done = started("runs", "export", "--format", "csv", "-o", "/dev/full", folder=folder)
    assert done.code == 2
    assert "/dev/full: cannot be written: no space is left there. Free some" in done.err
