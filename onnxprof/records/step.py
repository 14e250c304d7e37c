"""What a runtime executed, and the layers that it stands for."""

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
    """What a runtime executes as one unit."""

    name: str
    """Says what it does, so that it is the same in every process; unique in a run."""
    op_type: str
    provider: str
    layers: tuple[str, ...]
    """Names of the node layers that it covers, in table order; empty if it belongs to none."""
    confidence: Confidence
    evidence: str = ""
    """What tied the step to its layers, in a few words."""
    outputs: tuple[Tensor, ...] = ()
    """Its outputs as seen at run time, with the original's names where it has them."""
    position: int = 0
    """Its place in execution order; steps of a subgraph have that of their control-flow step."""
    nodes: int = 1
    """Nodes of the executed graph that it stands for, where several compute a layer together."""
    verdict: str = ""
    """`verified`, `refuted: …` or `not checked: …`, with why; empty where no check was made."""
    shared: tuple[str, ...] = ()
    """Those of `layers` that equal another of them, so that the runtime computed them once."""
    runtime_name: str = ""
    """What the runtime calls it, for its own tools; may differ from process to process."""

    @property
    def is_refuted(self) -> bool:
        """Whether it lost layers because it did not do their work."""
        return self.verdict.startswith("refuted")


class Timer(StrEnum):
    """What gives steps their times."""

    AUTO = "auto"
    """Whichever fits; asked for, never what a run has."""
    TRACE = "trace"
    """The runtime's profiler, or another program's in an imported run."""
    PREFIX = "prefix"
    """Un-profiled prefixes of the graph; the trace divides what lies between two of them."""
    CUPTI = "cupti"
    """A GPU's own clock, as its activity records tell it."""


class Granularity(StrEnum):
    """Whether the runtime may optimise the graph."""

    EXECUTED = "executed"
    WRITTEN = "written"
