"""What onnxruntime says where something fails, in one line that a user can act on.

Its messages carry source files, C++ signatures and the machine's name, and runs are made to be
published: of what is known, only what it means is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from onnxprof.backends.cuda.driver import Problem, explained
from onnxprof.errors import BackendError

_LONGEST = 400
_CUDA = re.compile(r"CUDA (?:failure|error) (\d+): ([^;]*)")
_NODE = re.compile(r"while running (\S+) node\. Name:'([^']*)'")
#: From here on: device, machine, source file and line, expression.
_PLACE = re.compile(r"\s*; GPU=.*")
#: Where in the runtime's own source an error arose, on the machine that built it, and in what.
_SOURCE = re.compile(
    r"\s*(?:[A-Za-z]:)?[/\\](?:[\w.+-]+[/\\])+[\w.+-]+\.(?:cc|cpp|cu|cuh|h|hpp|cxx)(?::|\()\d+\)?:?"
    r"(?: [\w:<>~&*, ]+\([^)]*\)(?: \[[^\]]*\])?(?: const)?)?:?"
)
#: What OpenVINO's provider puts before OpenVINO's own words, and where those come from.
_PASSED_ON = re.compile(r"\[OpenVINO-EP\]\s*(.*?)(?:: Exception from \S*)?$")
_SIZE = re.compile(
    r"(?:requested buffer of size|smaller than requested bytes of|Could not allocate) (\d+)"
)
_MEMORY = re.compile(
    r"Failed to allocate memory|Available memory of \d+ is smaller|[Oo]ut of memory"
    r"|bad_alloc|bad allocation|STATUS_ALLOC_FAILED|OutOfMemory"
)


def failure(error: BaseException, what: str, remedy: str = "") -> BackendError:
    """The error for an exception of the runtime's; `remedy` is for those that are not known."""
    lines = str(error).strip().splitlines()
    known = _known(error, " ".join(lines))
    if known is None:
        said = _said(lines) or type(error).__name__
        return BackendError(f"onnxruntime {what}: {said[:_LONGEST]}", remedy=remedy)
    node = _NODE.search(str(error))
    at = f" at {node[1]} {node[2]}".rstrip() if node else ""
    return BackendError(f"onnxruntime {what}{at}: {known.detail}", remedy=known.remedy)


def _said(lines: list[str]) -> str:
    """The first line; of a provider that passes on another library's words their last line, too."""
    if not lines:
        return ""
    first = _PLACE.sub("", lines[0])
    passed = _PASSED_ON.search(first)
    if passed is None:
        return _SOURCE.sub("", first)
    return ": ".join(dict.fromkeys((passed[1], lines[-1].strip())))


def _known(error: BaseException, text: str) -> Problem | None:
    cuda = _CUDA.search(text)
    if cuda:
        return explained(int(cuda[1]), cuda[2])
    if isinstance(error, MemoryError) or _MEMORY.search(text):
        size = _SIZE.search(text)
        more = f", {int(size[1]) / 2**20:,.0f} MiB more were asked for" if size else ""
        return Problem(f"out of memory{more}", "Use a smaller --batch")
    return None


@contextmanager
def runtime_errors(what: str, remedy: str = "") -> Iterator[None]:
    """Turn the runtime's exceptions into one line each."""
    try:
        yield
    except (BackendError, KeyboardInterrupt):
        raise
    except Exception as error:  # the runtime's classes share no base but this
        raise failure(error, what, remedy) from error
