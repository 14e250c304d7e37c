"""With NO_COLOR or a dumb terminal no escape is written: tables, progress, boards, help."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.habits.commands import ran
from support.networks import models
from support.sweeps.events import END, SCRIPT

from onnxprof.cli.board.watching import shown
from onnxprof.cli.output import is_plain, is_terminal, stderr_console, stdout_console
from onnxprof.cli.progress import Meter, fetching, steps
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

PLAIN = [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("env", "plain"),
    [
        ({}, False),
        ({"NO_COLOR": ""}, False),
        ({"NO_COLOR": "0"}, True),
        ({"TERM": "dumb"}, True),
        ({"TERM": "unknown"}, True),
        ({"FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True),
    ],
)
def test_when_output_is_plain(
    env: dict[str, str], plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert is_plain() is plain
    if plain:
        assert not is_terminal(sys.stdout)
        assert not stderr_console().is_terminal
        assert stdout_console().color_system is None


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("env", PLAIN)
def test_progress_and_boards_write_none(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    sink = StringIO()
    console = Console(file=sink, force_terminal=True)
    with fetching(console) as progress:
        assert progress is None
    with steps(console, "packing") as advance:
        advance("half", 0.5)
    with Meter(console, 2, 1.0) as meter:
        meter.show("net", "batch 1", "warming up", 0.1)
        meter.note("a note")
        meter.done()
    assert sink.getvalue() == "onnxprof: a note\n"
    with shown(console) as hear:
        for _, event in (*SCRIPT, END):
            hear(event)
    assert "\x1b" not in sink.getvalue()


@pytest.mark.usefixtures("terminal")
def test_without_them_a_terminal_gets_its_progress() -> None:
    sink = StringIO()
    with Meter(Console(file=sink, force_terminal=True), 2, 1.0) as meter:
        meter.show("net", "batch 1", "warming up", 0.1)
    assert "\x1b" in sink.getvalue()


def at_terminal(folder: Path, words: str, env: Mapping[str, str]) -> str:
    """What a command writes where stdout and stderr are a terminal."""
    import pty

    terminal, other = pty.openpty()
    parts: list[bytes] = []
    reader = threading.Thread(target=lambda: parts.extend(iter(partial(_part, terminal), b"")))
    reader.start()
    try:
        ran(words.split(), other, other, folder, env)
    finally:
        os.close(other)
        reader.join()
        os.close(terminal)
    return b"".join(parts).decode(errors="replace")


def _part(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end is closed
        return b""


ESCAPE = re.compile("[\x1b\x9b]")


@pytest.mark.posix
@pytest.mark.parametrize("env", [{}, *PLAIN])
@pytest.mark.usefixtures("terminal")
def test_no_escape_reaches_a_real_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    Store(tmp_path / "runs").save(sample_run("net"))
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    coloured = 0
    for words in (
        "runs list",
        "runs show",
        "inspect lenet.onnx",
        "align runs",
        "doctor",
        "zoo list",
        "--help",
        "profile lenet.onnx --batch 1 --budget 0.05 --threads 1",
        "runs pack runs -o packed.parquet",
    ):
        text = at_terminal(tmp_path, words, env)
        assert "bug in" not in text, text
        coloured += bool(ESCAPE.search(text))
        if env:
            assert not ESCAPE.search(text), (words, text)
    assert bool(coloured) is not bool(env)
