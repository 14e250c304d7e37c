"""Input arrays of a model: generated from declared types with a seed, or the user's own."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import UsageError
from onnxprof.model.input_uses import Use, uses
from onnxprof.model.made_up import Feed, elements_of, is_sequence, made_up, numpy_dtype
from onnxprof.model.tokens import Tokens, tokens_of
from onnxprof.records.elements.arrays import dtype_of, limits, sequence
from onnxprof.records.elements.table import TEXTS, by_name
from onnxprof.records.layer import LayerKind, LayerTable, Shape, Tensor
from onnxprof.zoo.declaration import Fill

Arrays = dict[str, NDArray[Any]]
"""By input; a sequence is an array of objects, which are the arrays of its items."""
#: Names that exporters of transformers, speech and detection models give their inputs.
_POSITIONS = re.compile(r"position_?ids?$|^cache_position$|^positions?$")
_SEGMENTS = re.compile(r"token_type|segment_?ids?")
_RATES = re.compile(r"^(sr|sample_?rate|sampling_?rate)$")
_LENGTHS = re.compile(r"(^|_)(len|lens|length|lengths)$|seqlen")
#: Bytes that hold the header of an array's file.
_HEADER = 1 << 16
_DAMAGED = (zipfile.BadZipFile, zlib.error)


def declared(table: LayerTable) -> tuple[Tensor, ...]:
    """The model's inputs, initializers left out, with their declared types and shapes."""
    return tuple(layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT)


