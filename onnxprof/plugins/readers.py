"""What readers of files that other profilers wrote have in common."""

from __future__ import annotations

from typing import Any

from onnxprof.errors import BackendError


def milliseconds(value: Any, where: str) -> float:
    """A time as the files have it; at most an hour. Raises BackendError for anything else."""
    if type(value) not in (int, float) or not 0 <= value < 3.6e6:
        raise BackendError(f"no time in milliseconds: {str(value)[:40]}", where=where[:200])
    return float(value)
