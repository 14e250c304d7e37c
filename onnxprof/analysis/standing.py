"""Which of several measurements stands for the others: the newest right one.

One with wrong outputs stands only where none is right, one without a latency behind those, and a
failed one only where no other succeeded, however new it is. Never the fastest, which chance would
choose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Measurement(Protocol):
    """A run, its summary, its place on a page, or a run under load."""

    @property
    def failure(self) -> str:
        """Why it has no figures; empty for a good one."""

    @property
    def has_latency(self) -> bool:
        """Whether it has an un-profiled latency, which an imported run may lack."""

    @property
    def is_wrong(self) -> bool:
        """Whether its outputs are known to be wrong."""

    @property
    def created(self) -> str:
        """When it was stored."""


M = TypeVar("M", bound=Measurement)


def standing(run: Measurement) -> tuple[bool, bool, bool, str]:
    """A key to sort by: the last one stands for the others."""
    return not run.failure, run.has_latency, not run.is_wrong, run.created


def newest(runs: Iterable[M]) -> M:
    """The one that stands for all of them; of equals the last. Raises IndexError for none."""
    return sorted(runs, key=standing)[-1]
