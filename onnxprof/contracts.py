"""What a plugin implements, and the errors that a user may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from onnxprof.records import (
    Availability,
    Device,
    Granularity,
    LayerTable,
    PreparedModel,
    Samples,
    Step,
    Tensor,
)


class OnnxprofError(Exception):
    """What was wrong, where, and what to do about it; the command line prints one line of it."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way back from a worker process, keyword arguments included."""
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(cls: type[OnnxprofError], what: str, where: str, remedy: str) -> OnnxprofError:
    return cls(what, where=where, remedy=remedy)


class UsageError(OnnxprofError):
    """The command or its options make no sense as given."""


class ModelError(OnnxprofError):
    """The model file is missing, damaged, dangerous or not a model."""


class BackendError(OnnxprofError):
    """A runtime refused, failed or is not there."""


class StoreError(OnnxprofError):
    """A stored run cannot be written or read."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One model at one batch size with its inputs, ready for a runtime."""

    model: PreparedModel
    table: LayerTable
    inputs: Mapping[str, NDArray[Any]]
    threads: int
    provider: str = "cpu"
    granularity: Granularity = Granularity.EXECUTED
    own_process: bool = False
    """The process is there for this workload alone, so that its settings may be changed."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a timer saw: each step's time in each inference, and what each step covers."""

    steps: tuple[Step, ...]
    step_ns: Samples
    """Shape [steps, inferences]; a step that an inference skipped has 0 there."""
    folded: tuple[str, ...] = ()
    """Node layers that the runtime computed while loading."""
    shapes: tuple[Tensor, ...] = ()
    """Run-time shapes of tensors that carry a name of the original graph."""
    length: int = 0
    """Into how many places the executed graph can be cut; 0 if it cannot."""


@runtime_checkable
class Session(Protocol):
    """A loaded model with bound, pre-allocated inputs and outputs."""

    def infer(self) -> None:
        """Run one inference and return when its outputs are there."""

    def outputs(self) -> Sequence[Tensor]:
        """Names, dtypes and shapes of the outputs of the last inference."""

    def values(self) -> Mapping[str, NDArray[Any]]:
        """Copies of the last inference's outputs; what is no tensor of NumPy's is left out."""


@runtime_checkable
class TracedSession(Session, Protocol):
    """A session under a timer."""

    def trace(self) -> Trace:
        """End tracing and return every inference since loading, in order. Call it once."""


@runtime_checkable
class PrefixSource(Protocol):
    """A traced session whose graph can be cut, for the prefix timer."""

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Un-profiled sessions for the first `count` positions of the graph, for each count.

        0 stands for an empty session with the same inputs. Call it after `trace`. Raises
        BackendError where that is not possible.
        """


@runtime_checkable
class Backend(Protocol):
    """One runtime. Constructing it is cheap and imports nothing; its verbs import the runtime."""

    name: str

    def availability(self) -> Sequence[Availability]:
        """Which devices work here, and why the others do not. Never raises."""

    def devices(self) -> Sequence[Device]:
        """The devices that work here."""

    def open(self, workload: Workload) -> AbstractContextManager[Session]:
        """Load for un-profiled inference. Raises BackendError."""

    def open_traced(
        self, workload: Workload, inferences: int
    ) -> AbstractContextManager[TracedSession]:
        """Load under the timer, for at most so many inferences. Raises BackendError."""


@runtime_checkable
class Exporter(Protocol):
    """One framework: turns a network into an ONNX file."""

    name: str

    def export(self, target: str, path: str) -> None:
        """Write the network that `target` names to `path`."""
