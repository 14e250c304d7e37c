"""What a backend may say beyond its five verbs, and what holds where it does not.

Each verb is a Protocol of its own; the functions ask for it and give the default. A verb of a
stranger that raises is one that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from onnxprof.plugins.backend import Backend, TracedSession, Workload

if TYPE_CHECKING:  # whoever has no readers need not wait for what they import
    from onnxprof.plugins.readers import FileReader

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]


@runtime_checkable
class Packaged(Protocol):
    """A backend whose figures depend on the versions of packages."""

    def packages(self) -> Sequence[str]:
        """Names of the distributions that the environment of a run lists; the runtime's first.

        Those that are not installed are left out there.
        """


@runtime_checkable
class FileReading(Protocol):
    """A backend that reads what other profilers of its runtime write, for `runs import`."""

    def readers(self) -> Sequence[FileReader]:
        """One for each program that writes such files."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one test."""

    name: str
    failure: str = ""
    """Why it does not pass, in one line; empty if it does."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How another program does in such tests, for comparison."""

    name: str
    passed: int
    of: int

    def __str__(self) -> str:
        return f"{self.passed} of {self.of} pass ({100 * self.passed / self.of:.1f} %)"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The tests of a backend, and what became of each."""

    runtime: str
    """Name and version of what was tested: `torch 2.13.0`."""
    suite: str
    """What the tests are called: `node tests of onnx 1.23.0`."""
    verdicts: tuple[Verdict, ...]
    yardstick: Yardstick | None = None

    @property
    def passed(self) -> int:
        """How many pass."""
        return sum(not verdict.failure for verdict in self.verdicts)

    @property
    def share(self) -> float:
        """Those as a fraction of all."""
        return self.passed / max(1, len(self.verdicts))

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Those that do not pass."""
        return tuple(verdict for verdict in self.verdicts if verdict.failure)

    def __str__(self) -> str:
        told = f"{self.passed} of the {len(self.verdicts)} {self.suite} pass"
        return f"{told} ({100 * self.share:.1f} %)"


@runtime_checkable
class SelfTesting(Protocol):
    """A backend that can test what it computes, for `doctor --conformance`."""

    def self_test(self) -> SelfTest:
        """Run the tests, in a minute or two. Raises BackendError where they cannot run."""


class FileSession(Protocol):
    """An ONNX file that is loaded as it is, without a layer table or fixed sizes."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the inputs."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs, in the file's order."""

    def run(self, feeds: Arrays) -> list[Any]:
        """The values of all outputs, in order. Raises what the runtime raises."""

    def tensors(self, feeds: Arrays, wanted: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Outputs by name, copied one by one; what is no tensor is left out."""


@runtime_checkable
class Reference(Backend, Protocol):
    """A backend that the outputs and steps of others are held against."""

    def tensor_values(
        self, workload: Workload, model: Any, feeds: Sequence[Arrays]
    ) -> list[dict[str, NDArray[Any]]]:
        """What each tensor of `model`, an ONNX message, is worth, unoptimised and on the CPU.

        One mapping for each set of inputs; weights outside of the message lie beside the
        workload's model. Raises BackendError, or ImportError where the runtime is missing.
        """

    def file_session(self, path: Path, *, lean: bool = False) -> FileSession:
        """Load a file on the CPU; `lean` spares memory at the cost of speed.

        Raises ImportError where the runtime is missing, and what the runtime raises.
        """


def packages(backend: Backend) -> tuple[str, ...]:
    """The distributions that bear on its figures; none where it does not say."""
    return _asked(backend.packages) if isinstance(backend, Packaged) else ()


def readers(backend: Backend) -> tuple[FileReader, ...]:
    """The readers of files; none where it does not say."""
    return _asked(backend.readers) if isinstance(backend, FileReading) else ()


def _asked(verb: Callable[[], Sequence[T]]) -> tuple[T, ...]:
    try:
        return tuple(verb())
    except Exception:  # a stranger's code must not stop what goes on without it
        return ()


def open_traced(backend: Backend, workload: Workload) -> AbstractContextManager[TracedSession]:
    """Load under the timer; a backend of before may still take a number of inferences."""
    opening: Callable[..., AbstractContextManager[TracedSession]] = backend.open_traced
    if "inferences" in signature(opening).parameters:
        return opening(workload, workload.most_traced)
    return opening(workload)
