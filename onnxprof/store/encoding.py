"""Records to JSON values and back; the format of the facts in a stored run (docs/store.md).

Flat records become objects. The layer table, the steps and the tensors that they name become
one list a field (columns), and a tensor is written once however many layers touch it, so that a
table of 1,800 rows stays small.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from functools import cache, lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import Layer, LayerKind, LayerTable, ModelFacts, Tensor
from onnxprof.records.memory import CountedMemory
from onnxprof.records.parity import Parity
from onnxprof.records.run import Origin, Request, Run, Thinned
from onnxprof.records.step import Step
from onnxprof.records.telemetry import Telemetry
from onnxprof.records.timings import Concurrency, Timings
from onnxprof.records.warning import RunWarning

T = TypeVar("T")
_LARGEST = (1 << 63) - 1
Json = Any
Converter = Callable[[Json], Any]

#: Fields of `Run` that are written as they are; the others have a form of their own.
_FACTS = ("created", "command", "environment", "folded", "failure")

#: Fields of `Step` that name layers, written as rows of the table.
_CLAIMS = ("layers", "shared")


#: What JSON has as it is; most values are of these.
_PLAIN_TYPES = (str, int, bool, types.NoneType)

#: One for all: `json.dumps` makes a new one for each value.
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), sort_keys=True)


def dumps(value: Json) -> bytes:
    """Compact JSON in ASCII, the same bytes for equal values. Raises ValueError for NaN."""
    return _ENCODER.encode(value).encode("ascii")


def to_json(value: Any) -> Json:
    """A record, or what a record may hold, as JSON values; defaults are written out."""
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if type(value) is float:
        return value if math.isfinite(value) else str(value)  # JSON has no infinity
    import numpy as np

    return to_json(value.item()) if isinstance(value, np.generic) else value


def from_json(cls: type[T], data: Json) -> T:
    """A record from JSON values, checked against the types of its fields.

    Unknown fields are ignored and absent ones take their default. Raises ValueError for a
    required field that is absent and for a value of the wrong type.
    """
    made: T = _converter(cls)(data)  # type: ignore[arg-type]
    return made


@lru_cache(maxsize=1 << 16)
def request_digest(request: Request) -> str:
    """12 hex digits of the SHA-256 over what was asked.

    Fields at their default are left out, so that a field that is added later, with a default,
    leaves older digests as they are. The order of `dims` does not matter.
    """
    values = ((name, getattr(request, name), usual) for name, usual in _request_defaults())
    facts = {name: to_json(value) for name, value, usual in values if value != usual}
    if "dims" in facts:
        facts["dims"].sort()
    return hashlib.sha256(dumps(facts)).hexdigest()[:12]


@cache
def _request_defaults() -> tuple[tuple[str, Any], ...]:
    return tuple((f.name, f.default) for f in dataclasses.fields(Request))


#: Fields that a request without them leaves out, so that such runs are the bytes that they were.
LATER = ("optimization_level", "session_options", "provider_options", "phase")


def request_to_json(request: Request) -> dict[str, Json]:
    """What was asked."""
    facts: dict[str, Json] = to_json(request)
    return {name: value for name, value in facts.items() if value or name not in LATER}


def run_to_json(run: Run) -> dict[str, Json]:
    """Every fact of a run, its samples left out."""
    pool: dict[Tensor, int] = {}
    rows = {layer.name: i for i, layer in enumerate(run.table) if layer.kind is LayerKind.NODE}
    layers = columns(Layer, run.table.layers, _pooled(pool))
    claims = dict.fromkeys(_CLAIMS, lambda names: [rows.get(name, name) for name in names])
    steps = columns(Step, run.steps, _pooled(pool) | claims)
    table = {f: to_json(getattr(run.table, f)) for f in ("batch", "dims", "obstacle")}
    return {
        "schema": run.schema,
        "request": request_to_json(run.request),
        "model": to_json(run.model),
        "device": to_json(run.device),
        "warnings": to_json(run.warnings),
        "parity": to_json(run.parity),
        "telemetry": to_json(run.telemetry),
        "kernels": columns(KernelRow, run.kernels, {}),
        "api_calls": columns(ApiRow, run.api_calls, {}),
        **_counted(run.counted_memory),
        "origin": to_json(run.origin),
        **_thinned(run),
        **_concurrent(run),
        "timer": None if run.timings is None else to_json(run.timings.timer),
        **{name: to_json(getattr(run, name)) for name in _FACTS},
        "tensors": columns(Tensor, tuple(pool), {}),
        "table": table | {"layers": layers},
        "steps": steps,
    }


def run_from_json(data: Json) -> Run:
    """The run without its samples (`timings` is None). Raises ValueError if it is damaged."""
    try:
        return _run_from_json(data)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _run_from_json(data: Json) -> Run:
    pool = records(Tensor, data["tensors"], {})
    tensors = {"inputs": _picker(pool), "outputs": _picker(pool)}
    layers = records(Layer, data["table"]["layers"], tensors)
    claims = dict.fromkeys(_CLAIMS, _namer([layer.name for layer in layers]))
    table = data["table"]
    hints = _hints(Run)
    return Run(
        request=from_json(Request, data["request"]),
        model=from_json(ModelFacts, data["model"]),
        device=from_json(Device, data["device"]),
        table=LayerTable(
            tuple(layers),
            _converter(int)(table["batch"]),
            _converter(_hints(LayerTable)["dims"])(table.get("dims", [])),
            _converter(str)(table.get("obstacle", "")),
        ),
        steps=tuple(records(Step, data["steps"], tensors | claims)),
        warnings=tuple(from_json(RunWarning, item) for item in data.get("warnings", [])),
        parity=None if data.get("parity") is None else from_json(Parity, data["parity"]),
        telemetry=_optional(Telemetry, data.get("telemetry")),
        kernels=tuple(records(KernelRow, data.get("kernels", {}), {})),
        api_calls=tuple(records(ApiRow, data.get("api_calls", {}), {})),
        counted_memory=_counted_from(data.get("counted_memory")),
        origin=_optional(Origin, data.get("origin")),
        thinned=_optional(Thinned, data.get("thinned")),
        concurrency=_optional(Concurrency, data.get("concurrency")),
        schema=_converter(int)(data["schema"]),
        **{name: _converter(hints[name])(data[name]) for name in _FACTS},
    )


def _counted(memory: tuple[CountedMemory, ...]) -> dict[str, Json]:
    """Left out where nothing was counted, so that such runs are the bytes that they were."""
    return {"counted_memory": columns(CountedMemory, memory, {})} if memory else {}


def _counted_from(data: Json) -> tuple[CountedMemory, ...]:
    return () if data is None else tuple(records(CountedMemory, data, {}))


def _thinned(run: Run) -> dict[str, Json]:
    """Left out where all samples are there, so that such runs are the bytes that they were."""
    return {} if run.thinned is None else {"thinned": to_json(run.thinned)}


def _concurrent(run: Run) -> dict[str, Json]:
    """Left out where it was not asked for, so that such runs are the bytes that they were."""
    return {} if run.concurrency is None else {"concurrency": to_json(run.concurrency)}


def _optional(cls: type[T], data: Json) -> T | None:
    return None if data is None else from_json(cls, data)


def _pooled(pool: dict[Tensor, int]) -> dict[str, Converter]:
    def indices(tensors: Iterable[Tensor]) -> list[int]:
        return [pool.setdefault(tensor, len(pool)) for tensor in tensors]

    return {"inputs": indices, "outputs": indices}


def _picker(pool: Sequence[Tensor]) -> Converter:
    return lambda indices: tuple(pool[_index(i)] for i in indices)


def _namer(names: Sequence[str]) -> Converter:
    return lambda items: tuple(i if isinstance(i, str) else names[_index(i)] for i in items)


def _index(value: Json) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not an index")
    return value


def columns(cls: type, records: Sequence[Any], special: Mapping[str, Converter]) -> dict[str, Json]:
    """One list a field; a field that is at its default everywhere is left out."""
    columns: dict[str, Json] = {}
    for f in dataclasses.fields(cls):
        values = [getattr(record, f.name) for record in records]
        if f.default is dataclasses.MISSING or any(value != f.default for value in values):
            columns[f.name] = [special.get(f.name, to_json)(value) for value in values]
    return columns


def records(cls: type[T], columns: Json, special: Mapping[str, Converter]) -> list[T]:
    """Records from `columns`; a field without a list has its default in all of them.

    Raises ValueError or KeyError for what `columns` does not give.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    known = {
        f.name: _column(special.get(f.name), hints[f.name], columns[f.name])
        for f in fields
        if f.name in columns
    }
    count = len(next(iter(known.values()), ()))
    lists = [known[f.name] if f.name in known else [_default(f)] * count for f in fields]
    return list(starmap(cls, zip(*lists, strict=True)))


