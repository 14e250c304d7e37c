"""What an entry in the list of warnings says of a kind: its figures, their units, its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

#: What early runs have in place of infinity.
_ENDLESS = 1e308


class Unit(StrEnum):
    """How a figure is printed; `onnxprof.publish.text.warnings` has a format for each."""

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
    """A figure of one warning with its text, which has no sign; false where it is 0 or endless."""

    number: float
    text: str

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return 0 < abs(self.number) < _ENDLESS


@dataclass(frozen=True, slots=True)
class Values:
    """What the words of a warning are made of: text that is safe to print."""

    value: Amount
    bound: Amount
    subject: str
    """Without a full stop at its end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of warning. A figure or subject that a kind does not have is 0 or empty."""

    name: str
    """As it is stored."""
    words: Callable[[Values], str]
    """One or two sentences: what the warning means for a reader of the numbers."""
    value: Figure | None = None
    bound: Figure | None = None
    """What the value is held against."""
    subject: str = ""
    """What the subject is."""
    from_samples: bool = False
    """Derived from samples and steps: of several processes it is derived anew from all of them."""
