"""The settings of a run, apart from its model, batch, device and runtime: which runs are alike.

Only runs of the same work (sizes of axes, inputs), of the same options of the runtime and, on CPUs,
of the same number of threads and the same graph are set against each other. What a timer, a seed of
generated inputs or a number of processes changes in a latency is no more than noise: these are no
settings here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from onnxprof.records.run import IMPORTED, PUBLISHED, Request
from onnxprof.records.step import USUAL, Granularity, Setup

#: The number of threads of a run on a device where it does not matter.
ANY_THREADS = -1
#: The number of threads of a run that another program measured without saying it.
UNKNOWN_THREADS = 0

#: Sizes of axes by name, sorted.
Dims = tuple[tuple[str, int], ...]
#: Sizes of axes, the digest of the input file (empty for generated inputs), and the phase.
Work = tuple[Dims, str, str]
T = TypeVar("T")


class Facet(StrEnum):
    """A part of the settings; runs that differ in one are not compared."""

    WORK = "work"
    THREADS = "threads"
    GRAPH = "graph"
    SETUP = "setup"


@dataclass(frozen=True, slots=True, order=True)
class Settings:
    """What must be equal, or not matter, for two latencies to be compared."""

    dims: Dims = ()
    inputs: str = ""
    """SHA-256 of the input file; empty for generated inputs."""
    phase: str = ""
    """As `decode:512`; empty for a plain inference."""
    written: bool = False
    """Whether the runtime was not to optimise the graph."""
    threads: int = ANY_THREADS
    setup: Setup = USUAL
    """How the user had the runtime set."""

    @property
    def work(self) -> Work:
        """What is computed, by whatever means."""
        return self.dims, self.inputs, self.phase

    @property
    def words(self) -> tuple[str, ...]:
        """Every setting in words: `seq=128`, `4 threads`, `as written`."""
        return tuple(word for facet in Facet for word in facet_words(self, facet))

    @property
    def key(self) -> str:
        """The settings as a text that is equal for equal settings alone; empty for none.

        Names of axes are a model's own and may have any letter: escape it for an address.
        """
        parts = [f"{name!r}={size}" for name, size in self.dims]
        parts += [f"inputs={self.inputs}"] if self.inputs else []
        parts += [f"phase={self.phase}"] if self.phase else []
        parts += ["written"] if self.written else []
        parts += [f"threads={self.threads}"] if self.threads != ANY_THREADS else []
        parts += [f"level={self.setup.level!r}"] if self.setup.level else []
        parts += [f"session {name!r}={value!r}" for name, value in self.setup.session]
        parts += [f"provider {name!r}={value!r}" for name, value in self.setup.provider]
        return ";".join(parts)


def settings_of(asked: Request) -> Settings:
    """The settings that a request names."""
    on_cpu = asked.device_id.partition(":")[0] == "cpu"
    return Settings(
        tuple(sorted(asked.dims)),
        asked.inputs_sha256,
        asked.phase,
        asked.granularity is Granularity.WRITTEN,
        asked.threads if on_cpu else ANY_THREADS,
        asked.setup,
    )


def sized(asked: Request) -> Work:
    """The work of a request without its inputs: sizes of axes, and the phase."""
    return tuple(sorted(asked.dims)), "", asked.phase


def is_imported(asked: Request) -> bool:
    """Whether another program measured it: never taken in place of a measurement."""
    return asked.timer in (IMPORTED, PUBLISHED)


def differing(a: Settings, b: Settings) -> tuple[Facet, ...]:
    """The facets in which two runs are unlike; none where they may be compared."""
    unlike = {
        Facet.WORK: a.work != b.work,
        Facet.THREADS: a.threads != b.threads and ANY_THREADS not in (a.threads, b.threads),
        Facet.GRAPH: a.written != b.written,
        Facet.SETUP: a.setup != b.setup,
    }
    return tuple(facet for facet, is_unlike in unlike.items() if is_unlike)


def facet_words(settings: Settings, facet: Facet) -> tuple[str, ...]:
    """One facet in words; none where it is the plain one or does not matter."""
    if facet is Facet.WORK:
        return work_words(settings.work)
    if facet is Facet.GRAPH:
        return ("as written",) if settings.written else ()
    if facet is Facet.SETUP:
        return settings.setup.words
    return () if settings.threads == ANY_THREADS else (threads_text(settings.threads),)


def work_words(work: Work) -> tuple[str, ...]:
    """`decode:512`, `seq=128`, `inputs 1f09c2aa`; none for a model without such axes or inputs."""
    dims, inputs, phase = work
    sizes = tuple(f"{name}={size}" for name, size in dims)
    return (*((phase,) if phase else ()), *sizes, *((f"inputs {inputs[:8]}",) if inputs else ()))


def threads_text(count: int) -> str:
    """`1 thread`, `8 threads`; `threads not known` for 0, as in imported runs."""
    return f"{count} thread{'' if count == 1 else 's'}" if count else "threads not known"


def usual(values: Iterable[T]) -> T | None:
    """The most common value, the smallest of several; None of none."""
    counts: Counter[Any] = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value), default=None)
