"""A load scenario that was run, with all that is needed to judge and to repeat it."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxprof.records.device import Device
from onnxprof.records.layer import ModelFacts
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Asked, Scenario
from onnxprof.records.warning import RunWarning

#: Version of the stored record; readers refuse unknown versions.
SCENARIO_SCHEMA = 1
#: What every output says of these figures.
LABEL = "LoadGen-style, not an MLPerf result"


@dataclass(frozen=True, slots=True)
class Probe:
    """A short run at one rate, on the way to the highest that is sustained."""

    rate: float
    """Queries a second that were asked for."""
    held: bool
    """The percentile was within the target latency."""
    percentile_ns: int
    queries: int


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """One scenario on one system."""

    asked: Asked
    model: ModelFacts
    device: Device
    environment: tuple[tuple[str, str], ...]
    """Facts about machine and software, as keys and printable values."""
    created: str
    """UTC, ISO 8601 with seconds."""
    command: str
    """The command line that measures this again."""
    loadgen: str
    """LoadGen's version."""
    answer: Answer | None = None
    """Of the run that counts; None where there is none."""
    floor: Answer | None = None
    """A system that does nothing under the same load, right after it; None where not measured."""
    probes: tuple[Probe, ...] = ()
    """What the search for a rate tried, in order."""
    batches: tuple[tuple[int, int], ...] = ()
    """Samples of an inference and how many inferences had so many."""
    load_ns: int = 0
    """Loading all sessions of the run that counts."""
    warnings: tuple[RunWarning, ...] = ()
    failure: str = ""
    """Why there is no answer; empty where there is one."""
    seconds: float = 0.0
    """How long all of it took."""
    schema: int = field(default=SCENARIO_SCHEMA)

    @property
    def has_latency(self) -> bool:
        """Whether LoadGen has an answer."""
        return self.answer is not None

    @property
    def is_wrong(self) -> bool:
        """False: no outputs are compared under load."""
        return False

    @property
    def valid(self) -> bool:
        """LoadGen calls the run valid."""
        return self.answer is not None and self.answer.valid

    @property
    def figure(self) -> float | None:
        """What the scenario is judged by: nanoseconds, or samples a second.

        None for no answer, and for a rate at which the target latency does not hold.
        """
        if self.answer is None:
            return None
        if self.asked.scenario is Scenario.SERVER:
            return self.answer.scheduled_rate if self.answer.latency_met else None
        if self.asked.scenario is Scenario.OFFLINE:
            return self.answer.completed_rate
        return float(self.answer.percentile_ns)