def feeds(table: LayerTable, declared_fills: Mapping[str, Fill] | None = None) -> dict[str, Feed]:
    """The values for each input by name: as the file declares, else by its name, type and use."""
    given = declared_fills or {}
    inputs = declared(table)
    used, tokens = uses(table, inputs), tokens_of(table, inputs)
    return {
        t.name: _declared(given[t.name], used.get(t.name, Use()), tokens)
        if t.name in given
        else _guessed(t, used.get(t.name, Use()), tokens)
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
    return {t.name: made_up(t, seed, chosen[t.name]) for t in declared(table)}


def _declared(fill: Fill, use: Use, tokens: Tokens) -> Feed:
    """What the file declares; positions, which count up, go on behind those of the cache."""
    if fill.kind != "range" or not tokens.past:
        return Feed(fill, "declared in the file")
    behind = f"declared in the file, behind {tokens.past} of the past"
    return Feed(Fill("range", fill.low + tokens.past), behind, use.limit)


def _guessed(tensor: Tensor, use: Use, tokens: Tokens) -> Feed:
    """Values by what an operator requires, else by a naming convention, else by type."""
    name, limit, dtype = tensor.name.lower(), use.limit, elements_of(tensor)
    if dtype in TEXTS:
        return Feed(Fill("text"), "a string")
    if use.fill is not None:
        fill = use.fill
        if fill.kind == "range":  # positions go on behind those of the cache
            fill = Fill("range", fill.low + tokens.past)
        return Feed(fill, use.why, limit)
    named = _by_name(name, dtype, limit, tokens)
    if named is not None:
        return named
    if limit:
        return Feed(Fill("integers", 0, limit), f"indices into a table of {limit}")
    return _by_type(dtype)


def _by_name(name: str, dtype: str, limit: int, tokens: Tokens) -> Feed | None:
    element = by_name(dtype)
    whole = element is not None and element.whole
    if "padding_mask" in name:  # torch's convention: true where there is padding
        return Feed(Fill("constant", 0), "a padding mask without padding")
    if "mask" in name:
        return Feed(Fill("constant", 1), "a mask that hides nothing")
    if whole and _POSITIONS.search(name):
        why = f"positions behind {tokens.past} of the past" if tokens.past else "positions"
        return Feed(Fill("range", tokens.past), why, limit)
    if whole and _SEGMENTS.search(name):
        return Feed(Fill("constant", 0), "one segment")
    if whole and _RATES.search(name):
        return Feed(Fill("constant", 16_000), "a sampling rate")
    if whole and not limit and _LENGTHS.search(name):
        length, what = tokens.of(name)
        return Feed(Fill("constant", length), what)
    if dtype == "bool" and "use_cache" in name:
        return Feed(Fill("constant", 0), "no cache is given")
    return None


def _by_type(dtype: str) -> Feed:
    if dtype == "bool":
        return Feed(Fill("integers", 0, 2), "of type bool")
    element = by_name(dtype)
    if element is not None and element.narrow:
        low, high = limits(dtype_of(dtype)) or (0, 1)
        return Feed(Fill("integers", low, high + 1), "every value of the type")
    if dtype == "float8_e8m0fnu":  # powers of two, without a sign
        return Feed(Fill("uniform", 0.5, 2.0), "of a type without a sign")
    if element is not None and element.whole:
        return Feed(Fill("integers", 0, 2), "by type alone")
    return Feed(Fill("normal"), "by type alone")


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
    given = _grouped(given, wanted)
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
                with archive.open(member) as held:
                    file = _renamed(held.read(_HEADER))
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
            return {name: _member(archive, name) for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, *_DAMAGED) as error:
        raise _unreadable(path, error) from None


def _member(archive: Any, name: str) -> NDArray[Any]:
    try:
        found: NDArray[Any] = archive[name]
    except ValueError:
        member = name if name in archive.zip.namelist() else f"{name}.npy"
        found = np.lib.format.read_array(_renamed(archive.zip.read(member)), allow_pickle=False)
    return found


def _renamed(data: bytes) -> io.BytesIO:
    """An array's file with bits in place of `f1`: NumPy writes that name and cannot read it."""
    head = data[:_HEADER].replace(b"'<f1'", b"'|V1'", 1)
    return io.BytesIO(head + data[_HEADER:])


def _check_names(path: Path, given: set[str], wanted: set[str]) -> None:
    if given != wanted:
        parts = []
        if missing := wanted - given:
            parts.append(f"lacks {', '.join(sorted(missing))}")
        if extra := given - wanted:
            parts.append(f"has {', '.join(sorted(extra))}, which the model does not")
        raise UsageError("; ".join(parts), where=str(path))


def _grouped(given: Arrays, wanted: Mapping[str, Tensor]) -> Arrays:
    """The arrays by input: those named `NAME[0]`, `NAME[1]`, … are the items of a sequence."""
    made = dict(given)
    for name, tensor in wanted.items():
        if not is_sequence(tensor) or name in made:
            continue
        items: list[NDArray[Any]] = []
        while f"{name}[{len(items)}]" in made:
            items.append(made.pop(f"{name}[{len(items)}]"))
        if items:
            made[name] = sequence(items)
    return made


def _fitted(path: Path, tensor: Tensor, array: NDArray[Any], axis: int) -> NDArray[Any]:
    if is_sequence(tensor):
        return sequence(_typed(path, tensor, item) for item in array)
    shape = tensor.shape if tensor.shape is not None else array.shape
    array = _typed(path, tensor, array)
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


def _typed(path: Path, tensor: Tensor, array: NDArray[Any]) -> NDArray[Any]:
    """An array in the input's type.

    A file keeps bits alone of types that NumPy lacks. Those types are also taken from a type that
    NumPy has, where they hold every value.
    """
    name = elements_of(tensor)
    if name in TEXTS or not name:
        return array
    wanted = numpy_dtype(tensor)
    if array.dtype == wanted:
        return array
    element = by_name(name)
    if element is not None and not element.in_numpy:
        if array.dtype.kind == "V" and not array.dtype.names and _width(array) == wanted.itemsize:
            return np.ascontiguousarray(array).view(wanted)
        made = _narrowed(array, wanted)
        if made is not None:
            return made
        what = f"is {array.dtype} and has values that {name} does not hold"
        raise UsageError(
            f"input {tensor.name!r} {what}",
            where=str(path),
            remedy="Round the array before it is saved, or save one of ml_dtypes' type",
        )
    raise UsageError(
        f"input {tensor.name!r} is {array.dtype}, the model wants {tensor.dtype}",
        where=str(path),
    )


def _width(array: NDArray[Any]) -> int:
    return int(array.dtype.itemsize)


def _narrowed(array: NDArray[Any], wanted: np.dtype[Any]) -> NDArray[Any] | None:
    """The array in a narrower type that holds every value of it; else None."""
    if array.dtype.kind not in "iuf":
        return None
    with np.errstate(all="ignore"):
        made: NDArray[Any] = array.astype(wanted)
        same = np.array_equal(made.astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
    return made if same else None
