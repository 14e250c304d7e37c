"""The errors that a user may see: what was wrong, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class OnnxprofError(Exception):
    """An error with what was wrong, where, and a remedy; the command line prints it in one line."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        stop = "" if self.what.endswith(("?", "!", ".")) else "."
        remedy = f"{stop} {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the keyword arguments, so that a worker process can return the error."""
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def did_you_mean(name: str, known: Iterable[str], quote: str = "", cutoff: float = 0.6) -> str:
    """`Did you mean NAME? ` with the known name that is closest; empty where none is close.

    `cutoff` is that of difflib: above 0.67 `cpu` is not close to `gpu`.
    """
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    lowered = name.lower()
    close = get_close_matches(lowered, by_lower, n=1, cutoff=cutoff)
    longer = [each for each in by_lower if lowered and each.startswith(lowered)]
    found = close or (longer if len(longer) == 1 else [])
    return f"Did you mean {quote}{by_lower[found[0]]}{quote}? " if found else ""


def choices(known: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = known
    return f"{', '.join(others)} or {last}" if others else last


def _rebuild(cls: type[OnnxprofError], what: str, where: str, remedy: str) -> OnnxprofError:
    return cls(what, where=where, remedy=remedy)


class UsageError(OnnxprofError):
    """The command or its options make no sense as given."""


class NoRunError(UsageError):
    """No stored run is meant by what was given; `where` begins with it."""


class ModelError(OnnxprofError):
    """The model file is missing, damaged, dangerous or not a model."""


class BackendError(OnnxprofError):
    """A runtime refused a model, failed, or is not installed."""


class ProcessEnded(BackendError):
    """A measuring process crashed, hung or ran out of memory: it costs one job."""


class StoreError(OnnxprofError):
    """A stored run cannot be written or read."""


class ExportError(OnnxprofError):
    """A framework cannot turn a network into an ONNX file, or the file fails its check."""


class FleetError(OnnxprofError):
    """A machine of a fleet cannot be reached, is not what it was taken for, or was lost."""
