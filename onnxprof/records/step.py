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
