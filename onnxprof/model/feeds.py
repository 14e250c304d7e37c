"""Input arrays of a model: generated from declared types with a seed, or the user's own."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import ModelError, UsageError
from onnxprof.model.input_uses import Use, uses
from onnxprof.records.layer import LayerKind, LayerTable, Shape, Tensor
from onnxprof.zoo.declaration import Fill

Arrays = dict[str, NDArray[Any]]
#: Integer types whose inputs take every value with the same probability.
_NARROW = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
_TEXTS = ("str", "string", "object")
#: Names that exporters of transformers, speech and detection models give their inputs.
_POSITIONS = re.compile(r"position_?ids?$|^cache_position$|^positions?$")
_SEGMENTS = re.compile(r"token_type|segment_?ids?")
_RATES = re.compile(r"^(sr|sample_?rate|sampling_?rate)$")
_LENGTHS = re.compile(r"(^|_)(len|lens|length|lengths)$|seqlen")
_MAX_INPUT_BYTES = 16 << 30
_DAMAGED = (zipfile.BadZipFile, zlib.error)


def declared(table: LayerTable) -> tuple[Tensor, ...]:
    """The model's inputs, initializers left out, with their declared types and shapes."""
    return tuple(layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT)


@dataclass(frozen=True, slots=True)
class Feed:
    """The values chosen for one input, and the reason for the choice."""

    fill: Fill
    why: str
    modulus: int = 0
    """A `range` starts again at 0 when it reaches this; 0 for a range without a bound."""

    def __str__(self) -> str:
        return f"{_spoken(self.fill)} ({self.why})"


def _spoken(fill: Fill) -> str:
    low, high = f"{fill.low:g}", f"{fill.high:g}"
    if fill.kind == "integers":
        low, high = str(int(fill.low)), str(int(fill.high) - 1)
    return {
        "normal": "standard normal values",
        "uniform": f"values from {low} to {high}",
        "integers": f"integers from {low} to {high}",
        "constant": f"{low} throughout",
        "range": f"{low}, {fill.low + 1:g}, … along the last axis",
        "text": "the word text",
    }[fill.kind]


def feeds(table: LayerTable, declared_fills: Mapping[str, Fill] | None = None) -> dict[str, Feed]:
    """The values for each input by name: as the file declares, else by its name, type and use."""
    given = declared_fills or {}
    inputs = declared(table)
    used, length = uses(table, inputs), _length(table)
    return {
        t.name: Feed(given[t.name], "declared in the file")
        if t.name in given
        else _guessed(t, used.get(t.name, Use()), length)
        for t in inputs
    }


def generate(
    table: LayerTable, seed: int = 0, declared_fills: Mapping[str, Fill] | None = None
) -> Arrays:
    """Input arrays at the table's batch, chosen as by `feeds`; the same for the same seed.

    Raises UsageError for a shape or type for which no values can be made up, ModelError for a
    declared value that the input's type does not have.
    """
    chosen = feeds(table, declared_fills)
    return {t.name: _array(t, seed, chosen[t.name]) for t in declared(table)}


def _guessed(tensor: Tensor, use: Use, length: int) -> Feed:
    """Values by what an operator requires, else by a naming convention, else by type."""
    name, limit = tensor.name.lower(), use.limit
    if tensor.dtype in _TEXTS:
        return Feed(Fill("text"), "a string")
    if use.fill is not None:
        return Feed(use.fill, use.why, limit)
    named = _by_name(name, tensor, limit, length)
    if named is not None:
        return named
    if limit:
        return Feed(Fill("integers", 0, limit), f"indices into a table of {limit}")
    return _by_type(tensor.dtype)


def _by_name(name: str, tensor: Tensor, limit: int, length: int) -> Feed | None:
    whole = tensor.dtype.startswith(("int", "uint"))
    if "padding_mask" in name:  # torch's convention: true where there is padding
        return Feed(Fill("constant", 0), "a padding mask without padding")
    if "mask" in name:
        return Feed(Fill("constant", 1), "a mask that hides nothing")
    if whole and _POSITIONS.search(name):
        return Feed(Fill("range", 0), "positions", limit)
    if whole and _SEGMENTS.search(name):
        return Feed(Fill("constant", 0), "one segment")
    if whole and _RATES.search(name):
        return Feed(Fill("constant", 16_000), "a sampling rate")
    if whole and not limit and _LENGTHS.search(name):
        return Feed(Fill("constant", length), "the length of the inputs")
    if tensor.dtype == "bool" and "use_cache" in name:
        return Feed(Fill("constant", 0), "no cache is given")
    return None


def _by_type(dtype: str) -> Feed:
    if dtype == "bool":
        return Feed(Fill("integers", 0, 2), "of type bool")
    limits = _limits(_dtype(dtype)) if dtype in _NARROW else None
    if limits is not None:
        return Feed(Fill("integers", limits[0], limits[1] + 1), "every value of the type")
    if dtype == "float8_e8m0fnu":  # powers of two, without a sign
        return Feed(Fill("uniform", 0.5, 2.0), "of a type without a sign")
    if dtype.startswith(("int", "uint")):
        return Feed(Fill("integers", 0, 2), "by type alone")
    return Feed(Fill("normal"), "by type alone")


def _length(table: LayerTable) -> int:
    """The longest named axis, else axis 1 of the first input that has an axis 1, else 1."""
    if table.dims:
        return max(size for _, size in table.dims)
    shapes = [t.shape for t in declared(table) if t.shape is not None and len(t.shape) > 1]
    second = shapes[0][1] if shapes else 1
    return second if isinstance(second, int) else 1


