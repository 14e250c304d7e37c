"""Files that other profilers wrote, together with the ONNX file, as a run like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof import __version__, cautions
from onnxprof.backends import named_steps, openvino_report, ort_names, tensorrt_layers
from onnxprof.backends.named_steps import Evidence, NamedStep, Names
from onnxprof.backends.ort_topology import read_graph
from onnxprof.contracts import BackendError, UsageError
from onnxprof.cpu import slug
from onnxprof.inspector import inspect
from onnxprof.modelfile import ModelFile
from onnxprof.records import (
    Confidence,
    Device,
    LayerTable,
    Origin,
    Request,
    Run,
    RunWarning,
    Samples,
    Step,
    Tensor,
    Timings,
    WarningKind,
)
from onnxprof.references import is_remote

#: What a file may hold at most; onnxruntime ends a profile of its own at about this.
MAX_BYTES = 256 << 20
_BLOCKS = 24
#: Fewer known names than this part of those in a file, and it is of another model.
_KNOWN = 0.5


@dataclass(frozen=True, slots=True)
class Facts:
    """What no file tells, as the user gives it."""

    batch: int = 1
    dims: tuple[tuple[str, int], ...] = ()
    device_name: str = ""
    device_kind: str = ""
    """`cpu`, `cuda`, `gpu`, `npu`; empty for what the program mostly runs on."""
    runtime: str = ""
    """Name and version: `TensorRT 11.0`."""
    threads: int = 0
    """0 where that is not known."""
    command: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that the other program measured."""

    name: str
    kind: str
    evidence: Evidence
    provider: str = ""
    outputs: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What some files hold, whoever wrote them."""

    origin: Origin
    backend: str
    device_kind: str
    units: tuple[Unit, ...]
    unit_ns: Samples
    """Shape [units, inferences], or one column of averages."""
    lacks: tuple[str, ...]
    """What a measurement of onnxprof's own would hold, in words."""
    latency_ns: Samples
    """Un-profiled inferences, shape [n]; empty where there are none."""
    traced_ns: Samples
    """Inferences under the timer, shape [inferences]; empty where they were not timed."""
    load_ns: int = 0
    first_ns: int = 0


_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read whole."""

    path: Path
    data: bytes

    @property
    def text(self) -> str:
        """As text; bytes that are no UTF-8 stay themselves, since names come from models."""
        return self.data.decode("utf-8", "surrogateescape")

    def json(self) -> Any:
        """Its JSON value; control characters inside of strings are taken, for trtexec writes them.

        Raises UsageError.
        """
        try:
            return json.loads(self.text, strict=False)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UsageError(f"is no JSON: {reason}", where=str(self.path)) from None

    @property
    def digest(self) -> tuple[str, str]:
        """Name and SHA-256."""
        return self.path.name, hashlib.sha256(self.data).hexdigest()


def read(path: Path) -> Source:
    """A file to import from. Raises UsageError for none, an empty one and one too big."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            limit = f"{size >> 20} MiB, more than {MAX_BYTES >> 20} MiB"
            raise UsageError(limit, where=str(path), remedy="Profile fewer inferences")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if not data.strip() or len(data) > MAX_BYTES:
        raise UsageError("is empty" if len(data) <= MAX_BYTES else "is too big", where=str(path))
    return Source(path, data)


def from_trtexec(profile: Source, layers: Source | None, times: Source | None) -> Reader:
    """What trtexec's `--exportProfile`, `--exportLayerInfo` and `--exportTimes` wrote."""

    def parsed(names: Names, _: LayerTable) -> Recorded:
        count, told = _parse(profile, tensorrt_layers.parse_profile)
        engine = _parse(layers, tensorrt_layers.parse_engine) if layers else ()
        taken = _parse(times, tensorrt_layers.parse_times) if times else ()
        pairs = tensorrt_layers.joined(engine, told)
        if engine and not {layer.name for layer in engine} & {name for name, _ in told}:
            raise UsageError(
                f"no layer of its {len(told)} is among the {len(engine)} of the layer information",
                where=str(profile.path),
                remedy="Export both from one engine",
            )
        used = [source for source in (layers, profile, times) if source]
        return Recorded(
            origin=Origin(
                "trtexec", "IProfiler", count, True, tuple(source.digest for source in used)
            ),
            backend="tensorrt",
            device_kind="cuda",
            units=tuple(_engine_unit(layer, names) for layer, _ in pairs),
            unit_ns=_column([ms for _, ms in pairs]),
            lacks=(
                "each layer has one time, the middle of "
                + (f"{count} inferences under IProfiler" if count else "an unknown number"),
                "latencies are trtexec's compute times, un-profiled if it ran with"
                " --separateProfileRun"
                if taken
                else "there are no latencies (--exportTimes)",
            ),
            latency_ns=_ns(taken),
            traced_ns=_NONE,
        )

    return parsed


