"""A rule of the advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onnxprof.reasons.advice.case import Case
from onnxprof.reasons.advice.finding import Finding


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in files, and what it looks for; docs/advise.md has the same for users."""

    name: str
    looks_for: str
    gain: str
    """How the low and the high end of the expected gain come about."""
    find: Callable[[Case], Iterator[Finding]]
