"""The entry of a kind of warning: figures, units and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

#: The value that stands for infinity in early runs.
_ENDLESS = 1e308


class Unit(StrEnum):
    """The unit of a figure; `onnxprof.publish.text.warnings` has a format for each."""

    FRACTION = "fraction"
    RATIO = "ratio"
    COUNT = "count"
    CORES = "cores"


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the two figures that a kind may have."""

    meaning: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure and its unsigned text; false where the figure is 0 or infinite."""

    number: float
    text: str

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return 0 < abs(self.number) < _ENDLESS


@dataclass(frozen=True, slots=True)
class Values:
    """The values for the words of a warning, as text that is safe to print."""

    value: Amount
    bound: Amount
    subject: str
    """The subject without a full stop at the end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of warning. A figure or subject that a kind does not have is 0 or empty."""

    name: str
    """As it is stored."""
    words: Callable[[Values], str]
    """One or two sentences: what the warning means for a reader of the numbers."""
    value: Figure | None = None
    bound: Figure | None = None
    """The limit that the value is compared with."""
    subject: str = ""
    """What the subject is."""
    from_samples: bool = False
    """Whether the warning is derived from samples and steps, and so anew for merged processes."""