def _array(tensor: Tensor, seed: int, feed: Feed) -> NDArray[Any]:
    shape = _concrete(tensor)
    rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode("utf-8", "surrogateescape"))])
    if tensor.dtype in _TEXTS:
        return np.full(shape, "text", dtype=object)
    dtype, fill = _numpy_dtype(tensor), feed.fill
    _check_range(tensor, dtype, fill)
    match fill.kind:
        case "constant":
            return np.full(shape, fill.low).astype(dtype)
        case "range":
            return _counted(shape, fill, feed.modulus).astype(dtype)
        case "integers":
            return rng.integers(int(fill.low), int(fill.high), shape).astype(dtype)
        case "uniform":
            return rng.uniform(fill.low, fill.high, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def _counted(shape: tuple[int, ...], fill: Fill, modulus: int) -> NDArray[Any]:
    """low, low + 1, … along the last axis, the same for every item."""
    values = np.arange(shape[-1] if shape else 1) + int(fill.low)
    values = values % modulus if modulus else values
    return np.array(np.broadcast_to(values if shape else values[0], shape))


def _check_range(tensor: Tensor, dtype: np.dtype[Any], fill: Fill) -> None:
    """Raise ModelError for a declared value that the input's type does not hold."""
    limits = _limits(dtype)
    if limits is None or fill.kind == "normal":
        return
    highest = fill.low if fill.kind == "constant" else fill.high - (fill.kind == "integers")
    if fill.kind == "range":
        highest = fill.low + (tensor.shape or (1,))[-1]  # type: ignore[operator]
    if not (limits[0] <= fill.low and highest <= limits[1]):
        raise ModelError(
            f"input {tensor.name!r} is {tensor.dtype} and cannot hold {_spoken(fill)}",
            remedy="Give arrays with --inputs FILE.npz",
        )


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


def _dtype(name: str) -> np.dtype[Any]:
    """numpy's type, or ml_dtypes' for one that numpy lacks. Raises TypeError."""
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def _limits(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """The least and the largest value of a type of integers; None for other types."""
    import ml_dtypes

    try:
        info: Any = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return int(info.min), int(info.max)


def _numpy_dtype(tensor: Tensor) -> np.dtype[Any]:
    try:
        return _dtype(tensor.dtype)
    except TypeError:
        raise UsageError(
            f"no value can be made up for input {tensor.name!r} of type {tensor.dtype or '?'}",
            remedy="Give arrays with --inputs FILE.npz",
        ) from None


def from_file(
    path: Path, table: LayerTable, batch_axes: Iterable[tuple[str, int]] = ()
) -> tuple[Arrays, str]:
    """The user's arrays, cut or repeated along the batch axis, and the file's SHA-256.

    `batch_axes` has (input name, axis) of each; of an input that is not there it is the first.
    Raises UsageError where a name, type or shape does not fit the model.
    """
    import hashlib

    given = _read(path)
    wanted = {t.name: t for t in declared(table)}
    _check_names(path, set(given), set(wanted))
    axes = dict(batch_axes)
    arrays = {
        name: _fitted(path, tensor, given[name], axes.get(name, 0))
        for name, tensor in wanted.items()
    }
    return arrays, hashlib.sha256(path.read_bytes()).hexdigest()


def sizes_from(path: Path, inputs: Mapping[str, Shape]) -> dict[str, int]:
    """Sizes that the arrays of a file give to the symbolic axes of a model's inputs.

    Only headers are read. Raises UsageError for a file that is not a readable .npz, and for an
    axis to which two arrays give different sizes.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for name, shape in _shapes(path).items():
        wanted = inputs.get(name) or ()
        for symbol, size in zip(wanted, shape, strict=False) if len(wanted) == len(shape) else ():
            if not isinstance(symbol, str):
                continue
            before, first = sizes.setdefault(symbol, (size, name))
            if before != size:
                raise UsageError(
                    f"axis {symbol!r} is {before} in {first!r} and {size} in {name!r}",
                    where=str(path),
                )
    return {symbol: size for symbol, (size, _) in sizes.items()}


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's arrays."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
                    shapes[member.removesuffix(".npy")] = read(file)[0]
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, *_DAMAGED) as error:
        raise _unreadable(path, error) from None
    return shapes


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UsageError(
        f"not a readable .npz file: {reason}", where=str(path), remedy="Write it with np.savez"
    )


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, *_DAMAGED) as error:
        raise _unreadable(path, error) from None


def _check_names(path: Path, given: set[str], wanted: set[str]) -> None:
    if given != wanted:
        parts = []
        if missing := wanted - given:
            parts.append(f"lacks {', '.join(sorted(missing))}")
        if extra := given - wanted:
            parts.append(f"has {', '.join(sorted(extra))}, which the model does not")
        raise UsageError("; ".join(parts), where=str(path))


def _fitted(path: Path, tensor: Tensor, array: NDArray[Any], axis: int) -> NDArray[Any]:
    shape = tensor.shape if tensor.shape is not None else array.shape
    if tensor.dtype not in ("str", "string", "") and array.dtype != _numpy_dtype(tensor):
        raise UsageError(
            f"input {tensor.name!r} is {array.dtype}, the model wants {tensor.dtype}",
            where=str(path),
        )
    if array.ndim == len(shape) and axis < len(shape) and array.shape[axis]:
        items = shape[axis]
        if isinstance(items, int) and items != array.shape[axis]:
            array = np.take(array, np.arange(items) % array.shape[axis], axis)
    fits = array.ndim == len(shape) and all(
        not isinstance(d, int) or d == size for d, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UsageError(
            f"input {tensor.name!r} is {list(array.shape)}, the model wants {list(shape)}",
            where=str(path),
        )
    return np.ascontiguousarray(array)
