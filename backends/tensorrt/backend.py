"""TensorRT 10 and 11 on NVIDIA GPUs. Not yet verified on hardware: docs/backends.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof import folders
from onnxprof.backends.tensorrt import layers as tensorrt_layers
from onnxprof.backends.tensorrt.build import build, logger, runtime_errors
from onnxprof.backends.tensorrt.session import EngineSession, ProfiledSession, Reports
from onnxprof.errors import BackendError, UsageError
from onnxprof.machine import gpus
from onnxprof.model.graph.read import read_prepared
from onnxprof.plugins.backend import Session, Trace, TracedSession, Workload
from onnxprof.plugins.readers import FileReader
from onnxprof.plugins.settings import FILES, LEVEL, SESSION, checked, refuse_provider_options
from onnxprof.provenance import steps as named_steps
from onnxprof.provenance.names import Evidence, Names
from onnxprof.provenance.ties import TiedStep
from onnxprof.records.device import Availability, Device, device_index
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Confidence, Granularity, Setup, Step

REMEDY = 'pip install "onnxprof[tensorrt]"'
UNVERIFIED = "not yet verified on hardware"
_OLDEST = 10
#: Levels of the builder: the higher, the longer it looks for faster tactics.
LEVELS = ("0", "1", "2", "3", "4", "5")
#: The last built engine, kept so that the un-profiled and the traced session run the same one:
#: model, device, setup and bytes.
_BUILT: list[tuple[PreparedModel, str, Setup, bytes]] = []


class TensorrtBackend:
    """Times ONNX models on TensorRT."""

    name = "tensorrt"

    def availability(self) -> Sequence[Availability]:
        """The GPUs that TensorRT can use, or why it can use none."""
        try:
            trt = runtime()
        except Exception as error:  # a broken wheel or driver can fail in any way
            why = f"{reason(error)} (this backend is {UNVERIFIED})"
            return (Availability(self.name, "cuda", False, why, REMEDY),)
        listed = gpus.cuda_devices()
        if not listed.devices:
            remedy = "Install an NVIDIA driver; see nvidia-smi"
            why = f"{listed.reason} (this backend is {UNVERIFIED})"
            return (Availability(self.name, "cuda", False, why, remedy),)
        detail = f"TensorRT {trt.__version__}, {UNVERIFIED}"
        return tuple(Availability(self.name, device.id, True, detail) for device in listed.devices)

    def devices(self) -> Sequence[Device]:
        """The GPUs, where TensorRT is installed."""
        states = self.availability()
        return gpus.cuda_devices().devices if states[0].usable else ()

    def packages(self) -> Sequence[str]:
        """The distributions of TensorRT, and of TensorRT for RTX."""
        return ("tensorrt", "tensorrt-rtx")

    def configured(self, setup: Setup, provider: str) -> Setup:
        """The builder's level of optimisation, 0 to 5, and nothing else."""
        del provider
        if setup.level and setup.level not in LEVELS:
            raise UsageError(
                f"TensorRT has no level {setup.level!r} of optimisation",
                remedy=f"{LEVEL} takes {LEVELS[0]} to {LEVELS[-1]}, or all for the usual one",
            )
        refuse_provider_options(setup.provider, "TensorRT", f"{LEVEL} is all that can be set")
        return Setup(setup.level, checked(setup.session, {}, (FILES,), SESSION, "TensorRT"))

    def caches(self) -> Sequence[Path]:
        """The folder of tactics' timings."""
        return (cache_file("", "").parent,)

    def readers(self) -> Sequence[FileReader]:
        """The reader of trtexec's files."""
        from onnxprof.backends.tensorrt.readers import READERS

        return READERS

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """An engine as trtexec would build it, at one size. Building may take minutes."""
        with _loaded(workload) as (trt, engine, memory):
            yield EngineSession(trt, engine, memory, workload)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """The same engine under an IProfiler."""

        def traced(engine: Any, reports: Reports) -> Trace:
            inspector = engine.create_engine_inspector()
            text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
            return trace_of(workload, text, reports)

        with _loaded(workload) as (trt, engine, memory):
            yield ProfiledSession(trt, engine, memory, workload, traced)


def runtime() -> Any:
    """The module `tensorrt`, after its dependencies. Raises whatever the import raises."""
    import tensorrt
    from cuda.bindings import runtime as _  # noqa: F401

    major = int(re.match(r"\d*", tensorrt.__version__)[0] or 0)  # type: ignore[index]
    if major < _OLDEST:
        raise ImportError(f"TensorRT {tensorrt.__version__} is too old; {_OLDEST} is needed")
    return tensorrt


