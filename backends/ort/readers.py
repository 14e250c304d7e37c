"""The reader of profiles that onnxruntime writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprof.backends.ort import recorded as in_file
from onnxprof.backends.ort.profile import Key, Profile
from onnxprof.plugins.readers import (
    FileOption,
    FileReader,
    Recorded,
    Recording,
    Source,
    Unit,
    parsed,
)
from onnxprof.provenance.names import Names
from onnxprof.records.layer import LayerTable, Tensor
from onnxprof.records.run import Origin
from onnxprof.records.timings import Samples

PROFILE = "--ort-profile"


def _read(files: Mapping[str, Source]) -> Recording:
    """Read a profile as written with `enable_profiling`."""
    source = files[PROFILE]

    def recorded(names: Names, table: LayerTable) -> Recorded:
        data = source.json()
        inner = {layer.parent for layer in table.nodes if layer.parent}
        profile: Profile = parsed(source, lambda value: in_file.parse_events(value, inner), data)
        first = 1 if profile.inferences > 1 else 0
        traced = np.array(in_file.durations(data, "model_run")[: profile.inferences], np.int64)
        loads = in_file.durations(data, "session_initialization")
        count = profile.inferences - first
        lacks = ["there are no latencies without the profiler, and its cost is in every step"]
        if in_file.is_truncated(data):
            lacks.append("the profile is truncated")
        return Recorded(
            origin=Origin("onnxruntime", "onnxruntime's profiler", count, False, (source.digest,)),
            backend="ort",
            device_kind=_device_kind(profile),
            units=tuple(_unit(key, profile, names) for key in profile.steps),
            unit_ns=_times(profile)[:, first:],
            lacks=tuple(lacks),
            traced_ns=traced[first:],
            load_ns=loads[0] if loads else 0,
            first_ns=int(traced[0]) if traced.size else 0,
        )

    return recorded


def _times(profile: Profile) -> Samples:
    times = np.zeros((len(profile.steps), profile.inferences), np.int64)
    for row, inferences in enumerate(profile.steps.values()):
        for inference, ns in inferences.items():
            times[row, inference] = ns
    return times


def _device_kind(profile: Profile) -> str:
    providers = (provider for provider in profile.providers.values() if provider)
    return "cuda" if any("CPU" not in provider for provider in providers) else "cpu"


def _unit(key: Key, profile: Profile, names: Names) -> Unit:
    name, operator, _ = key
    shapes = profile.shapes.get(key, ())
    outputs = tuple(Tensor("", dtype, shape, observed=True) for dtype, shape in shapes)
    evidence = in_file.evidence(key, names)
    return Unit(name, operator, evidence, profile.providers.get(key, ""), outputs)


READERS = (
    FileReader(
        "onnxruntime",
        (FileOption(PROFILE, "A profile of onnxruntime's, JSON.", ("dur",)),),
        _read,
    ),
)
