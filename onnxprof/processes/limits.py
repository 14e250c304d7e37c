"""The limits at which one piece of work is stopped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits at which one piece of work is stopped."""

    seconds: float = 900.0
    memory_bytes: int = 0
    """Private memory besides what the process begins with; 0 for no limit."""