def reason(error: Exception) -> str:
    """Why TensorRT cannot be used, in one line."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"TensorRT cannot be used: {first[:200]}"


@contextmanager
def _loaded(workload: Workload) -> Iterator[tuple[Any, Any, Any]]:
    """TensorRT, the workload's engine on the device, and device memory. Raises BackendError."""
    _check(workload)
    try:
        trt = runtime()
    except Exception as error:
        raise BackendError(reason(error), where="tensorrt", remedy=REMEDY) from None
    from onnxprof.backends.tensorrt.memory import DeviceMemory

    memory = DeviceMemory(device_index(workload.device))
    try:
        plan = _plan(trt, workload)
        said: list[str] = []
        with runtime_errors("cannot load the engine"):
            log = logger(trt, said)
            loader = trt.Runtime(log)
            engine = loader.deserialize_cuda_engine(plan)
        if engine is None:
            raise BackendError(f"TensorRT cannot load its engine: {(said or ['no reason'])[-1]}")
        yield trt, engine, memory
    finally:
        memory.close()


def _check(workload: Workload) -> None:
    if workload.provider != "cuda":
        raise UsageError(
            f"the tensorrt backend has no provider {workload.provider!r}", remedy="It has: cuda"
        )
    if workload.granularity is Granularity.WRITTEN:
        raise BackendError(
            "TensorRT cannot run a graph as written: its optimisations have no switch",
            where="tensorrt",
            remedy="Use --granularity executed, or --backend ort",
        )


def _plan(trt: Any, workload: Workload) -> bytes:
    """The engine, built once for the sessions of one workload."""
    model, device, setup = workload.model, workload.device, workload.setup
    if not _BUILT or _BUILT[0][0] is not model or _BUILT[0][1:3] != (device, setup):
        _BUILT.clear()
        plan = build(trt, workload, cache_file(trt.__version__, device))
        _BUILT.append((model, device, setup, plan))
    return _BUILT[0][3]


def cache_file(version: str, device_id: str) -> Path:
    """The file of tactics' timings, which are valid for one version and one device."""
    safe = re.sub(r"[^\w.-]+", "-", f"{version}-{device_id or 'cuda'}")
    return folders.cache() / "tensorrt" / f"{safe}.timing"


def trace_of(workload: Workload, engine_json: str, reports: Reports) -> Trace:
    """The profiler's reports as a trace, tied to the workload's layers.

    `engine_json` is the engine inspector's text. Raises BackendError if it is not JSON.
    """
    try:
        described = tensorrt_layers.parse_engine(json.loads(engine_json, strict=False))
    except ValueError as error:
        raise BackendError(f"its engine inspector gives no JSON: {error}") from None
    inferences = reports.whole
    order = list(dict.fromkeys(name for inference in inferences for name, _ in inference))
    pairs = tensorrt_layers.joined(described, [(name, 0.0) for name in order])
    layers = [layer for layer, _ in pairs]
    times = _times(order, inferences)
    names = Names(workload.table)
    evidence = [
        named_steps.outermost(tensorrt_layers.evidence(layer, names), workload.table)
        for layer in layers
    ]
    ties = named_steps.tie(_graph(workload, evidence), evidence)
    steps = tuple(_step(i, step, layers, workload) for i, step in enumerate(ties.steps))
    sums = [times[list(step.members)].sum(axis=0) for step in ties.steps]
    shape = (len(steps), len(inferences))
    return Trace(steps, np.array(sums, np.int64).reshape(shape), ties.folded)


def _times(order: Sequence[str], inferences: Sequence[Sequence[tuple[str, float]]]) -> Any:
    """Nanoseconds of each layer in each inference; for layers of a loop, of all iterations."""
    row = {name: i for i, name in enumerate(order)}
    times = np.zeros((len(order), len(inferences)))
    for column, inference in enumerate(inferences):
        for name, ms in inference:
            times[row[name], column] += ms * 1e6
    return np.rint(times).astype(np.int64)


def _graph(workload: Workload, evidence: Sequence[Evidence]) -> Any:
    from onnxprof.provenance.onnx_graph import read_graph

    model = read_prepared(workload.model)
    named = {name for entry in evidence for name in entry.layers}
    return named_steps.without_sizes(read_graph(model.graph), workload.table, named)


def _step(
    position: int,
    step: TiedStep,
    layers: Sequence[tensorrt_layers.EngineLayer],
    workload: Workload,
) -> Step:
    members = [layers[i] for i in step.members]
    return Step(
        name=" + ".join(layer.name for layer in members),
        op_type=" + ".join(dict.fromkeys(layer.kind for layer in members if layer.kind)),
        provider="TensorRT",
        layers=named_steps.with_inner(step.layers, workload.table),
        confidence=step.confidence if step.layers else Confidence.NONE,
        evidence=step.evidence,
        outputs=members[-1].outputs,
        position=position,
        nodes=len(members),
    )
