"""onnxruntime's errors, reduced to one line that a user can act on.

The runtime's messages contain source files, C++ signatures and the machine's name, which must not
get into published runs. Known errors are replaced by their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from onnxprof.backends.cuda.driver import Problem, explained
from onnxprof.errors import BackendError
from onnxprof.plugins.memory import SMALLER, is_exhausted
from onnxprof.plugins.source_places import without_places

_LONGEST = 400
_CUDA = re.compile(r"CUDA (?:failure|error) (\d+): ([^;]*)")
_NODE = re.compile(r"while running (\S+) node\. Name:'([^']*)'")
#: Details after the reason: device, machine, source file and line, expression.
_PLACE = re.compile(r"\s*; GPU=.*")
#: The prefix that OpenVINO's provider adds to OpenVINO's message, and a place in its source.
_PASSED_ON = re.compile(r"\[OpenVINO-EP\]\s*(.*?)(?:: Exception from \S*)?$")
_SIZE = re.compile(
    r"(?:requested buffer of size|smaller than requested bytes of|Could not allocate) (\d+)"
)


def failure(error: BaseException, what: str, remedy: str = "") -> BackendError:
    """The BackendError for an exception of the runtime; `remedy` is for unknown errors."""
    lines = str(error).strip().splitlines()
    known = _known(error, " ".join(lines))
    if known is None:
        said = _said(lines) or type(error).__name__
        return BackendError(f"onnxruntime {what}: {said[:_LONGEST]}", remedy=remedy)
    node = _NODE.search(str(error))
    at = f" at {node[1]} {node[2]}".rstrip() if node else ""
    return BackendError(f"onnxruntime {what}{at}: {known.detail}", remedy=known.remedy)


def _said(lines: list[str]) -> str:
    """The first line, and the last one where a provider passes on another library's message."""
    if not lines:
        return ""
    first = _PLACE.sub("", lines[0])
    passed = _PASSED_ON.search(first)
    if passed is None:
        return without_places(first)
    return ": ".join(dict.fromkeys((passed[1], without_places(lines[-1]))))


def _known(error: BaseException, text: str) -> Problem | None:
    cuda = _CUDA.search(text)
    if cuda:
        return explained(int(cuda[1]), cuda[2])
    if is_exhausted(error):
        size = _SIZE.search(text)
        more = f", {int(size[1]) / 2**20:,.0f} MiB more were asked for" if size else ""
        return Problem(f"out of memory{more}", f"Use {SMALLER}")
    return None


@contextmanager
def runtime_errors(what: str, remedy: str = "") -> Iterator[None]:
    """Turn the runtime's exceptions into a BackendError of one line."""
    try:
        yield
    except (BackendError, KeyboardInterrupt):
        raise
    except Exception as error:  # the runtime's exceptions share no other base
        raise failure(error, what, remedy) from error
