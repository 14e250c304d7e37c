"""What other profilers wrote into files, read into one form: names, times, what is lacking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.backends.openvino import recorded
from onnxprof.backends.openvino import report as openvino_report
from onnxprof.backends.ort import recorded as ort_names
from onnxprof.backends.tensorrt import layers as tensorrt_layers
from onnxprof.errors import BackendError, UsageError
from onnxprof.provenance import steps
from onnxprof.provenance.names import Evidence, Names
from onnxprof.records.layer import LayerTable, Tensor
from onnxprof.records.run import Origin
from onnxprof.records.timings import Samples

#: What a file may hold at most; onnxruntime ends a profile of its own at about this.
MAX_BYTES = 256 << 20


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
    tie: steps.Tie = steps.tie_by_names
    """How its units are tied to the layers of an ONNX graph."""


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
            remedy = _CSV if openvino_report.looks_like_csv(self.text) else ""
            raise UsageError(f"is no JSON: {reason}", where=str(self.path), remedy=remedy) from None

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
        traced = np.array(ort_names.durations(data, "model_run")[: found.inferences], np.int64)
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
        nodes = openvino_report.listed(requests)
        works = [node for node in nodes if node.unit >= 0]
        return Recorded(
            origin=Origin("benchmark_app", "performance counters", 0, True, (report.digest,)),
            backend="openvino",
            device_kind="cpu",
            units=tuple(
                Unit(
                    node.name,
                    node.operation,
                    openvino_report.evidence(node, names),
                    "OpenVINO",
                )
                for node in works
            ),
            unit_ns=np.stack(
                [_ns([request[node.row].ms for node in works]) for request in requests], axis=1
            ),
            lacks=(
                "each node has one mean a request, over an unknown number of inferences",
                "there are no latencies",
            ),
            latency_ns=_NONE,
            traced_ns=_NONE,
            tie=partial(recorded.tie, nodes, names),
        )

    return parsed


_CSV = "It looks like a report for --benchmark-app"
#: A month.
_LONGEST_NS = 30 * 24 * 3600 * 1e9
Reader = Callable[[Names, LayerTable], Recorded]


def _parse(source: Source, parse: Callable[[Any], Any], given: Any = None) -> Any:
    """What `parse` makes of the file's JSON, or of what is given; its errors name the file."""
    try:
        return parse(source.json() if given is None else given)
    except BackendError as error:
        remedy = error.remedy or (_hint(source) if error.what.startswith("no ") else "")
        raise UsageError(error.what, where=str(source.path), remedy=remedy) from None


def _hint(source: Source) -> str:
    """Which option a file is for, where its content tells."""
    try:
        data = json.loads(source.text, strict=False)
    except (ValueError, RecursionError):
        return ""
    rows = data if isinstance(data, list) else []
    first = next((row for row in rows if isinstance(row, dict)), {})
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
    try:
        ns = np.rint(np.array(values, np.float64) * 1e6)
    except OverflowError:
        ns = np.array([np.inf])
    if not (np.abs(ns) < _LONGEST_NS).all():  # neither is NaN
        raise UsageError("it has durations that no clock gives")
    made: Samples = ns.astype(np.int64)
    return made


def _column(values: Sequence[float]) -> Samples:
    return _ns(values).reshape(-1, 1)


def chosen(files: Mapping[str, str]) -> Reader:
    """The reader for the files that were given, by option. Raises UsageError."""
    given = {option: read(Path(file)) for option, file in files.items() if file}
    one_of = [
        option for option in ("--profile", "--ort-profile", "--benchmark-app") if option in given
    ]
    if len(one_of) != 1:
        raise UsageError(
            f"{' and '.join(one_of) or 'no profile'}: one profile makes a run",
            remedy="Give --profile (trtexec), --ort-profile or --benchmark-app",
        )
    if one_of[0] != "--profile" and (stray := set(given) - set(one_of)):
        raise UsageError(f"{' and '.join(sorted(stray))}: only trtexec writes that")
    if one_of[0] == "--ort-profile":
        return from_onnxruntime(given["--ort-profile"])
    if one_of[0] == "--benchmark-app":
        return from_benchmark_app(given["--benchmark-app"])
    return from_trtexec(given["--profile"], given.get("--engine-layers"), given.get("--times"))
