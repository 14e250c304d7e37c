"""Readers of files that other profilers of a backend's runtime write.

A `FileReader` declares the options of `onnxprof runs import` that take the files, and turns them
into one `Recorded`: names, times, and the measurements that are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.errors import BackendError, UsageError
from onnxprof.provenance import steps
from onnxprof.provenance.names import Evidence, Names
from onnxprof.records.layer import LayerTable, Tensor
from onnxprof.records.run import Origin
from onnxprof.records.timings import Samples

#: A month.
_LONGEST_NS = 30 * 24 * 3600 * 1e9


def _none() -> Samples:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class FileOption:
    """An option of `runs import` that takes a file, and how to recognise such a file."""

    name: str
    """The option as it is typed: `--ort-profile`."""
    help: str
    keys: tuple[str, ...] = ()
    """Keys that only files for this option have, in their JSON object or first list entry."""
    looks_right: Callable[[str], bool] = lambda _: False
    """Whether a text that is not JSON is such a file."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read whole."""

    path: Path
    data: bytes
    options: tuple[FileOption, ...] = ()
    """Every option that takes a file, to name the right one in an error."""

    @property
    def text(self) -> str:
        """The contents as text; invalid UTF-8 is kept, since names come from models."""
        return self.data.decode("utf-8", "surrogateescape")

    def json(self) -> Any:
        """The JSON value; control characters in strings are accepted, since trtexec writes them.

        Raises UsageError.
        """
        try:
            return json.loads(self.text, strict=False)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:160]
            where = str(self.path)
            raise UsageError(f"is no JSON: {reason}", where=where, remedy=self._of_text()) from None

    @property
    def digest(self) -> tuple[str, str]:
        """Name and SHA-256."""
        return self.path.name, hashlib.sha256(self.data).hexdigest()

    def hint(self) -> str:
        """A sentence naming the option that the file is for, by its JSON keys; or empty."""
        try:
            data = json.loads(self.text, strict=False)
        except (ValueError, RecursionError):
            return ""
        rows = data if isinstance(data, list) else [data]
        keys = next((set(row) for row in rows if isinstance(row, dict)), set())
        matches = (option for option in self.options if keys.intersection(option.keys))
        return _looks_like(next(matches, None))

    def _of_text(self) -> str:
        matches = (option for option in self.options if option.looks_right(self.text))
        return _looks_like(next(matches, None))


def _looks_like(option: FileOption | None) -> str:
    return f"It looks like a file for {option.name}" if option else ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit that the other program measured: a node, a layer."""

    name: str
    kind: str
    evidence: Evidence
    provider: str = ""
    outputs: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """The contents of profilers' files in one form."""

    origin: Origin
    backend: str
    device_kind: str
    units: tuple[Unit, ...]
    unit_ns: Samples
    """Shape [units, inferences], or one column of averages."""
    lacks: tuple[str, ...]
    """Descriptions of what a measurement by onnxprof would contain and these files do not."""
    latency_ns: Samples = field(default_factory=_none)
    """Un-profiled inferences, shape [n]; empty where there are none."""
    traced_ns: Samples = field(default_factory=_none)
    """Inferences under the timer, shape [inferences]; empty where they were not timed."""
    load_ns: int = 0
    first_ns: int = 0
    tie: steps.Tie = steps.tie_by_names
    """The function that ties the units to the layers of an ONNX graph."""
    least_known: float = 0.2
    """The least part of the names in the files that the right model must have.

    It is small for runtimes that make names up.
    """
    remedy: str = ""
    """Further files that the user can give where fewer names are known."""


Recording = Callable[[Names, LayerTable], Recorded]
"""From the names and layers of the model to the contents of the files. Raises UsageError."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the files of one program."""

    program: str
    """The program's name: `trtexec`."""
    options: tuple[FileOption, ...]
    """The first option takes the profile, which is required; the others take further files."""
    read: Callable[[Mapping[str, Source]], Recording]
    """From the given files, by the names of their options, to a recording; the profile is given."""


def milliseconds(value: Any, where: str) -> float:
    """A time in milliseconds, at most an hour. Raises BackendError for any other value."""
    if type(value) not in (int, float) or not 0 <= value < 3.6e6:
        raise BackendError(f"not a time in milliseconds: {str(value)[:40]}", where=where[:200])
    return float(value)


def parsed(source: Source, parse: Callable[[Any], Any], given: Any = None) -> Any:
    """`parse` applied to the file's JSON, or to `given`; errors name the file."""
    try:
        return parse(source.json() if given is None else given)
    except BackendError as error:
        remedy = error.remedy or (source.hint() if error.what.startswith(("no ", "not ")) else "")
        raise UsageError(error.what, where=str(source.path), remedy=remedy) from None


def nanoseconds(values: Sequence[float]) -> Samples:
    """Milliseconds as whole nanoseconds. Raises UsageError for impossible durations."""
    try:
        ns = np.rint(np.array(values, np.float64) * 1e6)
    except OverflowError:
        ns = np.array([np.inf])
    if not (np.abs(ns) < _LONGEST_NS).all():  # neither is NaN
        raise UsageError("the file has durations that are impossible")
    made: Samples = ns.astype(np.int64)
    return made