def _column(special: Converter | None, kind: Any, values: list[Json]) -> list[Any]:
    """The values of a field in all records; most are in JSON as they are in a record."""
    if special is not None:
        return list(map(special, values))
    if _are_alike(_types_alike(kind), values):
        return values
    return list(map(_converter(kind), values))


def _are_alike(meant: frozenset[type], values: Iterable[Json]) -> bool:
    """Whether all are of these types, and whole numbers of 64 bits at most."""
    found = set(map(type, values))
    if int not in found:
        return found <= meant
    numbers = [value for value in values if value is not None]
    return found <= meant & {int, types.NoneType} and max(map(abs, numbers)) <= _LARGEST


@cache
def _types_alike(kind: Any) -> frozenset[type]:
    """The types whose values JSON has as a field of this type holds them."""
    if get_origin(kind) in (Union, types.UnionType):
        return frozenset().union(*map(_types_alike, get_args(kind)))
    return frozenset({kind} if kind in (*_PLAIN_TYPES, float) else ())


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is dataclasses.MISSING:
        raise ValueError(f"{field.name} is missing")
    return field.default


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of a record's fields; to resolve them takes longer than to read a record."""
    return get_type_hints(cls)


@cache
def _converter(kind: Any) -> Converter:
    """What turns a JSON value into a value of a field's type, or raises ValueError."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record_converter(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if get_origin(kind) is tuple:
        return _tuple_converter(get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return _union_converter(get_args(kind))
    if kind is float:
        return _to_float
    if kind is Path:
        return Path
    return _scalar_converter(kind)


def _record_converter(cls: type) -> Converter:
    hints = _hints(cls)
    fields = [(f.name, _converter(hints[f.name])) for f in dataclasses.fields(cls)]

    def convert(data: Json) -> Any:
        if not isinstance(data, dict):
            raise ValueError(f"{cls.__name__} is no object")
        known = {name: make(data[name]) for name, make in fields if name in data}
        try:
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: {error}") from error

    return convert


def _tuple_converter(args: tuple[Any, ...]) -> Converter:
    if args[-1] is Ellipsis:
        item = _converter(args[0])
        return lambda data: tuple(map(item, _list(data)))
    items = [_converter(arg) for arg in args]
    return lambda data: tuple(make(value) for make, value in zip(items, _list(data), strict=True))


def _list(data: Json) -> list[Json]:
    if not isinstance(data, list):
        raise ValueError(f"{data!r} is no list")
    return data


def _union_converter(args: tuple[Any, ...]) -> Converter:
    by_type = {_json_type(arg): _converter(arg) for arg in args}
    if float in by_type:  # whole numbers and infinities are floats, too
        by_type = {int: _to_float, str: _to_float} | by_type

    def convert(data: Json) -> Any:
        make = by_type.get(type(data))
        if make is None:
            raise ValueError(f"{str(data)[:80]!r} is of the wrong type")
        return make(data)

    return convert


def _json_type(kind: Any) -> Any:
    """The type that JSON has for a value of this type."""
    if get_origin(kind) is tuple:
        return list
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return str
    return dict if dataclasses.is_dataclass(kind) else kind


def _scalar_converter(kind: type) -> Converter:
    def convert(data: Json) -> Any:
        if type(data) is not kind:
            raise ValueError(f"{str(data)[:80]!r} is not of type {kind.__name__}")
        if isinstance(data, int) and abs(data) > _LARGEST:
            raise ValueError("a whole number has more than 64 bits")
        return data

    return convert


def _to_float(data: Json) -> float:
    if type(data) not in (int, float) and data not in ("inf", "-inf", "nan"):
        raise ValueError(f"{str(data)[:80]!r} is no number")
    return float(data)


def timings_to_json(timings: Timings | None) -> dict[str, Json] | None:
    """Every sample: one list of whole nanoseconds a field, one list a step for `step_ns`."""
    if timings is None:
        return None
    values = ((f.name, getattr(timings, f.name)) for f in dataclasses.fields(Timings))
    return {name: _plain(value) for name, value in values}


def _plain(value: Any) -> Json:
    import numpy as np

    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, str):
        return str(value)
    return [int(v) for v in value] if isinstance(value, tuple) else int(value)
