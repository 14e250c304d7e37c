"""What a scenario is asked for, as a frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onnxprof.records.step import USUAL, Setup

#: Seconds and samples of a run by the rules of MLPerf Inference.
RULES_S, RULES_SAMPLES = 600.0, 24_576


class Scenario(StrEnum):
    """The load: how queries arrive, and what is judged."""

    SINGLE_STREAM = "single-stream"
    """A query of one sample after another; the 90th percentile of the latency."""
    MULTI_STREAM = "multi-stream"
    """A query of eight samples after another; the 99th percentile of the latency."""
    SERVER = "server"
    """Queries of one sample at random moments; the rate at which a percentile is in bounds."""
    OFFLINE = "offline"
    """All samples at once; samples a second."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a load and the system under it are made of."""

    scenario: Scenario
    model_name: str
    model_sha256: str
    backend: str
    provider: str
    device_id: str
    threads: int
    """Of each session."""
    sessions: int = 1
    """Sessions that infer at the same time."""
    max_batch: int = 1
    """The most samples of one inference."""
    max_wait_ns: int = 0
    """How long a sample may wait for others to share its inference."""
    target_latency_ns: int = 0
    """Of the server scenario."""
    rate: float = 0.0
    """Queries a second of the server scenario; 0 where the highest was searched for."""
    duration_s: float = RULES_S
    """The least duration that LoadGen was given."""
    samples: int = RULES_SAMPLES
    """The least number of samples of the offline scenario."""
    dims: tuple[tuple[str, int], ...] = ()
    seed: int = 0
    """Of the inputs; LoadGen's own seeds are among its settings."""
    inputs_sha256: str = ""
    setup: Setup = USUAL
    """How the user had the runtime set."""
    runtime: str = ""
    """Another version of the runtime, as `onnxruntime==1.22.1`; empty for the installed one."""

    @property
    def is_quick(self) -> bool:
        """Shorter than the rules have it."""
        few = self.scenario is Scenario.OFFLINE and self.samples < RULES_SAMPLES
        return few or self.duration_s < RULES_S