def from_onnxruntime(profile: Source) -> Reader:
    """A profile of onnxruntime's, as `enable_profiling` makes it."""

    def parsed(names: Names, table: LayerTable) -> Recorded:
        data = profile.json()
        inner = {layer.parent for layer in table.nodes if layer.parent}
        found = _parse(profile, lambda value: ort_names.parse_events(value, inner), data)
        keys = list(found.steps)
        first = 1 if found.inferences > 1 else 0
        times = np.zeros((len(keys), found.inferences), np.int64)
        for row, key in enumerate(keys):
            for inference, ns in found.steps[key].items():
                times[row, inference] = ns
        traced = np.array(
            ort_names.durations(data, "model_run")[: found.inferences], np.int64
        )
        kind = "cuda" if any("CPU" not in p for p in found.providers.values() if p) else "cpu"
        truncated = ("the profile is truncated",) if ort_names.is_truncated(data) else ()
        loads = ort_names.durations(data, "session_initialization")
        return Recorded(
            origin=Origin(
                "onnxruntime",
                "onnxruntime's profiler",
                found.inferences - first,
                False,
                (profile.digest,),
            ),
            backend="ort",
            device_kind=kind,
            units=tuple(
                Unit(
                    key[0],
                    key[1],
                    ort_names.evidence(key, names),
                    found.providers.get(key, ""),
                    tuple(Tensor("", d, s, observed=True) for d, s in found.shapes.get(key, ())),
                )
                for key in keys
            ),
            unit_ns=times[:, first:],
            lacks=(
                "there are no latencies without the profiler, and its cost is in every step",
                *truncated,
            ),
            latency_ns=_NONE,
            traced_ns=traced[first:],
            load_ns=loads[0] if loads else 0,
            first_ns=int(traced[0]) if traced.size else 0,
        )

    return parsed


def from_benchmark_app(report: Source) -> Reader:
    """OpenVINO's performance counters, as benchmark_app reports them."""

    def parsed(names: Names, _: LayerTable) -> Recorded:
        if openvino_report.looks_like_csv(report.text):
            requests = _parse(report, openvino_report.parse_csv, report.text)
        else:
            requests = _parse(report, openvino_report.parse_json)
        places = [i for i, node in enumerate(requests[0]) if openvino_report.is_work(node)]
        return Recorded(
            origin=Origin("benchmark_app", "performance counters", 0, True, (report.digest,)),
            backend="openvino",
            device_kind="cpu",
            units=tuple(
                Unit(node.name, node.kind, openvino_report.evidence(node, names), "OpenVINO")
                for node in (requests[0][i] for i in places)
            ),
            unit_ns=np.stack([_ns([r[i].ms for i in places]) for r in requests], axis=1),
            lacks=(
                "each node has one mean a request, over an unknown number of inferences",
                "there are no latencies",
            ),
            latency_ns=_NONE,
            traced_ns=_NONE,
        )

    return parsed


Reader = Callable[[Names, LayerTable], Recorded]


