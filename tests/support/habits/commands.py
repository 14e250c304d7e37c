"""Commands as the installed program runs them, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from onnxprof.cli import main
from support.places import ROOT


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
