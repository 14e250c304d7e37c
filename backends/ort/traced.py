"""Sessions under onnxruntime's profiler: what a model is traced, checked and cut with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from onnxprof.backends.ort import partition
from onnxprof.backends.ort.check.verify import OrtProof, claims_of
from onnxprof.backends.ort.device_timer import DeviceTimer
from onnxprof.backends.ort.graphs.beforehand import from_saved
from onnxprof.backends.ort.graphs.graphs import TiedNodes, tie
from onnxprof.backends.ort.graphs.saved import Saved, at_level, in_its_file, saving, structure
from onnxprof.backends.ort.prefix import open_prefixes, output_types
from onnxprof.backends.ort.profile import Profile, read_profile
from onnxprof.backends.ort.repeat import Repeater
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.errors import runtime_errors
from onnxprof.backends.ort.runtime.session import BoundSession, place_of
from onnxprof.backends.ort.runtime.settings import keeps_names
from onnxprof.backends.ort.timed import build_trace, joined_steps
from onnxprof.machine.gpus import free_bytes
from onnxprof.model.graph.read import light, read_prepared
from onnxprof.plugins.backend import Session, Trace, Workload
from onnxprof.provenance.onnx_graph import graph_attributes
from onnxprof.provenance.verify.verdicts import Claim
from onnxprof.records.step import Granularity


def open_profiled(workload: Workload, scratch: Path) -> ProfiledSession:
    """A session whose profile, and the graph that it executes, lie in the folder."""

    def profiled(made: Any) -> None:
        made.enable_profiling = True
        made.profile_file_prefix = str(scratch / "profile")
        made.add_session_config_entry(partition.RECORD, "1")

    path = scratch / "executed.onnx"
    provider = providers.provider_of(workload)
    if provider.compiles:
        return CompiledSession(ort_session.load(workload, profiled), workload, Saved.beside(path))
    if held := from_saved(workload, profiled):
        session, saved = held
        return ProfiledSession(session, workload, saved)
    if provider.kind == "cpu" and (made := in_its_file(workload, path, profiled)):
        return ProfiledSession(*made)
    session = saving(workload, path, profiled) or ort_session.load(workload, profiled)
    return ProfiledSession(session, workload, Saved.beside(path))


class ProfiledSession(BoundSession):
    """A bound session whose every inference is in the runtime's profile."""

    def __init__(self, session: Any, workload: Workload, saved: Saved) -> None:
        super().__init__(session, workload.inputs, place_of(workload), workload.carried)
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

    @cached_property
    def _light(self) -> Workload:
        """The workload with its model's weights left in the file: for what is not timed."""
        return replace(self._workload, model=light(self._workload.model))

    @cached_property
    def _original(self) -> Any:
        return read_prepared(self._light.model)

    @cached_property
    def _timeable(self) -> Saved:
        """The saved graph with packed weights, which sessions map. Raises BackendError."""
        return self._saved.packed(self._workload)

    def _release(self) -> None:
        """Make room for the witness: outputs alone keep the memory of the session's weights."""
        self.session = self._binding = self._turns = None
        self._values, self._names = [], []

    def _tied(self, path: Path) -> tuple[Profile, TiedNodes, int]:
        """The profile, the tied nodes, and the number of nodes at which the graph can be cut."""
        executed = structure(self._saved.path)
        ties = _ties(self._light, self._original, self._saved.path, executed)
        control_flow = {node.name for node in ties.nodes if node.has_subgraph}
        profile = read_profile(path, control_flow)
        nodes = () if executed is None else executed.graph.node
        self._types = output_types(profile, nodes)
        return profile, ties, len(nodes)

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Sessions for the first nodes of the executed graph; call this after `trace`."""
        self.session = None
        saved = self._timeable if any(counts) else self._saved
        return open_prefixes(self._workload, saved.path, self._types, counts)

    def repeated(self, repeats: Mapping[int, int]) -> Mapping[int, Session]:
        """Sessions that repeat one step each, on the CPU; call this after `trace`."""
        if providers.provider_of(self._workload).kind != "cpu":
            return {}
        self.session = None
        places = {step: self._places[step] for step in repeats if step in self._places}
        saved = self._timeable.path
        return Repeater(self._workload, saved, self._types).sessions(places, repeats)

    def proof(self) -> OrtProof:
        """The check of the steps by values, with the saved graph; call this last."""
        self.session = None
        return OrtProof.kept(self._light, self._original, self._saved, self._claims)


class CompiledSession(ProfiledSession):
    """A session on a provider that compiles subgraphs, whose executed graph cannot be saved."""

    def __init__(self, session: Any, workload: Workload, saved: Saved) -> None:
        super().__init__(session, workload, saved)
        self._provider = providers.provider_of(workload).name
        self._taken = partition.subgraphs(session, self._provider)

    def _tied(self, path: Path) -> tuple[Profile, TiedNodes, int]:
        basic = at_level(self._workload, self._saved.path, "ORT_ENABLE_BASIC")
        if basic is None:
            return read_profile(path, ()), TiedNodes(), 0
        control_flow = {n.name for n in basic.graph.node if any(True for _ in graph_attributes(n))}
        profile = read_profile(path, control_flow)
        ties = partition.tie_compiled(self._original, basic, self._taken, profile, self._provider)
        return profile, ties, 0


def _ties(workload: Workload, original: Any, saved: Path, executed: Any) -> TiedNodes:
    """Tie the saved graph to the original; empty where it could not be saved.

    The graph at the extended level is made only where its names can add evidence.
    """
    if executed is None:
        return TiedNodes()
    ties = tie(original, executed, executed)
    layers = (layer.name for layer in workload.table.nodes)
    named = workload.granularity is Granularity.WRITTEN or keeps_names(workload.setup)
    if named or ties.settles(layers):
        return ties
    witness = at_level(workload, saved, "ORT_ENABLE_EXTENDED")
    return ties if witness is None else tie(original, witness, executed)
