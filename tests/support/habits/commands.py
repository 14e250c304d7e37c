"""Commands as the installed program runs them, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from onnxprof.cli import loudness, main
from onnxprof.cli.output import adapt_streams
from support.places import ROOT, TESTS


@dataclass(frozen=True)
class Done:
    """What a command left: exit code and texts."""

    code: int
    out: str
    err: str


def called(capsysbinary: pytest.CaptureFixture[bytes], *words: object) -> Done:
    """Run a command in this process."""
    capsysbinary.readouterr()
    code = main._run([str(word) for word in words])
    out, err = capsysbinary.readouterr()
    return Done(code, out.decode(), err.decode())


def inside(
    *words: object,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Done:
    """Run a command in this process, as if it had one of its own: folder, environment, streams.

    A tenth to a third of what `started` takes: the program is there, and so is the server that
    measuring processes are forked from. Not for what is about the process itself: how it starts,
    signals, limits, who reads its output.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = ran(words, out.fileno(), err.fileno(), folder, env or {}, encoding)
        return Done(code, _text(out, encoding), _text(err, encoding))


def ran(
    words: Sequence[object],
    out: int,
    err: int,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> int:
    """The exit code of a command in this process that writes to these file descriptors."""
    with (
        contextlib.chdir(folder or Path.cwd()),
        _environment(env or {}),
        _stream("stdout", 1, out, encoding),
        _stream("stderr", 2, err, encoding),
    ):
        adapt_streams()
        try:
            return main._run([str(word) for word in words])
        finally:
            loudness.before_command(0, 0)


@contextlib.contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    """Variables for a command, which may set some of its own."""
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _stream(name: str, number: int, target: int, encoding: str) -> Iterator[None]:
    """A stream that goes elsewhere, for this process and for those that it starts."""
    before, kept = getattr(sys, name), os.dup(number)
    before.flush()
    os.dup2(target, number)
    setattr(sys, name, os.fdopen(os.dup(number), "w", encoding=encoding))
    try:
        yield
    finally:
        getattr(sys, name).close()
        setattr(sys, name, before)
        os.dup2(kept, number)
        os.close(kept)


def _text(file: IO[bytes], encoding: str) -> str:
    file.seek(0)
    return file.read().decode(encoding, "backslashreplace")


def started(
    *words: object,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Done:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "onnxprof", *map(str, words)],
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        timeout=240,
    )
    return Done(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


_PROGRAM = """
import json, sys
from support.habits.commands import inside
for line in sys.stdin:
    done = inside(*json.loads(line))
    print(json.dumps([done.code, done.out, done.err]), flush=True)
"""


@contextlib.contextmanager
def program(folder: Path, packages: Path) -> Iterator[Callable[..., Done]]:
    """Runs one command after another in a process that has packages of its own, besides ours."""
    path = os.pathsep.join(map(str, (packages, ROOT, TESTS)))
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder},
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None

        def called_there(*words: object) -> Done:
            print(json.dumps(list(map(str, words))), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, f"the process ended at {words}"
            return Done(*json.loads(answer))

        yield called_there
