"""The first slow version of an ordered list, found by halving what is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, log2


class Mark(StrEnum):
    """What became of a version."""

    GOOD = "not slower"
    SLOW = "slower"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Found:
    """Where the first slow version is."""

    good: str
    """The last version before it that is not slow."""
    slow: str
    """The first version that was seen to be slow."""
    open: tuple[str, ...] = ()
    """Versions between the two that could not be judged: the first slow one may be any of them."""


def search(versions: Sequence[str], judge: Callable[[str], Mark]) -> Found:
    """Judge versions until the first slow one is known, as far as it can be.

    The first of the list is known to be good and the last to be slow. A version that cannot be
    judged is passed over, and the nearest one to it is tried.
    """
    low, high = 0, len(versions) - 1
    skipped: set[int] = set()
    while untried := [at for at in range(low + 1, high) if at not in skipped]:
        middle = min(untried, key=lambda at: abs(2 * at - low - high))
        mark = judge(versions[middle])
        if mark is Mark.SLOW:
            high = middle
        elif mark is Mark.GOOD:
            low = middle
        else:
            skipped.add(middle)
    return Found(versions[low], versions[high], tuple(versions[low + 1 : high]))


def most_steps(versions: Sequence[str]) -> int:
    """How many versions between the ends are judged at most, where all can be."""
    return ceil(log2(max(1, len(versions) - 1)))