def build(model: ModelFile, reader: Reader, facts: Facts) -> Run:
    """The run. Raises UsageError for files of another model or batch, or that are damaged."""
    table = inspect(model, facts.batch, dict(facts.dims))
    if table.batch != facts.batch:
        raise UsageError(
            f"the model stays at batch {table.batch}: {table.obstacle}",
            where=str(model.path),
            remedy=f"Use --batch {table.batch}",
        )
    names = Names(table)
    recorded = reader(names, table)
    evidence = tuple(_outermost(unit.evidence, table) for unit in recorded.units)
    _refuse_stranger(model, names, evidence)
    named = {name for found in evidence for name in found.layers}
    graph = named_steps.without_sizes(read_graph(model.structure.graph), table, named)
    ties = named_steps.tie(graph, evidence)
    _refuse_other_batch(recorded, evidence, table)
    steps = tuple(_step(i, step, recorded, table) for i, step in enumerate(ties.steps))
    timings = _timings(recorded, ties.steps)
    known = model.facts()
    if not is_remote(known.reference):
        known = replace(known, reference=Path(known.reference).name)
    device = _device(recorded, facts)
    return Run(
        request=Request(
            model_name=known.name,
            model_sha256=known.sha256,
            backend=recorded.backend,
            provider=device.kind,
            device_id=device.id,
            batch=facts.batch,
            dims=facts.dims,
            threads=facts.threads,
            timer="imported",
        ),
        model=known,
        device=device,
        environment=_environment(recorded, facts),
        created=facts.created,
        command=facts.command,
        table=table,
        steps=steps,
        folded=ties.folded,
        timings=timings,
        warnings=tuple(_warnings(recorded, facts, timings, steps, evidence, names)),
        origin=recorded.origin,
    )


def _outermost(found: Evidence, table: LayerTable) -> Evidence:
    """The evidence with layers of subgraphs replaced by the control-flow layers around them."""
    parents = {layer.name: layer.parent for layer in table.nodes if layer.parent}
    layers = []
    for name in found.layers:
        while name in parents:
            name = parents[name]
        layers.append(name)
    return replace(found, layers=tuple(dict.fromkeys(layers)))


def _refuse_stranger(model: ModelFile, names: Names, evidence: Sequence[Evidence]) -> None:
    strange, told = named_steps.missing(names, evidence)
    if not told or told - strange < _KNOWN * told:
        raise UsageError(
            f"the files name {told} ONNX layers, of which this model has {told - strange}",
            where=str(model.path),
            remedy="Give the very ONNX file that was profiled, and for TensorRT layer information"
            " of an engine built with --profilingVerbosity=detailed",
        )


def _refuse_other_batch(
    recorded: Recorded, evidence: Sequence[Evidence], table: LayerTable
) -> None:
    """Where files tell shapes of tensors that the model knows, most must be of this batch."""
    known = {t.name: t.shape for layer in table.nodes for t in layer.outputs if t.is_static}
    layers = {layer.name: layer for layer in table.nodes}
    pairs = []
    for unit, found in zip(recorded.units, evidence, strict=True):
        tensors = unit.outputs
        if len(found.layers) == 1 and layers[found.layers[0]].op_type == unit.kind:
            given = layers[found.layers[0]].outputs
            tensors = tuple(
                replace(t, name=g.name) for t, g in zip(tensors, given, strict=False) if not t.name
            )
        shapes = [(known.get(t.name), t.shape) for t in tensors]
        pairs += [(a, b) for a, b in shapes if a and b and len(a) == len(b) and a[1:] == b[1:]]
    other = [b[0] for a, b in pairs if a[0] != b[0]]
    if 2 * len(other) > len(pairs):
        batch = max(set(other), key=other.count)
        raise UsageError(
            f"the files are of batch {batch}, not {table.batch}", remedy=f"Add --batch {batch}"
        )


def _step(position: int, step: NamedStep, recorded: Recorded, table: LayerTable) -> Step:
    units = [recorded.units[i] for i in step.members]
    return Step(
        name=" + ".join(unit.name for unit in units),
        op_type=" + ".join(dict.fromkeys(unit.kind for unit in units if unit.kind)),
        provider=units[-1].provider,
        layers=_with_inner(step.layers, table),
        confidence=step.confidence if step.layers else Confidence.NONE,
        evidence=step.evidence,
        outputs=tuple(tensor for tensor in units[-1].outputs if tensor.name),
        position=position,
        nodes=len(units),
    )


def _with_inner(layers: Sequence[str], table: LayerTable) -> tuple[str, ...]:
    """Layers in table order, with those inside of a control-flow layer's subgraphs."""
    covered = set(layers)
    for layer in table.nodes:  # a subgraph's layers may come before or after, but nest inwards
        if layer.parent in covered:
            covered.add(layer.name)
    return tuple(layer.name for layer in table.nodes if layer.name in covered)


