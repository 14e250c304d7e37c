"""Read a model file's structure without its weights, checking lengths before anything is allocated.

The file is mapped and its protobuf fields are walked by their length prefixes (encoding:
https://protobuf.dev/programming-guides/encoding), so that the bytes of a weight are never
touched. Only messages above a threshold are opened; smaller ones are copied as they are.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxprof.errors import ModelError

if TYPE_CHECKING:
    import onnx

#: Payloads above this many bytes are dropped; shape operands are far smaller.
KEEP_BYTES = 4096
MAX_DEPTH = 100

_REMEDY = "Export or download it again"
#: Files that are named to who named their folder.
_MOST_NAMED = 3
#: Which fields of a message hold a message that may hold weights (numbers from onnx.proto).
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_FIXED_SIZE_DATA = {4: 4, 10: 8}
_VARINT_DATA = (5, 7, 11)
_RAW_DATA = 9
_DOC_STRING = 12
#: Doc string that marks a weight whose data were left out; random, so that no file contains it.
LEFT_OUT = b"data left out by onnxprof " + os.urandom(8).hex().encode()
#: Weights of fewer bytes are not worth a reference.
_REFERRED_BYTES = 1 << 16
_GRAPH, _INITIALIZER, _EXTERNAL_DATA, _DATA_LOCATION = 7, 5, 13, 14


def read_structure(path: Path) -> onnx.ModelProto:
    """Parse a model file, leaving out every weight of more than KEEP_BYTES bytes.

    A left-out weight keeps its name, dims and element type and has no data. Raises
    ModelError for what is not an ONNX model, and for a weight whose data do not fill its dims.
    """
    _check_is_file(path)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # never closed by hand: an error's traceback may hold slices of it, and closing would fail
    return _parse(memoryview(mapped), path)


def referring(path: Path, names: Collection[str] | None = None) -> bytes:
    """A checked model whose large weights are references to their places in its own file.

    These are initializers of the main graph with raw data, all or those of `names`: external
    data (https://onnx.ai/onnx/repo-docs/ExternalData.html), at any offset. Nothing of them is
    read. Empty where there is none.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    referrer = _Referrer(path.name, names)
    made = referrer.message(memoryview(mapped), 0, _GRAPH, _INITIALIZER)
    return bytes(made) if referrer.count else b""


class _Referrer:
    """Copies a model with references in place of large weights."""

    def __init__(self, location: str, names: Collection[str] | None) -> None:
        self._location, self._names = location, names
        self.count = 0

    def message(self, view: memoryview, at: int, wanted: int, inner: int) -> bytearray:
        """The message, which begins at byte `at` of the file, with its `wanted` fields rewritten.

        Those hold a graph, with tensors in the field `inner`, or are tensors if that is 0.
        """
        out = bytearray()
        for number, start, body, end in _fields(view):
            if number != wanted or body is None or end - body < _REFERRED_BYTES:
                out += view[start:end]
                continue
            part, place = view[body:end], at + body
            made = self.message(part, place, inner, 0) if inner else self._tensor(part, place)
            out += _varint(number << 3 | 2) + _varint(len(made)) + made
        return out

    def _tensor(self, view: memoryview, at: int) -> bytes | memoryview:
        import onnx

        fields = list(_fields(view))
        raw = [(body, end) for number, _, body, end in fields if number == _RAW_DATA and body]
        others = b"".join(
            view[start:end] for number, start, _, end in fields if number != _RAW_DATA
        )
        if len(raw) != 1 or any(n in (_EXTERNAL_DATA, _DATA_LOCATION) for n, *_ in fields):
            return view
        tensor = onnx.TensorProto.FromString(others)
        if self._names is not None and tensor.name not in self._names:
            return view
        ((body, end),) = raw
        place = {"location": self._location, "offset": str(at + body), "length": str(end - body)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        self.count += 1
        return bytes(tensor.SerializeToString())


def _inside(folder: Path) -> str:
    """The model files of a folder, a few of them, for who named the folder."""
    with suppress(OSError):
        names = sorted(path.name for path in folder.iterdir() if path.suffix == ".onnx")
        if names:
            more = " …" if len(names) > _MOST_NAMED else ""
            return f"It has {', '.join(names[:_MOST_NAMED])}{more}: name one of its files"
    return "Name the model's file"


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise ModelError(
            "this is a folder, not a model file", where=str(path), remedy=_inside(path)
        )
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        raise ModelError("no such file", where=str(path), remedy="Check the path") from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if not path.is_file():
        raise ModelError("this is not a regular file", where=str(path))
    if empty:
        raise ModelError("the file is empty", where=str(path), remedy=_REMEDY)


def _parse(view: memoryview, path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    if bytes(view[:4]) == b"PK\x03\x04":
        raise ModelError(
            "this is a zip archive, not an ONNX model",
            where=str(path),
            remedy="Unpack it and give the .onnx file inside",
        )
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(
            bytes(_Skim(path).message(view, "model", 0))
        )
    except (DecodeError, _BadWireError) as error:
        detail = str(error) if isinstance(error, _BadWireError) else "damaged or not protobuf"
        raise ModelError(
            f"not a readable ONNX model ({detail})", where=str(path), remedy=_REMEDY
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ModelError(
            "not an ONNX model: it holds no graph", where=str(path), remedy="Check the file"
        )
    return model


class _BadWireError(Exception):
    """The bytes are not protobuf."""


class _Skim:
    """Copies a message without its large weights."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def message(self, view: memoryview, kind: str, depth: int) -> bytearray:
        """The message's bytes, weights left out."""
        if depth > MAX_DEPTH:
            raise _BadWireError(f"nested more than {MAX_DEPTH} levels deep")
        if kind == "tensor":
            return self._tensor(view)
        children, out = _CHILDREN[kind], bytearray()
        for number, start, body, end in _fields(view):
            child = children.get(number)
            if child is None or body is None or end - body <= KEEP_BYTES:
                out += view[start:end]
                continue
            inner = self.message(view[body:end], child, depth + 1)
            out += _varint(number << 3 | 2) + _varint(len(inner)) + inner
        return out

    def _tensor(self, view: memoryview) -> bytearray:
        out, held = bytearray(), [0, 0]
        for number, start, body, end in _fields(view):
            size = _held(number, view[body:end]) if body is not None else None
            if size is None or end - start <= KEEP_BYTES:
                out += view[start:end]
            else:
                held = [held[0] + size[0], held[1] + size[1]]
        if any(held):
            self._check_length(bytes(out), *held)
            out += _varint(_DOC_STRING << 3 | 2) + _varint(len(LEFT_OUT)) + LEFT_OUT
        return out

    def _check_length(self, stub: bytes, held_bytes: int, held_elements: int) -> None:
        import onnx

        from onnxprof.model.graph.weights import element_bits, element_count, refuse, size_bytes

        tensor = onnx.TensorProto.FromString(stub)
        where = f"{self._path}, tensor {tensor.name!r}"
        count, size = element_count(tensor, where), size_bytes(tensor, where)
        if held_bytes and size and held_bytes != size:
            refuse(tensor, where, f"{held_bytes} bytes", size)
        if held_elements and element_bits(tensor.data_type) >= 8 and held_elements < count:
            refuse(tensor, where, f"{held_elements} elements", count)


def _held(number: int, data: memoryview) -> tuple[int, int] | None:
    """(bytes of raw data, elements of typed data) in a field of a tensor; None for other fields."""
    if number == _RAW_DATA:
        return len(data), 0
    if number in _FIXED_SIZE_DATA:
        return 0, len(data) // _FIXED_SIZE_DATA[number]
    if number in _VARINT_DATA:
        return 0, int(np.count_nonzero(np.frombuffer(data, np.uint8) < 128))
    return None


def _fields(view: memoryview) -> Iterator[tuple[int, int, int | None, int]]:
    """(field number, start, start of the body if length-delimited, end) for each field."""
    position, size = 0, len(view)
    while position < size:
        start = position
        tag, position = _read_varint(view, position, size)
        number, wire = tag >> 3, tag & 7
        body = None
        if wire == 2:
            length, position = _read_varint(view, position, size)
            body, position = position, position + length
        elif wire == 0:
            _, position = _read_varint(view, position, size)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise _BadWireError("damaged or not protobuf")
        if number == 0:
            raise _BadWireError("damaged or not protobuf")
        if position > size:
            raise _BadWireError("it is cut short, or is no model at all")
        yield number, start, body, position


def _read_varint(view: memoryview, position: int, size: int) -> tuple[int, int]:
    value = shift = 0
    while position < size and shift < 70:
        byte = view[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise _BadWireError("it is cut short, or is no model at all")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
