"""Removes places in a runtime's own source files from messages: of errors, and in runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

from onnxprof.records.run import Run

R = TypeVar("R")

#: The function that onnxruntime names behind a place, by its C++ signature.
_FUNCTION = (
    r"(?: [\w:<>~&*, ]*::[\w:<>~&*, ]*\((?:[^()]|\([^()]*\))*\)(?: ?\[[^\]]*\])?(?: const)?:?)?"
)
_SOURCE = re.compile(
    r"""(?:\s*\b(?:at|from|in)\s+|\s+)?["']?"""
    r"(?:(?<![A-Za-z])[A-Za-z]:)?(?:[\w.+-]*[/\\])+[\w.+-]+\.(?:cc|cpp|cxx|cuh?|h|hpp|hxx|inl)"
    r"""["']?(?::\d+|\(\d+\))(?::\d+)?""" + _FUNCTION,
)
#: What is left of a message that began with a place, or had one between two colons.
_ORPHANS = re.compile(r"^(?:\s*:)+\s*|(?<=:)(?:\s*:)+(?=\s)")


def without_places(text: str) -> str:
    """The text in one line, without paths and lines of C++ files and the functions there."""
    return " ".join(_ORPHANS.sub("", _SOURCE.sub("", text)).split())


def cleaned(text: str) -> str:
    """As `without_places`, but the very text where there is none."""
    return without_places(text) if _SOURCE.search(text) else text


def cleaned_run(run: Run) -> Run:
    """The run without such places in its failure, warnings and remarks; most have none."""
    changes: dict[str, Any] = {
        "failure": cleaned(run.failure),
        "warnings": tuple(_without(each, "subject") for each in run.warnings),
        "steps": tuple(_without(step, "verdict") for step in run.steps),
        "table": _without(run.table, "obstacle"),
    }
    if run.parity is not None:
        outputs = tuple(_without(each, "note") for each in run.parity.outputs)
        changes["parity"] = _changed(_without(run.parity, "reason"), outputs=outputs)
    if run.telemetry is not None:
        absent = tuple(_without(each, "reason") for each in run.telemetry.absent)
        changes["telemetry"] = _changed(run.telemetry, absent=absent)
    return _changed(run, **changes)


def _without(record: R, field: str) -> R:
    """The record with this text cleaned."""
    return _changed(record, **{field: cleaned(getattr(record, field))})


def _changed(record: R, **fields: Any) -> R:
    """The record with these fields; itself where they are as they were."""
    new = {name: value for name, value in fields.items() if value != getattr(record, name)}
    return replace(record, **new) if new else record  # type: ignore[type-var]
