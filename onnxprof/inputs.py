"""What a model is fed: arrays generated from declared types with a seed, or the user's own."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.contracts import UsageError
from onnxprof.records import Layer, LayerKind, LayerTable, Tensor

Arrays = dict[str, NDArray[Any]]
#: Operators through which token ids pass on their way to the table that they index.
_TRANSPARENT = frozenset({"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten"})
_MAX_INPUT_BYTES = 16 << 30
_DAMAGED = (zipfile.BadZipFile, zlib.error)


def declared(table: LayerTable) -> tuple[Tensor, ...]:
    """The model's true inputs, as declared."""
    return tuple(layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT)


def generate(table: LayerTable, seed: int = 0) -> Arrays:
    """Random inputs of the declared types at the table's batch; the same for the same seed.

    Floats are standard normal, 8-bit integers span their range, indices into a table of known
    length stay below it, masks are ones. Raises UsageError for what cannot be made up.
    """
    limits = _index_limits(table)
    return {t.name: _array(t, seed, limits.get(t.name, 2)) for t in declared(table)}


def _array(tensor: Tensor, seed: int, limit: int) -> NDArray[Any]:
    shape = _concrete(tensor)
    rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode("utf-8", "surrogateescape"))])
    if tensor.dtype in ("str", "string", "object"):
        return np.full(shape, "text", dtype=object)
    dtype = _numpy_dtype(tensor)
    if "mask" in tensor.name.lower():
        return np.ones(shape, dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return _integers(rng, shape, dtype, limit)
    return rng.standard_normal(shape).astype(dtype)


def _integers(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], limit: int
) -> NDArray[Any]:
    if dtype.itemsize == 1:
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max + 1, shape).astype(dtype)
    return rng.integers(0, limit, shape).astype(dtype)


def _concrete(tensor: Tensor) -> tuple[int, ...]:
    sizes = tuple(d for d in tensor.shape or () if isinstance(d, int))
    if tensor.shape is None or len(sizes) != len(tensor.shape):
        raise UsageError(
            f"input {tensor.name!r} has no fixed shape",
            remedy="Give sizes with --dim, or arrays with --inputs",
        )
    if np.prod(sizes, dtype=float) * 8 > _MAX_INPUT_BYTES:
        raise UsageError(
            f"input {tensor.name!r} would take more than 16 GiB", remedy="Use a smaller --batch"
        )
    return sizes


def _numpy_dtype(tensor: Tensor) -> np.dtype[Any]:
    import ml_dtypes

    try:
        return np.dtype(getattr(ml_dtypes, tensor.dtype, tensor.dtype))
    except TypeError:
        raise UsageError(
            f"no value can be made up for input {tensor.name!r} of type {tensor.dtype or '?'}",
            remedy="Give arrays with --inputs FILE.npz",
        ) from None


def _index_limits(table: LayerTable) -> dict[str, int]:
    """For each input that indexes a table (Gather), the table's length."""
    readers: dict[str, list[tuple[Layer, int]]] = defaultdict(list)
    for layer in table.nodes:
        for position, tensor in enumerate(layer.inputs):
            readers[tensor.name].append((layer, position))
    found = {t.name: _smallest_limit(t.name, readers) for t in declared(table)}
    return {name: limit for name, limit in found.items() if limit}


def _smallest_limit(name: str, readers: Mapping[str, list[tuple[Layer, int]]]) -> int:
    limits, waiting, seen = [], [name], {name}
    while waiting:
        for layer, position in readers.get(waiting.pop(), ()):
            if layer.op_type == "Gather" and position == 1:
                limits.append(_gathered_length(layer))
            elif layer.op_type in _TRANSPARENT and position == 0:
                fresh = [o.name for o in layer.outputs if o.name not in seen]
                seen.update(fresh)
                waiting.extend(fresh)
    return min((limit for limit in limits if limit), default=0)


def _gathered_length(layer: Layer) -> int:
    axis = int(dict(layer.attributes).get("axis", "0"))
    shape = layer.inputs[0].shape
    length = shape[axis] if shape and -len(shape) <= axis < len(shape) else 0
    return length if isinstance(length, int) else 0


def from_file(path: Path, table: LayerTable) -> tuple[Arrays, str]:
    """The user's arrays, cut or repeated along the batch axis, and the file's SHA-256.

    Raises UsageError where a name, type or shape does not fit the model.
    """
    given = _read(path)
    wanted = {t.name: t for t in declared(table)}
    _check_names(path, set(given), set(wanted))
    arrays = {name: _fitted(path, tensor, given[name]) for name, tensor in wanted.items()}
    return arrays, hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, *_DAMAGED) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UsageError(
            f"not a readable .npz file: {reason}", where=str(path), remedy="Write it with np.savez"
        ) from None


def _check_names(path: Path, given: set[str], wanted: set[str]) -> None:
    if given != wanted:
        parts = []
        if missing := wanted - given:
            parts.append(f"lacks {', '.join(sorted(missing))}")
        if extra := given - wanted:
            parts.append(f"has {', '.join(sorted(extra))}, which the model does not")
        raise UsageError("; ".join(parts), where=str(path))


def _fitted(path: Path, tensor: Tensor, array: NDArray[Any]) -> NDArray[Any]:
    shape = tensor.shape if tensor.shape is not None else array.shape
    if tensor.dtype not in ("str", "string", "") and array.dtype != _numpy_dtype(tensor):
        raise UsageError(
            f"input {tensor.name!r} is {array.dtype}, the model wants {tensor.dtype}",
            where=str(path),
        )
    if shape and array.ndim == len(shape) and isinstance(shape[0], int) and len(array):
        array = np.resize(array, (shape[0], *array.shape[1:]))
    fits = array.ndim == len(shape) and all(
        not isinstance(d, int) or d == size for d, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UsageError(
            f"input {tensor.name!r} is {list(array.shape)}, the model wants {list(shape)}",
            where=str(path),
        )
    return np.ascontiguousarray(array)
