"""Skeletons: ONNX files whose weights are recipes, and how they become whole files.

A skeleton is an ordinary serialised ModelProto. Each of its weights is an initializer with
name, dims and data_type but no data; its `metadata_props` hold a recipe under `RECIPE_KEY`
(see `onnxprof.zoo.making.recipe`). Making it whole replaces that entry by `raw_data` and leaves
every other byte as it is, so the result depends on no serialiser.

A model whose metadata has `DATA_KEY` keeps its weights in a file of that name beside it (external
data), in the order of the initializers, each from a multiple of `ALIGNMENT` bytes on.
Field numbers: onnx.proto3 of ONNX (ModelProto, GraphProto, TensorProto).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import ModelError
from onnxprof.zoo.making import recipe as recipes
from onnxprof.zoo.making.recipe import Values
from onnxprof.zoo.making.wire import BYTES, Field, fields, header, read_varint, varint

RECIPE_KEY = "onnxprof.recipe"
#: Metadata of a model: the name of the file beside it that holds its weights.
DATA_KEY = "onnxprof.data"
#: Where weights begin in that file: pages, so that a runtime can map them.
ALIGNMENT = 4096
#: The largest protobuf message, hence the largest file with embedded weights.
LIMIT_BYTES = (1 << 31) - 1

_GRAPH, _MODEL_METADATA, _INITIALIZER = 7, 14, 5
_DIMS, _DATA_TYPE, _RAW_DATA, _METADATA = 1, 2, 9, 16
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_DTYPES = {1: ("<f4", 4), 2: ("u1", 1), 10: ("<f2", 2), 11: ("<f8", 8)}


@dataclass(frozen=True, slots=True)
class Weights:
    """The place of one tensor's data in the file."""

    recipe: Values
    dtype: str
    """NumPy's name, little-endian."""
    elements: int
    item_bytes: int

    @property
    def size(self) -> int:
        """Bytes of data."""
        return self.elements * self.item_bytes


Piece = bytes | Weights


class _Data:
    """The file of external data, as the weights of a model are laid out in it."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.pieces: list[Piece] = []
        self._end = 0

    def place(self, weights: Weights) -> bytes:
        """Append a tensor's data; returns the tensor's fields that say where it lies."""
        gap = -self._end % ALIGNMENT
        self.pieces += [bytes(gap), weights] if gap else [weights]
        start = self._end + gap
        self._end = start + weights.size
        facts = {"location": self.location, "offset": start, "length": weights.size}
        entries = b"".join(_entry(_EXTERNAL_DATA, name, str(fact)) for name, fact in facts.items())
        return entries + varint(_DATA_LOCATION << 3) + varint(_EXTERNAL)


def read(path: Path) -> list[Piece]:
    """The whole file that a skeleton stands for, as literal bytes and weights in file order.

    Weights that lie in a file of their own are left out, see `read_data`. Raises ModelError where
    the skeleton is missing, damaged or stands for 2 GiB or more.
    """
    return _read(path)[0]


def read_data(path: Path) -> list[Piece]:
    """The file of external data that belongs to a skeleton; empty where it has none."""
    data = _read(path)[1]
    return data.pieces if data else []


def _read(path: Path) -> tuple[list[Piece], _Data | None]:
    try:
        message = path.read_bytes()
        location = _location(message)
        data = _Data(location) if location else None
        pieces = _merge(_model(message, data))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"the skeleton cannot be read ({error})", where=path.name, remedy="Reinstall onnxprof"
        ) from error
    if size(pieces) > LIMIT_BYTES:
        raise ModelError("its weights do not fit into one ONNX file of 2 GiB", where=path.name)
    return pieces, data


def size(pieces: list[Piece]) -> int:
    """Bytes of the whole file."""
    return sum(len(p) if isinstance(p, bytes) else p.size for p in pieces)


def _location(message: bytes) -> str:
    """The name of the file that holds the weights; empty where the model itself does."""
    entries = (_pair(f) for f in fields(message) if f.number == _MODEL_METADATA)
    return next((value for name, value in entries if name == DATA_KEY), "")


def _model(message: bytes, data: _Data | None) -> Iterator[Piece]:
    for field in fields(message):
        if field.number == _GRAPH and field.wire_type == BYTES:
            yield from _enclosed(_GRAPH, list(_graph(field.payload, data)))
        else:
            yield field.raw


def _graph(message: bytes, data: _Data | None) -> Iterator[Piece]:
    for field in fields(message):
        if field.number == _INITIALIZER and field.wire_type == BYTES:
            yield from _enclosed(_INITIALIZER, list(_tensor(field.payload, data)))
        else:
            yield field.raw


def _tensor(message: bytes, data: _Data | None) -> Iterator[Piece]:
    parts = list(fields(message))
    recipe = next((text for part in parts if (text := _recipe(part)) is not None), None)
    if recipe is None:
        yield message
        return
    yield b"".join(part.raw for part in parts if _recipe(part) is None)
    weights = _weights(parts, recipes.read(recipe))
    if data is not None:
        yield data.place(weights)
        return
    yield header(_RAW_DATA, weights.size)
    yield weights


def _recipe(part: Field) -> str | None:
    """The recipe in a metadata entry of a tensor, if it is one."""
    if part.number != _METADATA:
        return None
    name, value = _pair(part)
    return value if name == RECIPE_KEY else None


def _pair(part: Field) -> tuple[str | None, str]:
    """Key and value of a StringStringEntryProto."""
    held = {item.number: item.payload.decode() for item in fields(part.payload)}
    return held.get(1), held.get(2, "")


def _entry(number: int, name: str, value: str) -> bytes:
    """A StringStringEntryProto as a field."""
    texts = (name.encode(), value.encode())
    payload = b"".join(header(at, len(text)) + text for at, text in enumerate(texts, 1))
    return header(number, len(payload)) + payload


def _weights(parts: list[Field], recipe: Values) -> Weights:
    code = next(part.integer for part in parts if part.number == _DATA_TYPE)
    dtype, item_bytes = _DTYPES[code]
    elements = 1
    for part in parts:
        if part.number == _DIMS:
            for dim in _dims(part):
                elements *= dim
    return Weights(recipe, dtype, elements, item_bytes)


def _dims(part: Field) -> Iterator[int]:
    """Repeated integers, packed into one field or not."""
    at = 0
    while at < len(part.payload):
        value, at = read_varint(part.payload, at)
        yield value


def _enclosed(number: int, pieces: list[Piece]) -> Iterator[Piece]:
    yield header(number, size(pieces))
    yield from pieces


def _merge(pieces: Iterator[Piece]) -> list[Piece]:
    """Join neighbouring bytes."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
