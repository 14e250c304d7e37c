"""Every tensor that a model stores, and the files of external data.

A tensor with external data names a file, an offset and a length
(https://onnx.ai/onnx/repo-docs/ExternalData.html). All reading of such files goes through
`DataFolder`, which checks them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NoReturn

from onnxprof.errors import ModelError
from onnxprof.records.layer import PreparedModel

#: Keys that decide which bytes are read; of a key given twice two readers could take either.
_OBEYED = ("location", "offset", "length")
#: In place of a file's name: onnxruntime's and OpenVINO's mark of an address in their memory.
_ADDRESS_MARK = "_ORT_MEM_ADDR_"
_MOST_DIGITS = 19
_REMEDY = "Export or download the model again, with its data file"


@dataclass(frozen=True, slots=True)
class Place:
    """The bytes of a file that are a tensor's data."""

    file: Path
    """Path of the file, in the model's folder."""
    offset: int
    length: int
    """Bytes: as declared, else from the offset to the file's end."""


def stored_tensors(message: Any, without: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Every TensorProto anywhere in an ONNX message, but for those in its fields `without`.

    Initializers and attributes of graphs, subgraphs and functions, both parts of sparse tensors,
    defaults of a function's attributes, and training information are all met once.
    """
    for name, is_repeated, is_tensor in _ways(message.DESCRIPTOR):
        if name in without:
            continue
        if is_repeated:
            held = getattr(message, name)
        else:
            held = (getattr(message, name),) if message.HasField(name) else ()
        for child in held:
            if is_tensor:
                yield child
            else:
                yield from stored_tensors(child)


@cache
def _ways(kind: Any) -> tuple[tuple[str, bool, bool], ...]:
    """Fields whose messages are or contain tensors: (name, is repeated, is a tensor)."""
    return tuple(
        (field.name, _is_repeated(field), _is_tensor(field.message_type))
        for field in kind.fields
        if field.message_type is not None and _leads_on(field.message_type, frozenset())
    )


def _is_repeated(field: Any) -> bool:
    known = getattr(field, "is_repeated", None)  # older releases of protobuf have a label alone
    return bool(field.label == field.LABEL_REPEATED if known is None else known)


def _is_tensor(kind: Any) -> bool:
    return str(kind.name) == "TensorProto"


def _leads_on(kind: Any, met: frozenset[str]) -> bool:
    if _is_tensor(kind):
        return True
    if kind.full_name in met:
        return False
    inner = (field.message_type for field in kind.fields if field.message_type is not None)
    return any(_leads_on(message, met | {kind.full_name}) for message in inner)


def is_external(tensor: Any) -> bool:
    """Whether the data lie in another file."""
    return bool(tensor.data_location == tensor.EXTERNAL)


def location(tensor: Any) -> str:
    """The file's name relative to the model's folder. Raises ModelError for a way out of it."""
    name = _entries(tensor).get("location", "")
    if not isinstance(name, str) or not name.isprintable() or not name:
        _refuse(tensor, "names no file for its external data")
    pure = (PurePosixPath(name), PureWindowsPath(name))
    if any(p.is_absolute() or p.drive or p.root or ".." in p.parts for p in pure):
        _refuse_outside(tensor, name)
    if _ADDRESS_MARK in name:
        _refuse(tensor, f"its external data {name!r} are an address in memory, not a file")
    return name


class DataFolder:
    """A model's folder, and the sizes of the files in it that tensors name."""

    def __init__(self, folder: Path, also: Path | None = None) -> None:
        """`also` is a second folder that links may lead to."""
        self._folder = folder
        self._allowed = tuple(path.resolve() for path in (folder, also) if path)
        self._sizes: dict[str, int] = {}

    @classmethod
    def of_prepared(cls, model: PreparedModel) -> DataFolder:
        """The folder of a prepared model."""
        return cls(model.folder) if isinstance(model.source, bytes) else cls.of(model.source)

    @classmethod
    def of(cls, model: Path) -> DataFolder:
        """The folder of a model file.

        Where the file is a link, as in a download cache, the data may also lie beside its target.
        """
        return cls(model.parent, _real(model).parent)

    def place(self, tensor: Any) -> Place:
        """File, offset and length of external data, checked.

        Raises ModelError for a file outside the folder, one that is not a regular file, and
        an offset or length beyond the file's end.
        """
        name = location(tensor)
        if name not in self._sizes:
            self._sizes[name] = self._size(tensor, name)
        file, size = self._folder / name, self._sizes[name]
        offset = _number(tensor, "offset", 0)
        length = _number(tensor, "length", max(size - offset, 0))
        if offset + length > size:
            _refuse_short(tensor, file, offset + length, size)
        return Place(file, offset, length)

    def read(self, tensor: Any, need: int) -> bytes:
        """The first `need` bytes of external data. Raises ModelError as `place` does."""
        place = self.place(tensor)
        check_length(tensor, place, need)
        try:
            with place.file.open("rb") as file:
                file.seek(place.offset)
                return file.read(need)
        except OSError as error:
            reason = error.strerror or error
            _refuse(tensor, f"its external data file {place.file.name!r} cannot be read: {reason}")

    def _size(self, tensor: Any, name: str) -> int:
        file = self._folder / name
        try:
            target = file.resolve()
            status = target.stat()
        except FileNotFoundError:
            _refuse(tensor, f"its external data file {file.name!r} is missing")
        except (OSError, RuntimeError) as error:  # a loop of links raises either, by Python's age
            reason = getattr(error, "strerror", None) or "its links lead nowhere"
            _refuse(tensor, f"its external data file {file.name!r} cannot be read: {reason}")
        if not any(target.is_relative_to(folder) for folder in self._allowed):
            _refuse_outside(tensor, name)
        if not stat.S_ISREG(status.st_mode):
            _refuse(tensor, f"its external data file {file.name!r} is no regular file")
        return status.st_size


def _real(path: Path) -> Path:
    """The path with its links followed, or itself where they lead nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def _entries(tensor: Any) -> dict[str, str]:
    pairs = [(entry.key, entry.value) for entry in tensor.external_data]
    keys = [key for key, _ in pairs]
    for key in _OBEYED:
        if keys.count(key) > 1:
            _refuse(tensor, f"gives the {key} of its external data twice")
    return dict(pairs)


def _number(tensor: Any, key: str, default: int) -> int:
    text = _entries(tensor).get(key)
    if text is None:
        return default
    # int() takes signs, spaces, underscores and other scripts, where a runtime reads less
    if not (isinstance(text, str) and text.isascii() and text.isdigit()):
        _refuse(tensor, f"the {key} of its external data is no whole number")
    if len(text) > _MOST_DIGITS:
        _refuse(tensor, f"the {key} of its external data is beyond any file")
    return int(text)


def check_length(tensor: Any, place: Place, need: int) -> None:
    """Raise ModelError where the data at a place are fewer than `need` bytes."""
    if place.length < need:
        there = os.stat(place.file).st_size
        _refuse_short(tensor, place.file, place.offset + need, there)


def _refuse_short(tensor: Any, file: Path, need: int, there: int) -> NoReturn:
    what = f"{need} bytes needed, {there} there"
    _refuse(tensor, f"its external data file {file.name!r} is too short: {what}")


def _refuse_outside(tensor: Any, name: str) -> NoReturn:
    what = f"its external data {name!r} lie outside the model's folder, which is not allowed"
    _refuse(tensor, what, "Keep the data file beside the model")


def _refuse(tensor: Any, what: str, remedy: str = _REMEDY) -> NoReturn:
    raise ModelError(what, where=f"tensor {tensor.name!r}", remedy=remedy)
