"""What a gate asks of a model; as light as a `--help` needs it."""

from __future__ import annotations

from enum import StrEnum


class Required(StrEnum):
    """What a model has to be shown to be, for the gate to pass."""

    NOT_SLOWER = "not-slower"
    """Nothing shows that it is slower than the limit."""
    SAME = "same"
    """It is shown to be within the limit; a measurement that does not tell stops it."""
