"""How a process ended that has no result: what is said about it in one line."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePath

from onnxprof.errors import BackendError, OnnxprofError, ProcessEnded
from onnxprof.plugins.source_places import without_places
from onnxprof.processes.fence.enclose import SWITCH
from onnxprof.processes.witness import Witness

_MOST_LINES, _LONGEST_LINE = 3, 160
#: What a fence answers: Landlock and seccomp, a view that can only be read.
_FENCED = (errno.EACCES, errno.EPERM, errno.EROFS)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\?)|.)")
#: Folders at the top of a system. What else begins with a slash may be a layer's name.
_TOPS = (
    *("bin", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run"),
    *("sbin", "srv", "sys", "tmp", "usr", "var"),
    *("Applications", "Library", "System", "Users", "Volumes", "private"),
)


def ended(error: OnnxprofError, seen: Witness | None) -> OnnxprofError:
    """The error with the peak memory and the last lines of a process that ended before its time.

    One that gave its reason itself is returned as it is.
    """
    if seen is None or not isinstance(error, ProcessEnded):
        return error
    seen.look()
    peak = f"; its memory had reached {seen.peak_bytes / 2**30:.2f} GiB" if seen.peak_bytes else ""
    lines = last_lines(seen.text())
    printed = f"; it printed last: {' | '.join(lines)}" if lines else ""
    return ProcessEnded(f"{error.what}{peak}{printed}", where=error.where, remedy=error.remedy)


def last_lines(text: str) -> list[str]:
    """The last lines that say something: printable, of moderate length, without folders."""
    tidied = map(_tidied, text.replace("\r", "\n").split("\n"))
    return [line for line in tidied if line][-_MOST_LINES:]


def without_folders(text: str) -> str:
    """The text without folders of this machine, such as the one that a runtime says it read."""
    return _folders().sub("", text)


@cache
def _folders() -> re.Pattern[str]:
    """Folders of this machine before a file's name."""
    own = (re.escape(f"{path}{os.sep}") for path in _here() if len(path.parts) > 1)
    tops = rf"[A-Za-z]:[\\/]|/(?:{'|'.join(_TOPS)})/"
    inner = r"(?:[^\s'\"()<>|/\\:]+[\\/])*"
    return re.compile(rf"(?<![\w.:/-])(?:{'|'.join(own)}|{tops}){inner}(?=[\w.+-])")


def _here() -> Iterator[Path]:
    yield from (Path(tempfile.gettempdir()), Path(sys.prefix))
    for where in (Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):  # no home, or a folder that was removed
            yield where()


def _tidied(line: str) -> str:
    line = without_folders(without_places(_ESCAPES.sub("", line)))
    line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"


def refused(error: OSError) -> BackendError:
    """What a measuring process was not let do, or could not."""
    what = error.strerror or str(error)
    if error.errno not in _FENCED:
        return BackendError(f"cannot write scratch files: {what}")
    name = PurePath(str(error.filename)).name if error.filename else ""
    tried = f"write {name}" if name else "write there or use a network"
    return BackendError(
        f"a measuring process may not {tried}: {what}",
        remedy=f"A backend names its folders in `caches`; {SWITCH}=off measures without fences",
    )
