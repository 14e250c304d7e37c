"""onnxruntime: its providers, timed by its own profiler or, on CUDA, by activity records."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.backends import ort_partition, ort_providers, ort_session
from onnxprof.backends.cupti_timer import DeviceTimer
from onnxprof.backends.ort_errors import runtime_errors
from onnxprof.backends.ort_graphs import MOVERS, ExecutedNode, Ties, tie
from onnxprof.backends.ort_prefix import open_prefixes, output_types
from onnxprof.backends.ort_profile import Key, Profile, read_profile
from onnxprof.backends.ort_session import BoundSession, place_of
from onnxprof.backends.ort_topology import graph_attributes
from onnxprof.contracts import BackendError, Session, Trace, TracedSession, Workload
from onnxprof.devices import free_bytes
from onnxprof.environment import cpu_device
from onnxprof.records import Availability, Confidence, Device, Granularity, Step, Tensor

_SAVED_CONSTANTS = "session.optimized_model_external_initializers_"


class OrtBackend:
    """Times ONNX models on onnxruntime."""

    name = "ort"

    def availability(self) -> Sequence[Availability]:
        """The CPU provider and the others, or why they are not there."""
        try:
            import onnxruntime as ort

            version = f"onnxruntime {ort.__version__}"
        except Exception as error:  # a broken wheel can fail in any way
            detail = f"onnxruntime cannot be imported: {str(error).splitlines()[0]}"
            remedy = 'pip install "onnxprof[cpu]"'
            return (Availability(self.name, "cpu", False, detail, remedy),)
        cpu = Availability(self.name, cpu_device().id, True, version)
        return (cpu, *ort_providers.availability(self.name, version))

    def devices(self) -> Sequence[Device]:
        """The CPU, if onnxruntime is there, and the CUDA devices that it can use."""
        try:
            import onnxruntime  # noqa: F401
        except Exception:  # a broken wheel can fail in any way
            return ()
        return (cpu_device(), *ort_providers.gpus())

    def kind_of(self, provider: str) -> str:
        """`cpu` or `cuda`; empty for no provider or an unknown one."""
        found = ort_providers.PROVIDERS.get(provider)
        return found.kind if found else ""

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """A session as a user of the runtime would create it."""
        _check(workload)
        yield BoundSession(ort_session.load(workload), workload.inputs, place_of(workload))

    @contextmanager
    def open_traced(self, workload: Workload, inferences: int) -> Iterator[TracedSession]:
        """A session under the runtime's profiler, which keeps its files in a scratch folder."""
        del inferences
        _check(workload)
        with tempfile.TemporaryDirectory(prefix="onnxprof-") as scratch:
            yield _open_profiled(workload, Path(scratch))


def _check(workload: Workload) -> None:
    ort_providers.require_fit(workload)
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"onnxruntime cannot be imported: {error}",
            where="ort",
            remedy='pip install "onnxprof[cpu]"',
        ) from None
    ort_providers.require_usable(workload)


def _open_profiled(workload: Workload, scratch: Path) -> ProfiledSession:
    def profiled(made: Any) -> None:
        made.enable_profiling = True
        made.profile_file_prefix = str(scratch / "profile")
        made.add_session_config_entry(ort_partition.RECORD, "1")

    def saved(made: Any) -> None:
        profiled(made)
        _save_to(made, path)

    path = scratch / "executed.onnx"
    if ort_providers.provider_of(workload).compiles:
        return CompiledSession(ort_session.load(workload, profiled), workload, path)
    try:
        session = ort_session.load(workload, saved)
    except BackendError:  # some optimised graphs cannot be saved
        session = ort_session.load(workload, profiled)
    return ProfiledSession(session, workload, path)


def _save_to(made: Any, path: Path) -> None:
    made.optimized_model_filepath = str(path)
    made.add_session_config_entry(f"{_SAVED_CONSTANTS}file_name", path.stem + ".bin")
    made.add_session_config_entry(f"{_SAVED_CONSTANTS}min_size_in_bytes", "1024")
    # packed weights are then mapped from the file, not packed again by every prefix
    made.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")


