"""TensorRT's descriptions of engines and layers, read and tied to ONNX layers.

The engine inspector describes each layer of an engine that was built with
`ProfilingVerbosity.DETAILED` as JSON (TensorRT documentation, "Engine Inspector"). Its
`Metadata` lists the ONNX nodes behind it as `[ONNX Layer: NAME]`, separated by the control
characters 0x1F and 0x1E. TensorRT 11 replaced `Bindings` by `I/O Tensors` and split
`Format/Datatype` ("Migrating IEngineInspector Usage from TensorRT 10.x to 11.x"); neither is
needed here. Nothing of TensorRT is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.plugins.readers import milliseconds
from onnxprof.provenance.names import Evidence, Names
from onnxprof.records.layer import Tensor

_ITEM = "[ONNX Layer: "
_SEPARATORS = re.compile("[\x1e\x1f]|(?<=\\])(?=\\[ONNX Layer: )")
#: Copies between formats that TensorRT inserts; the name tells only the layer they serve.
_COPY = re.compile(r"Reformatting CopyNode|Reformatted (Input|Output) Tensor|copied_squeeze_after_")
#: An engine with several optimization profiles repeats the layers for each profile.
_PROFILE = re.compile(r"\s\[profile \d+\]$")
_FOREIGN = re.compile(r"\{ForeignNode\[(.*)\]\}", re.DOTALL)
#: Point-wise fusions nest: PWN(PWN(a), b).
_POINTWISE = re.compile(r"PWN\(|[()]")
_MOST_LAYERS = 200_000


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """One layer of an engine, for which `IProfiler` reports times."""

    name: str
    kind: str = ""
    """TensorRT's `LayerType`: `gemm`, `CaskConvolution`, `kgen`; empty if not known."""
    metadata: str | None = None
    """None where the engine holds names alone."""
    outputs: tuple[Tensor, ...] = ()


def parse_engine(data: Any) -> tuple[EngineLayer, ...]:
    """The layers of an engine, from the inspector's JSON. Raises BackendError for another file.

    Layers may be objects, or names alone where the engine was built without `DETAILED`.
    """
    layers = data.get("Layers") if isinstance(data, dict) else None
    if not isinstance(layers, list):
        raise BackendError("not layer information of TensorRT: there is no list `Layers`")
    if len(layers) > _MOST_LAYERS:
        raise BackendError(f"{len(layers)} layers are more than any engine has")
    return tuple(_layer(entry) for entry in layers)


def _layer(entry: Any) -> EngineLayer:
    if isinstance(entry, str):
        return EngineLayer(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("Name"), str):
        raise BackendError("not layer information of TensorRT: a layer has no `Name`")
    metadata = entry.get("Metadata")
    return EngineLayer(
        entry["Name"],
        str(entry.get("LayerType", "")),
        metadata if isinstance(metadata, str) else None,
        tuple(_tensors(entry.get("Outputs"))),
    )


def _tensors(entries: Any) -> Iterator[Tensor]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("Name"), str):
            yield Tensor(entry["Name"], "", _sizes(entry.get("Dimensions")), observed=True)


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(size) is int and size >= 0 for size in value):
        return tuple(value)
    return None


def mentioned(metadata: str) -> tuple[str, ...]:
    """The ONNX nodes that a layer's metadata names, in order, without repetition."""
    items = (item.strip() for item in _SEPARATORS.split(metadata))
    named = (i[len(_ITEM) : -1] for i in items if i.startswith(_ITEM) and i.endswith("]"))
    return tuple(dict.fromkeys(named))


def plain_name(name: str) -> str:
    """A layer's name without the number of its optimization profile."""
    return _PROFILE.sub("", name)


def evidence(layer: EngineLayer, names: Names) -> Evidence:
    """The ONNX layers of an engine's layer, with the evidence.

    Metadata first, then the layer's name: an ONNX name, several joined with ` + ` or ` || `,
    in `PWN(…)`, or a region from the first to the last in `{ForeignNode[a...b]}`.
    """
    name = plain_name(layer.name)
    if _COPY.match(name):
        return Evidence("inserted copy")
    mentions = mentioned(layer.metadata or "")
    if mentions:
        return Evidence("metadata", names.resolved(mentions), mentions)
    if region := _FOREIGN.fullmatch(name):
        last = _last_of_region(region[1], names)
        return Evidence("last layer of the region", last, last, exact=False)
    parts = tuple(_parts(name, names))
    return Evidence("layer's name", names.resolved(parts), parts, exact=False)


def _last_of_region(text: str, names: Names) -> tuple[str, ...]:
    """The layer that `first...last` ends with; names may contain dots."""
    ends = (text[m.end() :] for m in re.finditer(r"(?=(\.\.\.))", text))
    known = (names.resolved((end[3:],)) for end in ends)
    return next((layers for layers in known if layers), ())


def _parts(name: str, names: Names) -> Iterator[str]:
    """ONNX names inside of a layer's name; a name that is an ONNX name is not split."""
    if names.resolved((name,)):
        yield name
        return
    for joined in (" + ", " || ", "+"):
        if joined in name:
            for part in name.split(joined):
                yield from _parts(part, names)
            return
    if name.startswith("PWN("):
        for part in _POINTWISE.sub("", name).split(", "):
            yield from _parts(part, names)


def parse_profile(data: Any) -> tuple[int, tuple[tuple[str, float], ...]]:
    """trtexec's `--exportProfile`: the number of inferences, and each layer's milliseconds.

    The median where the file has one (TensorRT 8.6 and later), else the mean. Raises
    BackendError for another file.
    """
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        raise BackendError("not a profile of trtexec: the JSON is not a list of objects")
    count = data[0].get("count", 0)
    rows = data[1:] if "count" in data[0] else data
    if type(count) is not int or not 0 <= count < 2**31:
        raise BackendError("not a profile of trtexec: its count is not a number of inferences")
    return count, tuple(_profiled(row) for row in rows)


def _profiled(row: Any) -> tuple[str, float]:
    if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
        raise BackendError("not a profile of trtexec: a layer has no `name`")
    return row["name"], milliseconds(row.get("medianMs", row.get("averageMs")), row["name"])


def parse_times(data: Any) -> tuple[float, ...]:
    """trtexec's `--exportTimes`: the device time of each inference, in milliseconds.

    This is `computeMs`, without copies from and to the host. Raises BackendError for another file.
    """
    if not isinstance(data, list) or not data:
        raise BackendError("not times of trtexec: the JSON is not a list of inferences")
    values = [row.get("computeMs") if isinstance(row, dict) else None for row in data]
    return tuple(milliseconds(value, "computeMs") for value in values)


def joined(
    layers: Sequence[EngineLayer], times: Sequence[tuple[str, float]]
) -> list[tuple[EngineLayer, float]]:
    """Profiled layers with their descriptions and times; repeated names in order.

    Without layer information, descriptions contain only names.
    """
    waiting: dict[str, list[EngineLayer]] = {}
    for layer in layers:
        waiting.setdefault(layer.name, []).append(layer)
    return [
        (waiting[name].pop(0) if waiting.get(name) else EngineLayer(name), ms) for name, ms in times
    ]
