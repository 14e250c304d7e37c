"""onnxruntime's providers, timed by the runtime's profiler or, on CUDA, by activity records.

What only a measuring process needs is in `traced`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from onnxprof.backends.ort.runtime import providers
from onnxprof.errors import BackendError
from onnxprof.machine.cpu import cpu_device
from onnxprof.plugins.backend import Session, TracedSession, Workload
from onnxprof.plugins.verbs import Arrays, FileSession
from onnxprof.records.device import Availability, Device

if TYPE_CHECKING:
    from onnxprof.plugins.readers import FileReader
    from onnxprof.records.layer import LayerTable
    from onnxprof.records.memory import CountedMemory, PredictedMemory
    from onnxprof.records.step import Setup, Step

#: The environment variable that controls the runtime's telemetry.
TELEMETRY = "ORT_DISABLE_TELEMETRY"
#: What a build for NumPy 1 raises beside NumPy 2 is an ImportError without a word.
_NO_REASON = "ImportError without a reason, as of a build for another major version of NumPy"
#: Distributions that bring the runtime with other providers.
_BUILDS = ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


class OrtBackend:
    """Times ONNX models on onnxruntime."""

    name = "ort"

    def __init__(self) -> None:
        # since 1.32 importing the runtime writes usage data to the user's cache folder
        os.environ.setdefault(TELEMETRY, "1")

    def availability(self) -> Sequence[Availability]:
        """The CPU provider and the others, or why they are missing."""
        try:
            import onnxruntime as ort

            version = f"onnxruntime {ort.__version__}"
        except Exception as error:  # a broken wheel can fail in any way
            why = next(iter(str(error).splitlines()), "") or _NO_REASON
            detail = f"onnxruntime cannot be imported: {why}"
            remedy = 'pip install "onnxprof[cpu]"'
            return (Availability(self.name, "cpu", False, detail, remedy),)
        switch = os.environ.get(TELEMETRY, "")
        note = f"{version}; its own telemetry is off ({TELEMETRY}={switch})"
        cpu = Availability(
            self.name, cpu_device().id, True, version if switch in ("", "0") else note
        )
        return (cpu, *providers.availability(self.name, version))

    def devices(self) -> Sequence[Device]:
        """The CPU, if onnxruntime is installed, and the CUDA devices that it can use."""
        try:
            import onnxruntime  # noqa: F401
        except Exception:  # a broken wheel can fail in any way
            return ()
        return (cpu_device(), *providers.gpus())

    def kind_of(self, provider: str) -> str:
        """`cpu` or `cuda`; empty for no provider or an unknown one."""
        entry = providers.PROVIDERS.get(provider)
        return entry.kind if entry else ""

    def providers(self) -> Sequence[str]:
        """The short names of the runtime's providers."""
        return tuple(providers.PROVIDERS)

    def begin(self) -> None:
        """Import onnxruntime."""
        import onnxruntime  # noqa: F401

    def lasts(self, provider: str) -> bool:
        """On the CPU, where nothing is kept from session to session but the threads."""
        entry = providers.PROVIDERS.get(provider)
        return entry is not None and entry.kind == "cpu" and not entry.compiles

    def carries(self, provider: str) -> bool:
        """With every provider: inputs and outputs are bound to memory that states may share."""
        return provider in providers.PROVIDERS

    def configured(self, setup: Setup, provider: str) -> Setup:
        """Levels of optimisation, session options and entries, options of the provider."""
        from onnxprof.backends.ort.runtime.settings import configured

        return configured(setup, provider)

    def graph_suffix(self, provider: str) -> str:
        """`.onnx`, but for providers that compile parts of the graph."""
        from onnxprof.backends.ort.graphs.exported import suffix

        return suffix(provider)

    def save_graph(self, workload: Workload, path: Path) -> None:
        """Write the optimised model, whose weights lie beside it where they are large."""
        from onnxprof.backends.ort.graphs.exported import save

        _check(workload)
        save(workload, path)

    def packages(self) -> Sequence[str]:
        """The distributions of onnxruntime."""
        return ("onnxruntime", *_BUILDS)

    def lacks(self) -> Sequence[str]:
        """Calls that this version of onnxruntime lacks, as far as they were wanted."""
        from onnxprof.backends.ort.runtime.lacks import said

        return said()

    def readers(self) -> Sequence[FileReader]:
        """The reader of onnxruntime's profiles."""
        from onnxprof.backends.ort.readers import READERS

        return READERS

    def tensor_values(
        self, workload: Workload, model: Any, feeds: Sequence[Arrays]
    ) -> list[dict[str, NDArray[Any]]]:
        """Each tensor of an ONNX message, unoptimised on the CPU, for each set of inputs."""
        from onnxprof.backends.ort.check.observe import reference_values

        return reference_values(workload, model, feeds)

    def predicted_memory(self, provider: str, table: LayerTable) -> PredictedMemory | None:
        """What a session on the CPU will take; None for other providers."""
        from onnxprof.analysis.memory.prediction import channel_block, predicted_memory

        block = channel_block(cpu_device().features)
        return predicted_memory(table, block) if provider == "cpu" else None

    def counted_memory(self, workload: Workload, steps: Sequence[Step]) -> Sequence[CountedMemory]:
        """What each step's node allocates, by the runtime's own statistics (1.32 and later)."""
        from onnxprof.backends.ort.memory_stats import counted_memory

        _check(workload)
        return counted_memory(workload, steps)

    def file_session(self, path: Path, *, lean: bool = False) -> FileSession:
        """A session for a file on the CPU; `lean` keeps no packed copy of weights."""
        from onnxprof.backends.ort.file_session import OrtFileSession

        return OrtFileSession(path, lean=lean)

    def simplify(self, source: Path, target: Path) -> None:
        """Save a model after the runtime's basic optimisations, in standard operators."""
        from onnxprof.backends.ort.simplify import simplify

        simplify(source, target)

    @contextmanager
    def prepared(self, workload: Workload) -> Iterator[Workload]:
        """With the executed graph of a large model, see `graphs.beforehand`."""
        from onnxprof.backends.ort.graphs.beforehand import saved_beforehand

        _check(workload)
        with saved_beforehand(workload) as made:
            yield made

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A session with the runtime's usual optimisations."""
        from onnxprof.backends.ort.runtime import session as ort_session
        from onnxprof.backends.ort.runtime.session import BoundSession, place_of

        _check(workload)
        session = ort_session.load(workload)
        yield BoundSession(session, workload.inputs, place_of(workload), workload.carried)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A session under the runtime's profiler, with the profile in a scratch folder."""
        from onnxprof.backends.ort.traced import open_profiled

        _check(workload)
        with tempfile.TemporaryDirectory(prefix="onnxprof-") as scratch:
            yield open_profiled(workload, Path(scratch))


def _check(workload: Workload) -> None:
    providers.require_fit(workload)
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"onnxruntime cannot be imported: {error}",
            where="ort",
            remedy='pip install "onnxprof[cpu]"',
        ) from None
    providers.require_usable(workload)