class ProfiledSession(BoundSession):
    """A bound session whose every inference is in the runtime's profile."""

    def __init__(self, session: Any, workload: Workload, saved: Path) -> None:
        super().__init__(session, workload.inputs, place_of(workload))
        self._workload = workload
        self._saved = saved
        self._types: dict[str, str] = {}
        self._device = DeviceTimer.of(workload)
        self._epoch_ns = int(session.get_profiling_start_time_ns())

    @property
    def launches(self) -> str:
        """Why the profile has nothing but launches, where the device works on by itself."""
        return self._device.obstacle

    def free_bytes(self) -> int | None:
        """What a CUDA device has left, in which every session keeps weights of its own."""
        on_gpu = ort_providers.provider_of(self._workload).kind == "cuda"
        return free_bytes(self._workload.device) if on_gpu else None

    @property
    def on_device(self) -> bool:
        """Whether activity records give the steps their times."""
        return self._device.collector is not None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Gather the device's activity records inside of it, where it has some."""
        with self._device.recording():
            yield

    def trace(self) -> Trace:
        """End profiling and tie what ran to the layers."""
        with runtime_errors("cannot end profiling"):
            path = Path(self.session.end_profiling())
        profile, ties, length = self._tied(path)
        joined = joined_steps(profile, ties)
        made = replace(
            build_trace(profile, ties, length),
            provider=ort_providers.provider_of(self._workload).name,
        )
        rows = {key: row for row, entry in enumerate(joined) for key in entry.keys}
        return self._device.timed(made, path, rows, self._epoch_ns)

    def _tied(self, path: Path) -> tuple[Profile, Ties, int]:
        """The profile, what ran tied to the layers, and how many nodes a cut can count."""
        ties = _ties(self._workload, self._saved)
        control_flow = {node.name for node in ties.nodes if node.has_subgraph}
        profile = read_profile(path, control_flow)
        executed = _structure(self._saved)
        nodes = () if executed is None else executed.graph.node
        self._types = output_types(profile, nodes)
        return profile, ties, len(nodes)

    def prefixes(self, counts: Sequence[int]) -> Sequence[Session]:
        """Sessions for the first nodes of the graph that ran; call it after `trace`."""
        self.session = None
        return open_prefixes(self._workload, self._saved, self._types, counts)


class CompiledSession(ProfiledSession):
    """One of a provider that compiles subgraphs, so that the graph that runs cannot be saved."""

    def __init__(self, session: Any, workload: Workload, saved: Path) -> None:
        super().__init__(session, workload, saved)
        self._provider = ort_providers.provider_of(workload).name
        self._taken = ort_partition.subgraphs(session, self._provider)

    def _tied(self, path: Path) -> tuple[Profile, Ties, int]:
        basic = _at_level(self._workload, self._saved, "ORT_ENABLE_BASIC")
        if basic is None:
            return read_profile(path, ()), Ties(), 0
        control_flow = {n.name for n in basic.graph.node if any(True for _ in graph_attributes(n))}
        profile = read_profile(path, control_flow)
        original = _original(self._workload)
        ties = ort_partition.tie_compiled(original, basic, self._taken, profile, self._provider)
        return profile, ties, 0


def _original(workload: Workload) -> Any:
    import onnx

    source = workload.model.source
    if isinstance(source, bytes):
        return onnx.load_model_from_string(source)
    return onnx.load(str(source), load_external_data=False)


def _ties(workload: Workload, saved: Path) -> Ties:
    """Tie the saved graph to the original; nothing where it could not be saved."""
    executed = _structure(saved)
    if executed is None:
        return Ties()
    original = _original(workload)
    witness = (
        executed
        if workload.granularity is Granularity.WRITTEN
        else _at_level(workload, saved, "ORT_ENABLE_EXTENDED")
    )
    return tie(original, witness or executed, executed)


def _structure(path: Path) -> Any:
    import onnx

    return onnx.load(str(path), load_external_data=False) if path.exists() else None


def _at_level(workload: Workload, beside: Path, level: str) -> Any:
    """The graph at a level below the highest, where names of nodes and tensors survive.

    A provider that compiles is left out, since nothing could be saved with it: at the basic
    level its subgraphs are still nodes.
    """
    import onnxruntime as ort

    path = beside.with_name("witness.onnx")
    if ort_providers.provider_of(workload).compiles:
        workload = replace(workload, provider="cpu", device="")

    def lower(made: Any) -> None:
        if workload.granularity is not Granularity.WRITTEN:
            made.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        _save_to(made, path)

    with suppress(BackendError):
        ort_session.load(workload, lower)
    return _structure(path)


