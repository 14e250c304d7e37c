"""Optional methods of a backend, and the defaults where it has none.

Every optional method has a Protocol of its own; the functions here call it or return the default.
A third-party method that raises counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from onnxprof.errors import UsageError
from onnxprof.plugins.backend import Backend, TracedSession, Workload
from onnxprof.records.layer import LayerTable
from onnxprof.records.memory import CountedMemory, PredictedMemory
from onnxprof.records.step import USUAL, Setup, Step

if TYPE_CHECKING:  # a backend without readers should not import them
    from onnxprof.plugins.readers import FileReader

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]


@runtime_checkable
class Packaged(Protocol):
    """A backend that names the packages on which its measurements depend."""

    def packages(self) -> Sequence[str]:
        """Names of distributions for the environment of a run, the runtime's first.

        Distributions that are not installed are left out of the environment.
        """


@runtime_checkable
class Caching(Protocol):
    """A backend whose runtime keeps what it compiled or timed for later processes."""

    def caches(self) -> Sequence[Path]:
        """Folders that a measuring process may write to, besides its own temporary one."""


@runtime_checkable
class Preparing(Protocol):
    """A backend that makes something of a model before it is loaded to be timed."""

    def prepared(self, workload: Workload) -> AbstractContextManager[Workload]:
        """The workload with what was made in `Workload.made`, which lasts for the body.

        It is not timed, and no session of it is left when the body begins.
        """


@runtime_checkable
class Lasting(Protocol):
    """A backend whose process may measure a model at one size after another."""

    def begin(self) -> None:
        """Do what a process does once before it loads its first model: import the runtime.

        It is not timed. Raises nothing: `open` says why the runtime is missing.
        """

    def lasts(self, provider: str) -> bool:
        """Whether a session is timed the same, whatever sessions the process had before.

        That is, nothing that was compiled, tuned or allocated for them is used again.
        """


@runtime_checkable
class Lacking(Protocol):
    """A backend that also works with versions of its runtime that lack calls which it makes."""

    def lacks(self) -> Sequence[str]:
        """What this process did without, a clause for each, which says what was done instead."""


@runtime_checkable
class Carrying(Protocol):
    """A backend whose sessions hand states on as `Workload.carried` says."""

    def carries(self, provider: str) -> bool:
        """Whether they do with this provider; others read the same states in each inference."""


@runtime_checkable
class Providing(Protocol):
    """A backend that names its providers, where these are not just kinds of devices."""

    def providers(self) -> Sequence[str]:
        """What `--provider` may be, whether it works here or not."""


@runtime_checkable
class Configurable(Protocol):
    """A backend whose runtime a user may set."""

    def configured(self, setup: Setup, provider: str) -> Setup:
        """What was asked for in the runtime's spelling: names checked, values parsed, all sorted.

        `provider` is what `Workload.provider` will be. Given its own answer, it gives the same.
        Raises UsageError for what the runtime does not have, and for what would read or write
        files, load code, or take away what the measurement rests on; BackendError for what the
        version that is installed does not have.
        """


@runtime_checkable
class GraphSaving(Protocol):
    """A backend that can write the graph that its sessions execute."""

    def graph_suffix(self, provider: str) -> str:
        """The ending of such a file, `.onnx`. Raises UsageError, with the reason, for none."""

    def save_graph(self, workload: Workload, path: Path) -> None:
        """Write the graph, with weights in a file beside it where they are large.

        `path` is in an empty folder; all files there begin with its name. Raises BackendError.
        """


@runtime_checkable
class FileReading(Protocol):
    """A backend that reads files of other profilers of its runtime, for `runs import`."""

    def readers(self) -> Sequence[FileReader]:
        """A reader for every program that writes such files."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one test."""

    name: str
    failure: str = ""
    """Why the test fails, in one line; empty if it passes."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The result of another program in such tests, for comparison."""

    name: str
    passed: int
    of: int

    def __str__(self) -> str:
        return f"{self.passed} of {self.of} pass ({100 * self.passed / self.of:.1f} %)"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The tests of a backend and their results."""

    runtime: str
    """Name and version of the tested package: `torch 2.13.0`."""
    suite: str
    """What the tests are called: `node tests of onnx 1.23.0`."""
    verdicts: tuple[Verdict, ...]
    yardstick: Yardstick | None = None

    @property
    def passed(self) -> int:
        """The number of tests that pass."""
        return sum(not verdict.failure for verdict in self.verdicts)

    @property
    def share(self) -> float:
        """The fraction of tests that pass."""
        return self.passed / max(1, len(self.verdicts))

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts of tests that fail."""
        return tuple(verdict for verdict in self.verdicts if verdict.failure)

    def __str__(self) -> str:
        text = f"{self.passed} of the {len(self.verdicts)} {self.suite} pass"
        return f"{text} ({100 * self.share:.1f} %)"


@runtime_checkable
class SelfTesting(Protocol):
    """A backend that can test its operators, for `doctor --conformance`."""

    def self_test(self) -> SelfTest:
        """Run the tests, in a minute or two. Raises BackendError where they cannot run."""


@runtime_checkable
class MemoryCounting(Protocol):
    """A backend whose runtime counts what each executed node allocates."""

    def counted_memory(self, workload: Workload, steps: Sequence[Step]) -> Sequence[CountedMemory]:
        """What steps of a run of this workload allocate in one inference, without reuse.

        Loads the model in a session of its own and runs it once. Steps that cannot be told apart in
        that session are left out. Raises BackendError where this runtime counts nothing.
        """


