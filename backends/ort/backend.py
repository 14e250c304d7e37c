"""onnxruntime's providers, timed by the runtime's profiler or, on CUDA, by activity records."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from onnxprof.backends.ort import partition
from onnxprof.backends.ort.check.verify import OrtProof, claims_of
from onnxprof.backends.ort.device_timer import DeviceTimer
from onnxprof.backends.ort.graphs.graphs import TiedNodes, tie
from onnxprof.backends.ort.prefix import open_prefixes, output_types
from onnxprof.backends.ort.profile import Profile, read_profile
from onnxprof.backends.ort.repeat import Repeater
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.errors import runtime_errors
from onnxprof.backends.ort.runtime.session import BoundSession, place_of
from onnxprof.backends.ort.timed import build_trace, joined_steps
from onnxprof.errors import BackendError
from onnxprof.machine.cpu import cpu_device
from onnxprof.machine.gpus import free_bytes
from onnxprof.model.graph.read import read_file, read_prepared
from onnxprof.plugins.backend import Session, Trace, TracedSession, Workload
from onnxprof.plugins.readers import FileReader
from onnxprof.plugins.verbs import Arrays, FileSession
from onnxprof.provenance.onnx_graph import graph_attributes
from onnxprof.provenance.verify.verdicts import Claim
from onnxprof.records.device import Availability, Device
from onnxprof.records.step import Granularity

#: The environment variable that controls the runtime's telemetry.
TELEMETRY = "ORT_DISABLE_TELEMETRY"
#: Distributions that bring the runtime with other providers.
_BUILDS = ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
_SAVED_CONSTANTS = "session.optimized_model_external_initializers_"


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
            detail = f"onnxruntime cannot be imported: {str(error).splitlines()[0]}"
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

    def packages(self) -> Sequence[str]:
        """The distributions of onnxruntime."""
        return ("onnxruntime", *_BUILDS)

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

    def file_session(self, path: Path, *, lean: bool = False) -> FileSession:
        """A session for a file on the CPU; `lean` keeps no packed copy of weights."""
        from onnxprof.backends.ort.file_session import OrtFileSession

        return OrtFileSession(path, lean=lean)

    def simplify(self, source: Path, target: Path) -> None:
        """Save a model after the runtime's basic optimisations, in standard operators."""
        from onnxprof.backends.ort.simplify import simplify

        simplify(source, target)

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A session with the runtime's usual optimisations."""
        _check(workload)
        yield BoundSession(ort_session.load(workload), workload.inputs, place_of(workload))

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A session under the runtime's profiler, with the profile in a scratch folder."""
        _check(workload)
        with tempfile.TemporaryDirectory(prefix="onnxprof-") as scratch:
            yield _open_profiled(workload, Path(scratch))


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


def _open_profiled(workload: Workload, scratch: Path) -> ProfiledSession:
    def profiled(made: Any) -> None:
        made.enable_profiling = True
        made.profile_file_prefix = str(scratch / "profile")
        made.add_session_config_entry(partition.RECORD, "1")

    path = scratch / "executed.onnx"
    if providers.provider_of(workload).compiles:
        return CompiledSession(ort_session.load(workload, profiled), workload, path)
    session = _saving(workload, path, profiled) or ort_session.load(workload, profiled)
    return ProfiledSession(session, workload, path)


def _saving(
    workload: Workload, path: Path, configure: ort_session.Configure, *, packed: bool = True
) -> Any:
    """A session that saved its graph, with `packed` weights too; None where it cannot be saved.

    Some graphs, such as those with sparse weights, can only be saved with weights inside.
    """
    for outside in (True, False):
        with suppress(BackendError):
            session = ort_session.load(
                workload, partial(_save_to, path, outside, packed, configure)
            )
            _leave_out_empty_packs(path)
            return session
    return None


def _leave_out_empty_packs(path: Path) -> None:
    """Remove packed weights with an empty part, so that the runtime packs them anew.

    onnxruntime saves such parts for quantised depthwise convolutions, but cannot load them.
    """
    if (model := _structure(path)) is None:
        return
    broken = [t for t in model.graph.initializer if any(map(_is_empty_pack, t.external_data))]
    for tensor in broken:
        kept = [entry for entry in tensor.external_data if not _is_empty_pack(entry)]
        del tensor.external_data[:]
        tensor.external_data.extend(kept)
    if broken:
        path.write_bytes(model.SerializeToString())


def _is_empty_pack(entry: Any) -> bool:
    """Whether an entry `key|offset;length;flags|…`, a part for each buffer, has an empty part."""
    parts = entry.value.split("|")[1:] if entry.key.startswith("prepacked") else ()
    return any(part.split(";")[1:2] == ["0"] for part in parts)


def _save_to(
    path: Path, outside: bool, packed: bool, configure: ort_session.Configure, made: Any
) -> None:
    configure(made)
    made.optimized_model_filepath = str(path)
    if outside:
        made.add_session_config_entry(f"{_SAVED_CONSTANTS}file_name", path.stem + ".bin")
        made.add_session_config_entry(f"{_SAVED_CONSTANTS}min_size_in_bytes", "1024")
    if outside and packed:  # mapped from the file, then, not packed again by every prefix
        made.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")


