"""What a gate asks of a model; as light as a `--help` needs it."""

from __future__ import annotations

from enum import StrEnum


class Required(StrEnum):
    """What a model has to be shown to be, for the gate to pass; undecided is not enough."""

    SAME = "same"
    """Within the limit, either way."""
    NO_SLOWER = "no-slower"
    """Within the limit, or faster."""
    FASTER = "faster"
    """By more than the limit."""
