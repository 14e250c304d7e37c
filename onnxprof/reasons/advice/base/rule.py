"""A rule of the advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onnxprof.reasons.advice.base.case import Case
from onnxprof.reasons.advice.base.finding import Finding

#: How the gain comes about where steps vanish, see `Case.gain_of_removal`.
REMOVED = (
    "0.65 to 1.95 of their time; the high end has their part of the overhead beyond an empty call"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in files, and what it looks for; docs/advise.md has the same for users."""

    name: str
    looks_for: str
    gain: str
    """How the low and the high end of the expected gain come about."""
    find: Callable[[Case], Iterator[Finding]]