@runtime_checkable
class MemoryPredicting(Protocol):
    """A backend that can tell beforehand what memory a model will take."""

    def predicted_memory(self, provider: str, table: LayerTable) -> PredictedMemory | None:
        """The growth of the process's memory; None for providers without a prediction."""


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
        """Wanted outputs by name, copied one by one; outputs that are no tensors are left out."""


@runtime_checkable
class Reference(Backend, Protocol):
    """A backend that the outputs and steps of others are compared with."""

    def tensor_values(
        self, workload: Workload, model: Any, feeds: Sequence[Arrays]
    ) -> list[dict[str, NDArray[Any]]]:
        """The value of each tensor of `model`, an ONNX message, unoptimised and on the CPU.

        Returns one mapping for each set of inputs; external weights lie beside the workload's
        model. Raises BackendError, or ImportError where the runtime is missing.
        """

    def file_session(self, path: Path, *, lean: bool = False) -> FileSession:
        """Load a file on the CPU; `lean` spares memory at the cost of speed.

        Raises ImportError where the runtime is missing, and what the runtime raises.
        """


@runtime_checkable
class Simplifying(Protocol):
    """A backend that can rewrite a model without changing what it computes."""

    def simplify(self, source: Path, target: Path) -> None:
        """Save a model with constants, normalisations and layers without an effect folded.

        Axes that are free stay free. Raises BackendError with the runtime's reason.
        """


def packages(backend: Backend) -> tuple[str, ...]:
    """The backend's distributions; empty where it names none."""
    return _asked(backend.packages) if isinstance(backend, Packaged) else ()


def caches(backend: Backend) -> tuple[str, ...]:
    """Folders of a backend's caches; none where it names none."""
    found = _asked(backend.caches) if isinstance(backend, Caching) else ()
    return tuple(map(str, found))


def has_provider(backend: Backend, provider: str) -> bool:
    """Whether the backend has a provider of that name, which may not work here.

    A kind of its devices is one, too.
    """
    return provider in providers_of(backend)


def providers_of(backend: Backend) -> tuple[str, ...]:
    """The names of a backend's providers, and the kinds of its devices; not all may work here."""
    named = _asked(backend.providers) if isinstance(backend, Providing) else ()
    kinds = (state.device.partition(":")[0] for state in backend.availability())
    return tuple(dict.fromkeys((*named, *kinds)))


def begin(backend: Backend) -> None:
    """Have the backend import its runtime, if that is a step of its own."""
    if isinstance(backend, Lasting):
        with suppress(Exception):  # errors of third-party code must not stop the caller
            backend.begin()


def prepared(backend: Backend, workload: Workload) -> AbstractContextManager[Workload]:
    """The workload as its backend prepares it; as it is where that is no step of its own."""
    return backend.prepared(workload) if isinstance(backend, Preparing) else nullcontext(workload)


def configured(backend: Backend, setup: Setup, provider: str) -> Setup:
    """The setup in the backend's spelling. Raises UsageError for what it does not take."""
    if setup == USUAL:
        return setup
    if not isinstance(backend, Configurable):
        raise UsageError(
            f"the {backend.name} backend takes no options of a runtime: {', '.join(setup.words)}",
            remedy="Leave out --optimization-level, --session-option and --provider-option",
        )
    return backend.configured(setup, provider)


def lasts(backend: Backend, provider: str) -> bool:
    """Whether the backend's process may measure one size after another; not where it has no say."""
    found = _asked(lambda: (backend.lasts(provider),)) if isinstance(backend, Lasting) else ()
    return found == (True,)


def carries(backend: Backend, provider: str) -> bool:
    """Whether the backend's sessions hand states on; not where it has no say."""
    found = _asked(lambda: (backend.carries(provider),)) if isinstance(backend, Carrying) else ()
    return found == (True,)


def lacks(backend: Backend) -> tuple[str, ...]:
    """What this process did without that the runtime's version lacks; nothing where unknown."""
    return _asked(backend.lacks) if isinstance(backend, Lacking) else ()


def readers(backend: Backend) -> tuple[FileReader, ...]:
    """The backend's readers of files; empty where it has none."""
    return _asked(backend.readers) if isinstance(backend, FileReading) else ()


def predicted_memory(backend: Backend, provider: str, table: LayerTable) -> PredictedMemory | None:
    """The backend's prediction; None where it makes none."""
    if not isinstance(backend, MemoryPredicting):
        return None
    try:
        return backend.predicted_memory(provider, table)
    except Exception:  # errors of third-party code must not stop the caller
        return None


def _asked(verb: Callable[[], Sequence[T]]) -> tuple[T, ...]:
    try:
        return tuple(verb())
    except Exception:  # errors of third-party code must not stop the caller
        return ()


def open_traced(backend: Backend, workload: Workload) -> AbstractContextManager[TracedSession]:
    """Load under the timer; older third-party backends take a number of inferences as well."""
    opening: Callable[..., AbstractContextManager[TracedSession]] = backend.open_traced
    if "inferences" in signature(opening).parameters:
        return opening(workload, workload.most_traced)
    return opening(workload)
