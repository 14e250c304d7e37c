"""pip of this environment, run as a program: what it is asked, and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from onnxprof.errors import BackendError

Hear = Callable[[str], None]
#: Settings of a user that do not go with a folder as the target; their files may have them, too.
_OURS: Mapping[str, str] = {
    "PIP_USER": "0",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PYTHONIOENCODING": "utf-8",
    "NO_COLOR": "1",
}
_NOT_OURS = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REPORT", "PIP_QUIET", "PIP_LOG")
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How pip ended, and what it printed."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


def require() -> None:
    """Raise BackendError where this environment has no pip."""
    if find_spec("pip") is None:
        raise BackendError(
            "pip is not installed in this environment, and it is what fetches another version",
            where=sys.prefix,
            remedy="python -m ensurepip, or uv pip install pip",
        )


def run(
    words: Sequence[str], folder: Path, hear: Hear = lambda _: None, *, before: str = ""
) -> Answer:
    """Run pip with these arguments; its temporary files and working directory are the folder.

    `hear` is given each line; `before` is a folder that its path begins with. pip is ended with the
    caller. Raises BackendError without pip.
    """
    require()
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    environment |= {**_OURS, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder))}
    if before:
        behind = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (before, behind)))
    lines: list[str] = []
    command = [sys.executable, "-m", "pip", *words]
    with _started(command, environment, folder) as process:
        for line in _lines_of(process):
            lines.append(line)
            hear(line)
        code = process.wait()
    return Answer(code, tuple(lines))


@contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=folder,  # else a file of the user's called pip.py would be run
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        yield process
    finally:
        _end(process)


def _lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    with process.stdout as stream:
        yield from (line.strip() for line in stream)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
