"""Which of several measurements stands for the others: the newest good one.

A failed one stands only where no other succeeded, however new it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Measurement(Protocol):
    """A run, its summary, or a run under load."""

    @property
    def failure(self) -> str:
        """Why it has no figures; empty for a good one."""

    @property
    def created(self) -> str:
        """When it was stored."""


M = TypeVar("M", bound=Measurement)


def standing(run: Measurement) -> tuple[bool, str]:
    """A key to sort by: the last one stands for the others."""
    return not run.failure, run.created


def newest(runs: Iterable[M]) -> M:
    """The one that stands for all of them; of equals the last. Raises IndexError for none."""
    return sorted(runs, key=standing)[-1]
