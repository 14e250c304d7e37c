"""The reader of trtexec's files."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.backends.tensorrt import layers as engine_layers
from onnxprof.errors import UsageError
from onnxprof.plugins.readers import (
    FileOption,
    FileReader,
    Recorded,
    Recording,
    Source,
    Unit,
    nanoseconds,
    parsed,
)
from onnxprof.provenance.names import Names
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Origin

PROFILE, ENGINE, TIMES = "--profile", "--engine-layers", "--times"
#: If the model has fewer than this part of a file's names, the file is of another model.
_LEAST_KNOWN = 0.5


def _read(files: Mapping[str, Source]) -> Recording:
    """Read files of `--exportProfile`, `--exportLayerInfo` and `--exportTimes`."""

    def recorded(names: Names, _: LayerTable) -> Recorded:
        profile, layers, times = (files.get(option) for option in (PROFILE, ENGINE, TIMES))
        assert profile is not None
        count, layer_times = parsed(profile, engine_layers.parse_profile)
        engine = parsed(layers, engine_layers.parse_engine) if layers else ()
        taken = parsed(times, engine_layers.parse_times) if times else ()
        pairs = engine_layers.joined(engine, layer_times)
        if engine and not {layer.name for layer in engine} & {name for name, _ in layer_times}:
            raise UsageError(
                f"no layer of its {len(layer_times)} is among the {len(engine)} of the"
                " layer information",
                where=str(profile.path),
                remedy="Export both from one engine",
            )
        used = [source for source in (layers, profile, times) if source]
        digests = tuple(source.digest for source in used)
        return Recorded(
            origin=Origin("trtexec", "IProfiler", count, True, digests),
            backend="tensorrt",
            device_kind="cuda",
            units=tuple(_unit(layer, names) for layer, _ in pairs),
            unit_ns=nanoseconds([ms for _, ms in pairs]).reshape(-1, 1),
            lacks=(_averages(count), _latencies(bool(taken))),
            latency_ns=nanoseconds(taken),
            least_known=_LEAST_KNOWN,
            remedy="layer information of an engine built with --profilingVerbosity=detailed",
        )

    return recorded


def _averages(count: int) -> str:
    many = f"{count} inferences under IProfiler" if count else "an unknown number"
    return f"each layer has one time, the middle of {many}"


def _latencies(are_there: bool) -> str:
    if not are_there:
        return "there are no latencies (--exportTimes)"
    return "latencies are trtexec's compute times, un-profiled if it ran with --separateProfileRun"


def _unit(layer: engine_layers.EngineLayer, names: Names) -> Unit:
    evidence = engine_layers.evidence(layer, names)
    return Unit(layer.name, layer.kind, evidence, "TensorRT", layer.outputs)


READERS = (
    FileReader(
        "trtexec",
        (
            FileOption(PROFILE, "What trtexec --exportProfile wrote.", ("count", "averageMs")),
            FileOption(ENGINE, "What trtexec --exportLayerInfo wrote.", ("Layers",)),
            FileOption(TIMES, "What trtexec --exportTimes wrote.", ("computeMs",)),
        ),
        _read,
    ),
)
