"""What a plugin implements, and the errors that a user may see."""

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
from onnxprof.records.step import Granularity, Step
from onnxprof.records.timings import Samples

_TRACED_STEPS = 100_000  # step samples kept, and so profile events parsed
_FEWEST_TRACED = 20


def _nobody(text: str) -> None:
    """Listens to nothing."""


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
    device: str = ""
    """Id of the device to run on; empty for the first that the provider has."""
    timer: str = "auto"
    """The timer that is asked for, for backends that have more than one."""
    tell: Callable[[str], None] = field(default=_nobody, compare=False, repr=False)
    """Hears, in a line, what loading is at, from a backend that may take minutes for it."""

    @property
    def most_traced(self) -> int:
        """How many inferences a measurement takes under the timer, at most or about."""
        return max(_FEWEST_TRACED, _TRACED_STEPS // max(1, len(self.table.nodes)))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What checking the steps of a run may take."""

    seconds: float = 60.0
    memory_bytes: int = 8 << 30
    """For the tensors of both graphs; larger models are checked part by part."""


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
    barred: frozenset[int] = frozenset()
    """Places where no cut can be: they lie inside a step."""
    provider: str = ""
    """The provider that was asked for, named as `Step.provider` is; empty if there are none."""
    host_ns: Samples = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Where `step_ns` is a device's own time, each step's as the host sees it, of that shape."""
    launches: str = ""
    """Why `step_ns` is how long the host took to launch the steps and no more; else empty."""
    kernels: tuple[KernelRow, ...] = ()
    api_calls: tuple[ApiRow, ...] = ()


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
class ArenaSource(Protocol):
    """A session whose runtime tells what its allocator holds."""

    def arena_bytes(self) -> int | None:
        """The most that was in use since loading; None where it does not say."""


@runtime_checkable
class TracedSession(Session, Protocol):
    """A session under a timer."""

    def trace(self) -> Trace:
        """End tracing and return every inference since loading, in order. Call it once."""


@runtime_checkable
class Recorder(Protocol):
    """A traced session with a recorder that would slow the sessions beside it, too."""

    @property
    def on_device(self) -> bool:
        """Whether the times of steps are the device's own, in which the timer's cost is not."""

    def recording(self) -> AbstractContextManager[None]:
        """Record inside of it. What was inferred outside has no times."""


@runtime_checkable
class Launcher(Protocol):
    """A traced session that may see no more than how steps are launched."""

    @property
    def launches(self) -> str:
        """Why that is all; empty where it sees more."""


@runtime_checkable
class MemoryBound(Protocol):
    """A traced session whose prefixes take memory of a device's own."""

    def free_bytes(self) -> int | None:
        """What the device has left; None where its memory is the host's, or it does not say."""


@runtime_checkable
class PrefixSource(Protocol):
    """A traced session whose graph can be cut, for the prefix timer."""

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Un-profiled sessions for the first `count` positions of the graph, for each count.

        0 stands for an empty session with the same inputs. Call it after `trace`. Raises
        BackendError where that is not possible.
        """


@runtime_checkable
class CutChecker(Protocol):
    """A source of prefixes that run what the whole runs at some cuts alone."""

    def cuttable(self, counts: Sequence[int]) -> Sequence[int]:
        """Those of the cuts that can be, or near ones in their place, in order."""


@runtime_checkable
class Understating(Protocol):
    """A traced session whose timer may not see all that a step costs."""

    @property
    def leaves_out(self) -> bool:
        """Whether it misses a part, and prefixes are quick to load."""


@runtime_checkable
class StepRepeater(Protocol):
    """A traced session that can run one step alone, for steps too short for a prefix to tell."""

    def repeated(self, repeats: Mapping[int, int]) -> Mapping[int, Session]:
        """By a step's number in the trace, an un-profiled session that runs it so many times.

        The step reads what it reads in the model. Steps that cannot be repeated are left out.
        Call it after `trace`. Raises BackendError where none can.
        """


class Proof(Protocol):
    """What is left of a traced session to check its steps with, after all samples are taken."""

    def check(
        self, steps: Sequence[Step], feeds: Sequence[Mapping[str, NDArray[Any]]], bounds: Bounds
    ) -> tuple[Step, ...]:
        """The steps with verdicts, by running the model on each set of inputs.

        A step that did not do the work of its layers loses them, or gets those whose work it
        did. Never raises for what the runtime refuses: the verdict says so.
        """

    def close(self) -> None:
        """Let go of files that were kept for it."""


@runtime_checkable
class Verifiable(Protocol):
    """A traced session whose steps can be checked by the values that they compute."""

    def proof(self) -> Proof:
        """What checks its steps once the session is closed; call it after `trace`."""


@runtime_checkable
class Backend(Protocol):
    """One runtime. Constructing it is cheap and imports nothing; its verbs import the runtime."""

    name: str

    def availability(self) -> Sequence[Availability]:
        """Which devices work here, and why the others do not. Never raises."""

    def devices(self) -> Sequence[Device]:
        """The devices that work here; the first is taken where the user names none."""

    def open(self, workload: Workload) -> AbstractContextManager[Session]:
        """Load for un-profiled inference. Raises BackendError."""

    def open_traced(self, workload: Workload) -> AbstractContextManager[TracedSession]:
        """Load under the timer. Raises BackendError."""


@runtime_checkable
class Placing(Protocol):
    """A backend whose providers do not run on every device."""

    def kind_of(self, provider: str) -> str:
        """The kind of device that the provider runs on; empty where it may be any."""