@dataclass(frozen=True, slots=True)
class _Timed:
    node: ExecutedNode
    keys: tuple[Key, ...]
    """Its own in the profile first, then those of the nodes that work for it."""
    first: int = -1
    """Place in the graph of the first of them; -1 if there is none."""

    @property
    def barred(self) -> range:
        """Where a cut would part nodes that belong together."""
        return range(self.first + 1, self.node.position + 1) if self.first >= 0 else range(0)


def build_trace(profile: Profile, ties: Ties, length: int) -> Trace:
    """Join a profile with the graph that ran, of `length` nodes: one step a node, in order."""
    joined = joined_steps(profile, ties)
    steps = tuple(_step(entry, profile) for entry in joined)
    times = np.zeros((len(joined), profile.inferences), np.int64)
    for row, entry in enumerate(joined):
        for key in entry.keys:
            for inference, ns in profile.steps.get(key, {}).items():
                times[row, inference] += ns
    shapes = tuple(s for entry in joined for s in _original_shapes(entry, profile))
    known = all(entry.node.position >= 0 for entry in joined)
    return Trace(
        *(steps, times, tuple(ties.folded), shapes, length if known else 0),
        barred=frozenset(place for entry in joined for place in entry.barred),
    )


def joined_steps(profile: Profile, ties: Ties) -> list[_Timed]:
    """What ran, a step each, with its keys in the profile."""
    return _gathered(_join(profile, ties), ties)


def _join(profile: Profile, ties: Ties) -> list[_Timed]:
    """Match profile keys to executed nodes by name and operator, repeated ones in order."""
    waiting: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in profile.steps:
        waiting[_given(key)].append(key)
    joined = []
    for node in ties.nodes:
        keys = waiting.get((node.name, node.op_type), [])
        if keys:
            joined.append(_Timed(node, (keys.pop(0),)))
    strangers = [key for keys in waiting.values() for key in keys]
    return joined + [_Timed(ExecutedNode(k[0], k[1], (), False, -1), (k,)) for k in strangers]


def _given(key: Key) -> tuple[str, str]:
    """Name and operator; the profile calls a node without a name after operator and index."""
    name, operator, index = key
    return ("" if name == f"{operator}_{index}" else name), operator


def _gathered(joined: list[_Timed], ties: Ties) -> list[_Timed]:
    """Let what several nodes compute together be one step, that of the node which completes it."""
    place = {id(node): i for i, node in enumerate(ties.nodes)}
    there = {place[id(entry.node)] for entry in joined if id(entry.node) in place}
    helpers: dict[int, list[_Timed]] = defaultdict(list)
    for entry in joined:
        if entry.node.head in there:
            helpers[entry.node.head].append(entry)
    return [
        _with(entry, helpers.get(place.get(id(entry.node), -1), []))
        for entry in joined
        if entry.node.head not in there
    ]


def _with(entry: _Timed, helpers: Sequence[_Timed]) -> _Timed:
    if not helpers:
        return entry
    keys = tuple(key for helper in helpers for key in helper.keys)
    first = min(helper.node.position for helper in helpers)
    return _Timed(replace(entry.node, op_type=_work(entry, helpers)), (*entry.keys, *keys), first)


def _work(entry: _Timed, helpers: Sequence[_Timed]) -> str:
    """The operators that do the work: `Gemm` for a Gemm between two Reshapes."""
    kinds = [node.op_type for node in (*(h.node for h in helpers), entry.node)]
    return "+".join(dict.fromkeys(k for k in kinds if k not in MOVERS)) or entry.node.op_type


def _step(entry: _Timed, profile: Profile) -> Step:
    node, key = entry.node, entry.keys[0]
    shapes = profile.shapes.get(key, ())
    named = zip(node.outputs, shapes, strict=False) if len(node.outputs) == len(shapes) else ()
    return Step(
        name=node.name,
        op_type=node.op_type,
        provider=profile.providers.get(key, ""),
        layers=node.layers,
        confidence=node.confidence if node.layers else Confidence.NONE,
        evidence=node.evidence,
        outputs=tuple(Tensor(n, dtype, shape, observed=True) for n, (dtype, shape) in named),
        position=node.position,
        nodes=len(entry.keys),
    )


def _original_shapes(entry: _Timed, profile: Profile) -> Iterator[Tensor]:
    shapes = profile.shapes.get(entry.keys[0], ())
    if len(shapes) == len(entry.node.anchors):
        for name, (dtype, shape) in zip(entry.node.anchors, shapes, strict=True):
            yield Tensor(name, dtype, shape, observed=True)