def _timings(recorded: Recorded, steps: Sequence[NamedStep]) -> Timings:
    sums = [recorded.unit_ns[list(step.members)].sum(axis=0) for step in steps]
    latency = recorded.latency_ns
    return Timings(
        load_ns=recorded.load_ns,
        first_ns=recorded.first_ns,
        warmup_ns=_NONE,
        latency_ns=latency,
        latency_block=(np.arange(latency.size) * _BLOCKS // max(latency.size, 1)).astype(np.int32),
        traced_ns=recorded.traced_ns,
        step_ns=np.array(sums, np.int64).reshape(len(steps), recorded.unit_ns.shape[1]),
    )


def _device(recorded: Recorded, facts: Facts) -> Device:
    kind = facts.device_kind or recorded.device_kind
    name = facts.device_name or "unknown device"
    number = "" if kind == "cpu" else "0:"
    return Device(f"{kind}:{number}{slug(name) or 'unknown'}", kind, name)


#: What the versions of runtimes are called in the facts about a measured run.
_PACKAGES = {"tensorrt": "tensorrt", "ort": "onnxruntime", "openvino": "openvino"}


def _environment(recorded: Recorded, facts: Facts) -> tuple[tuple[str, str], ...]:
    """What is known of the other machine, and who imported; nothing about this one."""
    version = facts.runtime.split()[-1] if facts.runtime.split() else ""
    told = ((_PACKAGES[recorded.backend], version), ("runtime", facts.runtime))
    return (*((key, value) for key, value in told if value), ("imported by", __version__))


def _warnings(
    recorded: Recorded,
    facts: Facts,
    timings: Timings,
    steps: Sequence[Step],
    evidence: Sequence[Evidence],
    names: Names,
) -> Iterator[RunWarning]:
    strange, told = named_steps.missing(names, evidence)
    lacks = [
        *recorded.lacks,
        *(["the device was not named"] if not facts.device_name else []),
        *(["the runtime's version was not given"] if not facts.runtime else []),
        *([f"{strange} of {told} names in it are no layers of the model"] if strange else []),
        "outputs were not compared",
    ]
    yield RunWarning(WarningKind.IMPORTED, float(recorded.origin.inferences), "; ".join(lacks))
    if timings.latency_ns.size:
        yield from cautions.median_warnings(timings)
    yield from cautions.step_warnings(timings, steps)


def _parse(source: Source, parse: Callable[[Any], Any], given: Any = None) -> Any:
    """What `parse` makes of the file's JSON, or of what is given; its errors name the file."""
    try:
        return parse(source.json() if given is None else given)
    except BackendError as error:
        remedy = error.remedy or _hint(source)
        raise UsageError(error.what, where=str(source.path), remedy=remedy) from None


def _hint(source: Source) -> str:
    """Which option a file is for, where its content tells."""
    if openvino_report.looks_like_csv(source.text):
        return "It looks like a report for --benchmark-app"
    try:
        data = json.loads(source.text, strict=False)
    except (ValueError, RecursionError):
        return ""
    first = next((row for row in data if isinstance(row, dict)), {}) if data else {}
    keys = set(data) if isinstance(data, dict) else set(first)
    for key, option in _TELLING.items():
        if key in keys:
            return f"It looks like a file for {option}"
    return ""


#: A key that only one kind of file has, and the option that takes it.
_TELLING = {
    "Layers": "--engine-layers",
    "count": "--profile",
    "averageMs": "--profile",
    "computeMs": "--times",
    "dur": "--ort-profile",
    "detailed_performance": "--benchmark-app",
    "avg_performance": "--benchmark-app",
}


def _engine_unit(layer: tensorrt_layers.EngineLayer, names: Names) -> Unit:
    found = tensorrt_layers.evidence(layer, names)
    return Unit(layer.name, layer.kind, found, "TensorRT", layer.outputs)


def _ns(values: Sequence[float]) -> Samples:
    """Milliseconds as whole nanoseconds."""
    made: Samples = np.rint(np.array(values, np.float64) * 1e6).astype(np.int64)
    return made


def _column(values: Sequence[float]) -> Samples:
    return _ns(values).reshape(-1, 1)
