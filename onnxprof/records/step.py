"""Executed steps, and the layers that they cover."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onnxprof.records.layer import Tensor


class Confidence(StrEnum):
    """How it is known which layers a step covers."""

    EXACT = "exact"
    INFERRED = "inferred"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Step:
    """A unit of execution of a runtime, with the layers that it covers."""

    name: str
    """Derived from the step's work, so it is the same in every process; unique in a run."""
    op_type: str
    provider: str
    layers: tuple[str, ...]
    """Names of the node layers that the step covers, in table order; may be empty."""
    confidence: Confidence
    evidence: str = ""
    """How the layers were identified, in a few words."""
    outputs: tuple[Tensor, ...] = ()
    """The outputs at run time, under names of the original where these are known."""
    position: int = 0
    """Position in execution order; steps of a subgraph have that of the control-flow step."""
    nodes: int = 1
    """The number of executed nodes in the step; several may compute a layer together."""
    verdict: str = ""
    """`verified`, or `refuted: …` or `not checked: …` with the reason; empty without a check."""
    shared: tuple[str, ...] = ()
    """Layers among `layers` that equal another one and were computed together with it."""
    runtime_name: str = ""
    """The runtime's name of the step, for the runtime's own tools; may differ by process."""

    @property
    def is_refuted(self) -> bool:
        """Whether the step lost layers because it did not do their work."""
        return self.verdict.startswith("refuted")


class Timer(StrEnum):
    """The source of steps' times."""

    AUTO = "auto"
    """The timer is chosen automatically; occurs in requests, never in runs."""
    TRACE = "trace"
    """The runtime's profiler, or another program's profiler in an imported run."""
    PREFIX = "prefix"
    """Un-profiled prefixes of the graph; the trace divides the time between two of them."""
    CUPTI = "cupti"
    """The GPU's own clock, from CUPTI activity records."""


class Granularity(StrEnum):
    """Whether the runtime may optimise the graph."""

    EXECUTED = "executed"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """How a user had a runtime set, beyond what onnxprof sets for every measurement.

    Names and values are the runtime's own, checked by the backend; pairs are sorted by name.
    """

    level: str = ""
    """Level of graph optimisation; empty for the runtime's usual one."""
    session: tuple[tuple[str, str], ...] = ()
    """Options of sessions: `("session.disable_prepacking", "1")`."""
    provider: tuple[tuple[str, str], ...] = ()
    """Options of the execution provider."""

    @property
    def words(self) -> tuple[str, ...]:
        """Each setting in words: `optimisation level basic`, `session.disable_prepacking=1`."""
        level = (f"optimisation level {self.level}",) if self.level else ()
        session = (f"{name}={value}" for name, value in self.session)
        return (*level, *session, *(f"provider {name}={value}" for name, value in self.provider))


#: A runtime as onnxprof sets it by itself.
USUAL = Setup()
