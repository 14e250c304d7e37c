"""What one process is to do: which load LoadGen makes, and what it falls on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.records.warning import RunWarning
from onnxprof.scenarios.serving import Serving, Session


@dataclass(frozen=True, slots=True)
class Order:
    """One run of LoadGen; what is not said here is as its rules have it."""

    scenario: Scenario
    duration_s: float
    """The least duration."""
    rate: float = 0.0
    """Queries a second to be expected, in the server scenario to be made; 0 to find out."""
    target_latency_ns: int = 0
    min_queries: int = 0
    """The least number of queries, in the offline scenario of samples; 0 for the rules'."""
    most_outstanding: int = 0
    """Unanswered queries at which a server run is given up; 0 for any number."""


class System(Protocol):
    """What answers queries: picklable, and opened in each thread that infers."""

    @property
    def threads(self) -> int:
        """Threads of the processor that a session uses."""

    @property
    def caches(self) -> tuple[str, ...]:
        """Folders that it writes to, beside the temporary one of its process."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Folders that its process imports from before all others."""

    def opened(self) -> AbstractContextManager[Session]:
        """One session, which takes samples up to the largest batch."""


@dataclass(frozen=True, slots=True)
class Work:
    """A run of LoadGen on a system."""

    order: Order
    serving: Serving
    system: System


@dataclass(frozen=True, slots=True)
class Loaded:
    """A system that is ready for queries."""

    load_ns: int
    batch_ns: Mapping[int, int]
    """The median of an inference by its batch, one session alone."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run."""

    answer: Answer
    batches: tuple[tuple[int, int], ...]
    warnings: tuple[RunWarning, ...] = ()
    loaded: Loaded = field(default_factory=lambda: Loaded(0, {}))
