"""Whatever the encoding of stdout and whoever reads it: no command ends with a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models
from support.places import ROOT

from onnxprof.cli.output import deliver, file_format, note, say
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

NARROW = ("ascii", "cp1252", "cp437", "latin-1", "shift_jis", "utf-16", "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("output")
    for batch in (1, 2):
        Store(root / "runs").save(sample_run("净-Ω", batch))
    models.save(models.lenet(), root, "net.onnx")
    return root


def onnxprof(
    folder: Path, *words: str, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    changed = {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    return subprocess.run(
        [sys.executable, "-m", "onnxprof", *words],
        capture_output=True,
        cwd=folder,
        env={**os.environ, **changed},
        check=False,
    )


@pytest.mark.parametrize("encoding", NARROW)
def test_a_run_is_shown_in_any_encoding(folder: Path, encoding: str) -> None:
    done = onnxprof(folder, "runs", "show", encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert b"bug in" not in done.stderr
    text = done.stdout.decode(encoding)
    assert "(total)" in text
    assert ("█" in text) == encoding.startswith("utf") or encoding == "cp437"
    if encoding == "ascii":
        assert "###" in text
        assert "+/-" in text
        assert "\\u51c0" in text


@pytest.mark.parametrize(
    "words",
    [
        "runs list",
        "runs list --format json",
        "runs export",
        "align --over batch runs",
        "scaling runs",
        "inspect net.onnx",
        "inspect net.onnx --format md",
        "zoo list",
        "zoo info bert-base",
        "doctor",
        "compare runs runs",
        "--help",
        "profile --help",
    ],
)
def test_every_command_writes_in_ascii(folder: Path, words: str) -> None:
    done = inside(*words.split(), folder=folder, encoding="ascii")
    assert "bug in" not in done.err
    assert done.code in (0, 2)


def test_a_run_is_measured_and_stored_in_a_narrow_encoding(folder: Path) -> None:
    words = "profile net.onnx --batch 1 --budget 0.05 --store made --threads 1"
    done = onnxprof(folder, *words.split(), encoding="cp1252")
    assert done.returncode == 0, done.stderr
    assert "µs".encode("cp1252") in done.stdout
    assert len(list(Store(folder / "made").paths())) == 1


@pytest.mark.parametrize("words", ["runs show", "runs export", "inspect net.onnx", "zoo list"])
def test_a_reader_that_leaves_is_no_error(folder: Path, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "onnxprof", *words.split()],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert b"onnxprof:" not in done.stderr
    assert b"Traceback" not in done.stderr


ENDINGS = {"csv": (".csv",), "json": (".json",), "chrome": (".json",), "md": (".md", ".markdown")}


@pytest.mark.parametrize(
    ("given", "output", "expected"),
    [
        ("", None, "csv"),
        ("", "out", "csv"),
        ("", "out.JSON", "json"),
        ("", "out.markdown", "md"),
        ("chrome", "out.json", "chrome"),
        ("md", None, "md"),
        ("md", "out", "md"),
        ("csv", "out.txt", "csv"),
    ],
)
def test_the_format_is_that_of_the_ending(given: str, output: str | None, expected: str) -> None:
    assert file_format(given, output, ENDINGS, "csv") == expected


@pytest.mark.parametrize(
    ("given", "output", "match"),
    [
        ("", "out.ods", r"end in \.ods.*csv \(\.csv\), json .* md \(\.md, \.markdown\)"),
        ("json", "out.csv", r"--format json and the ending \.csv do not go together"),
        ("chrome", "out.md", "do not go together"),
        ("csv", "out.xlsx", r"--format csv and the ending \.xlsx do not go together"),
        ("xml", "out.csv", r"no format 'xml'. Choose csv, json, chrome or md"),
    ],
)
def test_other_endings_are_refused(given: str, output: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        file_format(given, output, ENDINGS, "csv")


@pytest.mark.parametrize(
    "words",
    [
        "runs export",
        "compare runs/ runs/",
        "align runs",
        "inspect net.onnx",
        "align --over batch runs",
        "scaling runs",
    ],
)
@pytest.mark.parametrize("rest", ["-o out.ods", "-o out.csv --format json"])
def test_every_command_refuses_them_before_it_works(folder: Path, words: str, rest: str) -> None:
    done = inside(*words.split(), *rest.split(), folder=folder)
    assert done.code == 2
    assert "csv (.csv)" in done.err, done.err
    assert not list(folder.glob("out.*"))


def test_what_goes_to_a_file_is_encoded_whatever_it_holds(tmp_path: Path) -> None:
    deliver("净\ud800\r\n", tmp_path / "text")
    assert (tmp_path / "text").read_bytes() == "净\\ud800\r\n".encode()
    deliver(b"\x00\xff", tmp_path / "bytes")
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("output", [None, "", "-"])
def test_without_a_file_it_goes_to_stdout(
    output: str | None, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    deliver("a\r\n", output)
    assert capsysbinary.readouterr().out == b"a\r\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: there is no folder") as caught:
        deliver("x", tmp_path / "nowhere" / "x.csv")
    assert "nowhere" in str(caught.value)


def test_what_is_said_obeys_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    say("evil\x1b[31m")
    note("evil\nline")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "onnxprof: evil\\x1b[31m\nevil\\nline\n")


@pytest.mark.parametrize("words", ["", "runs", "sweep", "zoo"])
def test_a_command_without_arguments_prints_its_help_in_lines(folder: Path, words: str) -> None:
    done = onnxprof(folder, *words.split())
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"Usage: onnxprof {words}".rstrip())
    assert "\n  -h, --help" in done.stderr.decode()
