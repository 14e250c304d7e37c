"""What this process did without because its version of onnxruntime lacks it."""

from __future__ import annotations

_SAID: dict[str, None] = {}


def without(call: str, instead: str) -> None:
    """Note a call that is missing, and what is done instead, once a process."""
    _SAID.setdefault(f"no {call}, so {instead}")


def said() -> tuple[str, ...]:
    """All that was noted, in order."""
    return tuple(_SAID)
