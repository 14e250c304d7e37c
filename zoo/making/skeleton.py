"""Skeletons: ONNX files whose weights are recipes, and how they become whole files.

A skeleton is an ordinary serialised ModelProto. Each of its weights is an initializer with
name, dims and data_type but no data; its `metadata_props` hold a recipe under `RECIPE_KEY`
(see `onnxprof.zoo.making.recipe`). Making it whole replaces that entry by `raw_data` and leaves
every other byte as it is, so the result depends on no serialiser.
Field numbers: onnx.proto3 of ONNX (ModelProto, GraphProto, TensorProto).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import ModelError
from onnxprof.zoo.making.recipe import Recipe
from onnxprof.zoo.making.wire import BYTES, Field, fields, header, read_varint

RECIPE_KEY = "onnxprof.recipe"
#: The largest protobuf message, hence the largest file with embedded weights.
LIMIT_BYTES = (1 << 31) - 1

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _RAW_DATA, _METADATA = 1, 2, 9, 16
_DTYPES = {1: ("<f4", 4), 2: ("u1", 1), 3: ("i1", 1), 10: ("<f2", 2), 11: ("<f8", 8)}


@dataclass(frozen=True, slots=True)
class Weights:
    """The place of one tensor's data in the file."""

    recipe: Recipe
    dtype: str
    """NumPy's name, little-endian."""
    elements: int
    item_bytes: int

    @property
    def size(self) -> int:
        """Bytes of data."""
        return self.elements * self.item_bytes


Piece = bytes | Weights


def read(path: Path) -> list[Piece]:
    """The whole file that a skeleton stands for, as literal bytes and weights in file order.

    Raises ModelError where the skeleton is missing, damaged or stands for 2 GiB or more.
    """
    try:
        return split(path.read_bytes(), path.name)
    except OSError as error:
        raise _unread(error, path.name) from error


def split(data: bytes, where: str) -> list[Piece]:
    """The whole file that these bytes of a skeleton stand for; `where` names it in errors.

    Raises ModelError where they are damaged or stand for 2 GiB or more.
    """
    try:
        pieces = _merge(_model(data))
    except (ValueError, KeyError) as error:
        raise _unread(error, where) from error
    if size(pieces) > LIMIT_BYTES:
        raise ModelError("its weights do not fit into one ONNX file of 2 GiB", where=where)
    return pieces


def _unread(error: Exception, where: str) -> ModelError:
    return ModelError(
        f"the skeleton cannot be read ({error})", where=where, remedy="Reinstall onnxprof"
    )


def size(pieces: list[Piece]) -> int:
    """Bytes of the whole file."""
    return sum(len(p) if isinstance(p, bytes) else p.size for p in pieces)


def _model(data: bytes) -> Iterator[Piece]:
    for field in fields(data):
        if field.number == _GRAPH and field.wire_type == BYTES:
            yield from _enclosed(_GRAPH, list(_graph(field.payload)))
        else:
            yield field.raw


def _graph(data: bytes) -> Iterator[Piece]:
    for field in fields(data):
        if field.number == _INITIALIZER and field.wire_type == BYTES:
            yield from _enclosed(_INITIALIZER, list(_tensor(field.payload)))
        else:
            yield field.raw


def _tensor(data: bytes) -> Iterator[Piece]:
    parts = list(fields(data))
    recipe = next((text for part in parts if (text := _recipe(part)) is not None), None)
    if recipe is None:
        yield data
        return
    yield b"".join(part.raw for part in parts if _recipe(part) is None)
    weights = _weights(parts, Recipe.from_json(recipe))
    yield header(_RAW_DATA, weights.size)
    yield weights


def _recipe(part: Field) -> str | None:
    """The recipe in a metadata entry of a tensor, if it is one."""
    if part.number != _METADATA:
        return None
    entry = {item.number: item.payload.decode() for item in fields(part.payload)}
    return entry.get(2) if entry.get(1) == RECIPE_KEY else None


def _weights(parts: list[Field], recipe: Recipe) -> Weights:
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