class ProfiledSession(BoundSession):
    """A bound session whose every inference is in the runtime's profile."""

    def __init__(self, session: Any, workload: Workload, saved: Path) -> None:
        super().__init__(session, workload.inputs, place_of(workload))
        self._workload = workload
        self._saved = saved
        self._types: dict[str, str] = {}
        self._places: dict[int, tuple[int, ...]] = {}
        self._claims: Sequence[Claim] = ()
        self._device = DeviceTimer.of(workload)
        self._epoch_ns = int(session.get_profiling_start_time_ns())

    @property
    def launches(self) -> str:
        """Why the profile has only launches; empty where it has execution times."""
        return self._device.obstacle

    def free_bytes(self) -> int | None:
        """Free memory of a CUDA device, in which every session keeps weights of its own."""
        on_gpu = providers.provider_of(self._workload).kind == "cuda"
        return free_bytes(self._workload.device) if on_gpu else None

    @property
    def on_device(self) -> bool:
        """Whether activity records give the steps their times."""
        return self._device.collector is not None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """A context in which the device's activity records are gathered, if there are any."""
        with self._device.recording():
            yield

    def trace(self) -> Trace:
        """End profiling and tie the executed nodes to the layers."""
        with runtime_errors("cannot end profiling"):
            path = Path(self.session.end_profiling())
        self._release()
        profile, ties, length = self._tied(path)
        joined = joined_steps(profile, ties)
        self._places = {row: entry.places for row, entry in enumerate(joined) if entry.places}
        self._claims = claims_of(joined)
        operators = {layer.name: layer.op_type for layer in self._workload.table.nodes}
        made = replace(
            build_trace(profile, ties, length, operators),
            provider=providers.provider_of(self._workload).name,
        )
        rows = {key: row for row, entry in enumerate(joined) for key in entry.keys}
        return self._device.timed(made, path, rows, self._epoch_ns)

    def _release(self) -> None:
        """Make room for the witness: outputs alone keep the memory of the session's weights."""
        self.session = self._binding = None
        self._values, self._names = [], []

    def _tied(self, path: Path) -> tuple[Profile, TiedNodes, int]:
        """The profile, the tied nodes, and the number of nodes at which the graph can be cut."""
        ties = _ties(self._workload, self._saved)
        control_flow = {node.name for node in ties.nodes if node.has_subgraph}
        profile = read_profile(path, control_flow)
        executed = _structure(self._saved)
        nodes = () if executed is None else executed.graph.node
        self._types = output_types(profile, nodes)
        return profile, ties, len(nodes)

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Sessions for the first nodes of the executed graph; call this after `trace`."""
        self.session = None
        return open_prefixes(self._workload, self._saved, self._types, counts)

    def repeated(self, repeats: Mapping[int, int]) -> Mapping[int, Session]:
        """Sessions that repeat one step each, on the CPU; call this after `trace`."""
        if providers.provider_of(self._workload).kind != "cpu":
            return {}
        self.session = None
        places = {step: self._places[step] for step in repeats if step in self._places}
        return Repeater(self._workload, self._saved, self._types).sessions(places, repeats)

    def proof(self) -> OrtProof:
        """The check of the steps by values, with the saved graph; call this last."""
        self.session = None
        return OrtProof.kept(
            self._workload, read_prepared(self._workload.model), self._saved, self._claims
        )


class CompiledSession(ProfiledSession):
    """A session on a provider that compiles subgraphs, whose executed graph cannot be saved."""

    def __init__(self, session: Any, workload: Workload, saved: Path) -> None:
        super().__init__(session, workload, saved)
        self._provider = providers.provider_of(workload).name
        self._taken = partition.subgraphs(session, self._provider)

    def _tied(self, path: Path) -> tuple[Profile, TiedNodes, int]:
        basic = _at_level(self._workload, self._saved, "ORT_ENABLE_BASIC")
        if basic is None:
            return read_profile(path, ()), TiedNodes(), 0
        control_flow = {n.name for n in basic.graph.node if any(True for _ in graph_attributes(n))}
        profile = read_profile(path, control_flow)
        original = read_prepared(self._workload.model)
        ties = partition.tie_compiled(original, basic, self._taken, profile, self._provider)
        return profile, ties, 0


def _ties(workload: Workload, saved: Path) -> TiedNodes:
    """Tie the saved graph to the original; empty where it could not be saved."""
    executed = _structure(saved)
    if executed is None:
        return TiedNodes()
    original = read_prepared(workload.model)
    witness = (
        executed
        if workload.granularity is Granularity.WRITTEN
        else _at_level(workload, saved, "ORT_ENABLE_EXTENDED")
    )
    return tie(original, witness or executed, executed)


def _structure(path: Path) -> Any:
    return read_file(path) if path.exists() else None


def _at_level(workload: Workload, beside: Path, level: str) -> Any:
    """The graph at a level below the highest, where names of nodes and tensors survive.

    The graph is saved without a compiling provider, with which saving fails; at the basic level
    the nodes of the later subgraphs are still separate.
    """
    import onnxruntime as ort

    path = beside.with_name("witness.onnx")
    if providers.provider_of(workload).compiles:
        workload = replace(workload, provider="cpu", device="")

    def lower(made: Any) -> None:
        made.add_session_config_entry("session.disable_prepacking", "1")  # it never runs
        if workload.granularity is not Granularity.WRITTEN:
            made.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)

    _saving(workload, path, lower, packed=False)
    path.with_suffix(".bin").unlink(missing_ok=True)  # nobody reads its weights
    return _structure(path)
