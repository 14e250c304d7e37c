"""The protocols that a backend implements, and the records that they exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.device import Availability, Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import LayerTable, PreparedModel, Tensor
from onnxprof.records.sequences.states import CARRIES_NONE, Carried
from onnxprof.records.step import USUAL, Granularity, Setup, Step
from onnxprof.records.timings import Samples

_TRACED_STEPS = 100_000  # step samples kept, and so profile events parsed
_FEWEST_TRACED = 20


def _ignore(text: str) -> None:
    """Ignore the text."""


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
    """Whether the process runs this workload alone, so that process-wide settings may change."""
    device: str = ""
    """Id of the device to run on; empty for the provider's first."""
    timer: str = "auto"
    """The requested timer, for backends that have more than one."""
    tell: Callable[[str], None] = field(default=_ignore, compare=False, repr=False)
    """Called with one line about the progress of loading, by backends that may load for minutes."""
    made: object = field(default=None, compare=False, repr=False)
    """What the backend made of the model beforehand, for itself; see `verbs.Preparing`."""
    concurrent: bool = False
    """Whether other sessions of the process infer at the same time, with as many threads each."""
    setup: Setup = USUAL
    """How the user had the runtime set; every session of the workload is set so."""
    carried: Carried = CARRIES_NONE
    """How states are handed on, for backends that can; see `verbs.Carrying`."""

    @property
    def most_traced(self) -> int:
        """The most traced inferences of a measurement, approximately."""
        return max(_FEWEST_TRACED, _TRACED_STEPS // max(1, len(self.table.nodes)))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The time and memory that checking the steps of a run may take."""

    seconds: float = 60.0
    memory_bytes: int = 8 << 30
    """Bytes for the tensors of both graphs; larger models are checked part by part."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A timer's record: the steps, their layers, and their times in every inference."""

    steps: tuple[Step, ...]
    step_ns: Samples
    """Shape [steps, inferences]; a step that an inference skipped has 0 there."""
    folded: tuple[str, ...] = ()
    """Node layers that the runtime computed while loading."""
    shapes: tuple[Tensor, ...] = ()
    """Run-time shapes of tensors that carry a name of the original graph."""
    length: int = 0
    """The number of positions at which the executed graph can be cut; 0 if it cannot be cut."""
    barred: frozenset[int] = frozenset()
    """Positions where no cut is possible, since they lie inside a step."""
    provider: str = ""
    """The requested provider, as in `Step.provider`; empty for a backend without providers."""
    host_ns: Samples = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Times of the steps on the host, where `step_ns` is a device's time; of the same shape."""
    launches: str = ""
    """Why `step_ns` holds only the host's launch times; empty where it holds execution times."""
    kernels: tuple[KernelRow, ...] = ()
    api_calls: tuple[ApiRow, ...] = ()


@runtime_checkable
class Session(Protocol):
    """A loaded model with bound, pre-allocated inputs and outputs."""

    def infer(self) -> None:
        """Run one inference and return when the outputs are complete."""

    def outputs(self) -> Sequence[Tensor]:
        """Names, dtypes and shapes of the outputs of the last inference."""

    def values(self) -> Mapping[str, NDArray[Any]]:
        """Copies of the last inference's outputs; those without a NumPy array are left out."""


@runtime_checkable
class ArenaSource(Protocol):
    """A session whose runtime reports the memory of its allocator."""

    def arena_bytes(self) -> int | None:
        """The peak of bytes in use since loading; None where it is not known."""


@runtime_checkable
class TracedSession(Session, Protocol):
    """A session under a timer."""

    def trace(self) -> Trace:
        """End tracing and return the trace of every inference since loading. Call this once."""


@runtime_checkable
class Recorder(Protocol):
    """A traced session whose recorder would slow other sessions of the process, too."""

    @property
    def on_device(self) -> bool:
        """Whether step times come from the device's clock, free of the timer's cost."""

    def recording(self) -> AbstractContextManager[None]:
        """A context in which the session records; inferences outside have no times."""


@runtime_checkable
class Launcher(Protocol):
    """A traced session that may see only the launches of steps."""

    @property
    def launches(self) -> str:
        """Why only launches are seen; empty where execution is seen, too."""


@runtime_checkable
class MemoryBound(Protocol):
    """A traced session whose prefixes take device memory."""

    def free_bytes(self) -> int | None:
        """Free device memory; None where it is the host's, or not known."""


@runtime_checkable
class PrefixSource(Protocol):
    """A traced session whose graph can be cut, for the prefix timer."""

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Un-profiled sessions for the first `count` positions of the graph, for each count.

        0 stands for an empty session with the same inputs. Call this after `trace`. Raises
        BackendError where the graph cannot be cut.
        """


@runtime_checkable
class CutChecker(Protocol):
    """A source of prefixes whose steps equal the whole graph's only at certain cuts."""

    def cuttable(self, counts: Sequence[int]) -> Sequence[int]:
        """The possible ones of these cuts, or near ones in their place, in order."""


@runtime_checkable
class Understating(Protocol):
    """A traced session whose timer may miss a part of a step's time."""

    @property
    def leaves_out(self) -> bool:
        """Whether the timer misses a part, and prefixes load fast enough to be used instead."""


@runtime_checkable
class StepRepeater(Protocol):
    """A traced session that can run one step alone, for steps too short for prefixes."""

    def repeated(self, repeats: Mapping[int, int]) -> Mapping[int, Session]:
        """From a step's number in the trace to an un-profiled session that repeats the step.

        The step reads the same values as in the model. Steps that cannot be repeated are left
        out. Call this after `trace`. Raises BackendError where none can be repeated.
        """


class Proof(Protocol):
    """Checks the steps of a traced session after all samples are taken."""

    def check(
        self, steps: Sequence[Step], feeds: Sequence[Mapping[str, NDArray[Any]]], bounds: Bounds
    ) -> tuple[Step, ...]:
        """The steps with verdicts, by running the model on each set of inputs.

        A step that did not do the work of its layers loses them, or gets the layers whose work
        it did. Errors of the runtime are not raised but become verdicts.
        """

    def close(self) -> None:
        """Delete the files that were kept for the check."""


@runtime_checkable
class ReferenceRun(Protocol):
    """A check that runs the model as the reference does: on the CPU, optimisations off."""

    def expected(self) -> Mapping[str, NDArray[Any]]:
        """All outputs for the first set of inputs; empty where the check did not get them."""


@runtime_checkable
class Verifiable(Protocol):
    """A traced session whose steps can be checked by the values that they compute."""

    def proof(self) -> Proof:
        """The check of the steps, usable once the session is closed; call this after `trace`."""


@runtime_checkable
class Backend(Protocol):
    """One runtime. The constructor is cheap and imports nothing; methods import the runtime."""

    name: str

    def availability(self) -> Sequence[Availability]:
        """Which devices work here, and why the others do not. Never raises."""

    def devices(self) -> Sequence[Device]:
        """The devices that work here; the first is the default."""

    def open(self, workload: Workload) -> AbstractContextManager[Session]:
        """Load for un-profiled inference. Raises BackendError."""

    def open_traced(self, workload: Workload) -> AbstractContextManager[TracedSession]:
        """Load under the timer. Raises BackendError."""


@runtime_checkable
class Placing(Protocol):
    """A backend whose providers run on certain kinds of devices."""

    def kind_of(self, provider: str) -> str:
        """The kind of device that the provider runs on; empty for any kind."""
