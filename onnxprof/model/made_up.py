"""Arrays made up for a model's inputs, of every type that an array can hold."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import ModelError, UsageError
from onnxprof.plugins.memory import SMALLER
from onnxprof.records.elements.arrays import dtype_of, limits, sequence
from onnxprof.records.elements.table import TEXTS, inner_type
from onnxprof.records.layer import Tensor
from onnxprof.zoo.declaration import Fill

#: How many items a sequence is made of.
_ITEMS = 2
_MAX_INPUT_BYTES = 16 << 30
#: Values that are drawn at a time, so that no second copy in a wider type is ever whole.
_DRAWN = 1 << 20
#: Values that are drawn at most; a larger input, as a cache of many tokens, repeats them.
_MOST_DRAWN = 1 << 24


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


def elements_of(tensor: Tensor) -> str:
    """The type of an input's elements, of an optional's value or of a sequence's items."""
    words = tensor.dtype
    while (inner := inner_type(words))[0] in ("sequence", "optional"):
        words = inner[1]
    return words


def is_sequence(tensor: Tensor) -> bool:
    """Whether an input is a sequence of tensors."""
    return "sequence(" in tensor.dtype


def made_up(tensor: Tensor, seed: int, feed: Feed) -> NDArray[Any]:
    """The values of a feed for an input; a sequence is an array of objects, its items' arrays.

    Raises UsageError and ModelError as `feeds.generate` does.
    """
    rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode("utf-8", "surrogateescape"))])
    if not is_sequence(tensor):
        return _tensor(tensor, rng, feed)
    return sequence(_tensor(tensor, rng, feed) for _ in range(_ITEMS))


def _tensor(tensor: Tensor, rng: np.random.Generator, feed: Feed) -> NDArray[Any]:
    shape = _concrete(tensor)
    if elements_of(tensor) in TEXTS:
        return np.full(shape, "text", dtype=object)
    dtype, fill = numpy_dtype(tensor), feed.fill
    _check_range(tensor, dtype, fill)
    match fill.kind:
        case "constant":
            return np.full(shape, np.array(fill.low).astype(dtype))
        case "range":
            return _counted(shape, fill, feed.modulus).astype(dtype)
        case "integers":
            low, high = int(fill.low), int(fill.high)
            return _drawn(shape, dtype, lambda count: rng.integers(low, high, count))
        case "uniform":
            return _drawn(shape, dtype, lambda count: rng.uniform(fill.low, fill.high, count))
    return _drawn(shape, dtype, rng.standard_normal)


def _drawn(
    shape: tuple[int, ...], dtype: np.dtype[Any], draw: Callable[[int], NDArray[Any]]
) -> NDArray[Any]:
    """Values of a type, drawn in parts; beyond `_MOST_DRAWN` they are the first ones again."""
    made = np.empty(math.prod(shape), dtype)
    drawn = min(made.size, _MOST_DRAWN)
    for at in range(0, drawn, _DRAWN):
        count = min(_DRAWN, drawn - at)
        made[at : at + count] = draw(count).astype(dtype)
    for at in range(drawn, made.size, drawn or 1):
        made[at : at + drawn] = made[: min(drawn, made.size - at)]
    return made.reshape(shape)


def _counted(shape: tuple[int, ...], fill: Fill, modulus: int) -> NDArray[Any]:
    """low, low + 1, … along the last axis, the same for every item."""
    values = np.arange(shape[-1] if shape else 1) + int(fill.low)
    values = values % modulus if modulus else values
    return np.array(np.broadcast_to(values if shape else values[0], shape))


def _check_range(tensor: Tensor, dtype: np.dtype[Any], fill: Fill) -> None:
    """Raise ModelError for a declared value that the input's type does not hold."""
    bounds = limits(dtype)
    if bounds is None or fill.kind == "normal":
        return
    highest = fill.low if fill.kind == "constant" else fill.high - (fill.kind == "integers")
    if fill.kind == "range":
        highest = fill.low + (tensor.shape or (1,))[-1]  # type: ignore[operator]
    if not (bounds[0] <= fill.low and highest <= bounds[1]):
        raise ModelError(
            f"input {tensor.name!r} is {tensor.dtype} and cannot hold {_spoken(fill)}",
            remedy="Give arrays with --inputs FILE.npz",
        )


def _concrete(tensor: Tensor) -> tuple[int, ...]:
    sizes = tuple(d for d in tensor.shape or () if isinstance(d, int))
    if is_sequence(tensor) and (tensor.shape is None or len(sizes) != len(tensor.shape)):
        raise UsageError(
            f"input {tensor.name!r} is a {tensor.dtype} whose items have no fixed shape",
            remedy=f"Give its items as arrays '{tensor.name}[0]', '{tensor.name}[1]', … of a"
            " file, with --inputs FILE.npz",
        )
    if tensor.shape is None:
        raise UsageError(
            f"the model does not say how many axes input {tensor.name!r} has",
            remedy="Give an array of that name with --inputs FILE.npz",
        )
    if len(sizes) != len(tensor.shape):
        raise UsageError(
            f"input {tensor.name!r} has no fixed shape",
            remedy="Give sizes with --dim, or arrays with --inputs",
        )
    is_text = elements_of(tensor) in TEXTS
    element_bytes = 8 if is_text else numpy_dtype(tensor).itemsize
    if math.prod(sizes) * element_bytes > _MAX_INPUT_BYTES:
        raise UsageError(
            f"input {tensor.name!r} would take more than 16 GiB",
            remedy=f"Use {SMALLER}",
        )
    return sizes


def numpy_dtype(tensor: Tensor) -> np.dtype[Any]:
    """The type of an input's array. Raises UsageError for an input that no array holds."""
    try:
        return dtype_of(elements_of(tensor))
    except TypeError:
        raise UsageError(
            f"no array can hold input {tensor.name!r}, which is of type"
            f" {tensor.dtype or 'unknown to onnxprof'}",
            remedy=f"Cut the model behind {tensor.name!r}, so that its inputs are tensors,"
            " sequences or optionals",
        ) from None
