"""How far two tensors are apart, whatever layout a runtime gave one of them.

A runtime permutes axes, splits channels into blocks, pads them, flattens, casts and quantises.
All of these are tried; the smallest error counts. Of large tensors a fixed sample of positions
is compared, which is enough to tell tensors apart (the error is no measure of accuracy).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import permutations
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.provenance.verify.spread import OUTLIER, Floats, level
from onnxprof.records.elements.table import is_computed_in

Array = NDArray[Any]
Places = NDArray[np.int64]
#: From flat positions of the original to flat positions of the executed tensor.
Move = Callable[[Places], Places]

#: Integers of so many bytes may stand for numbers by a scale and a zero point.
_QUANTISED_BYTES = 2
#: Positions that are compared, and those that rule a layout out.
_SAMPLE, _GLANCE = 1 << 15, 256
#: Channels in a block: onnxruntime takes 4, 8 or 16, as the instruction set has it.
_BLOCKS = (4, 8, 16)
_MOST_AXES, _IMAGE = 5, 4
#: Positions that are moved at a time.
_PART = 1 << 20
#: A layout is ruled out if a quick look gives an error of so many times the bound.
_HOPELESS, _NEAR = 4.0, 0.02
#: The least spread that counts where numbers are stored in levels, in levels.
_LEVELS = 6.0
#: So few numbers are nearly equal to any others after a scale and an offset.
_FITTED_BY_ANY = 4
#: The least spread that counts, relative to the numbers that a tensor was computed from: smaller
#: differences are rounding.
_FLOORS = {"float16": 0.1, "bfloat16": 0.2, "float64": 1e-4}
_FLOOR = 2e-3


@dataclass(frozen=True, slots=True)
class Likeness:
    """The error of the best layout, from 0 (equal) to 1 (nothing in common)."""

    error: float
    layout: str = ""


#: Sizes do not fit: nothing was compared.
UNLIKE = Likeness(inf)


class Sampled:
    """The sample of a tensor of numbers, its spread around the median and its largest value."""

    def __init__(self, value: Array) -> None:
        self.places = _places(value.size)
        self.values = _wide(value.reshape(-1)[self.places])
        self.spread, self.largest = level(self.values)

    @classmethod
    def of(cls, value: Array) -> Sampled | None:
        """The sample; None for text."""
        return None if value.dtype.kind in "OSU" else cls(value)


class Original:
    """A tensor to compare others with; statistics that all comparisons need are computed once.

    `computed_from` is the size of the numbers that the rounding errors come from, if larger than
    the values; `level` is the distance between neighbouring levels of a quantised tensor.
    """

    def __init__(
        self,
        value: Array,
        computed_from: float = 0.0,
        level: float = 0.0,
        sampled: Sampled | None = None,
    ) -> None:
        self.value = value
        self.is_text = value.dtype.kind in "OSU"
        self._size = computed_from
        self._level = 1.0 if is_quantised(value) else level
        if not self.is_text:
            known = sampled or Sampled(value)
            self.places, self.sample, self._spread = known.places, known.values, known.spread
            self._size = max(computed_from, known.largest)

    def spread(self, dtype: np.dtype[Any]) -> float:
        """The size that errors are relative to, when compared with values of a dtype."""
        return max(0.0 if self.is_text else self._spread, self.rounding(dtype), 1e-30)

    def rounding(self, dtype: np.dtype[Any]) -> float:
        """The least spread that counts, when compared with values of a dtype."""
        floor = max(_FLOORS.get(k.name, _FLOOR) for k in (self.value.dtype, dtype))
        return max(self._size * floor, _LEVELS * self._level)


def likeness(original: Original, executed: Array, bound: float = 0.05) -> Likeness:
    """The likeness of an executed tensor to an original one.

    The result holds the root mean square of the elements' errors. An element's error is relative
    to the larger of the element and the tensor's spread around the median, and at most 1.
    `bound` is the error that the caller accepts; clearly worse layouts are ruled out early.
    """
    return _best(original, executed, bound)[0]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How an executed tensor holds one of the original."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    move: Move

    def undone(self, executed: Array) -> Array:
        """The executed tensor in the layout and the type of the original one."""
        flat, size = executed.reshape(-1), prod(self.shape)
        if self.move is not _as_it_is:
            parts = [np.arange(i, min(i + _PART, size)) for i in range(0, size, _PART)]
            flat = np.concatenate([flat[self.move(part)] for part in parts])
        return flat.astype(self.dtype, copy=False).reshape(self.shape)


def arrangement(original: Original, executed: Array, bound: float = 0.05) -> Arrangement | None:
    """How an executed tensor holds an original one that it is like.

    None where the error is above `bound`, or where the two agree only after a scale.
    """
    value = original.value
    best, move = _best(original, executed, bound)
    types = {value.dtype, executed.dtype}
    if best.error > bound or (len(types) > 1 and not all(is_computed_in(t.name) for t in types)):
        return None
    return Arrangement(value.shape, value.dtype, move)


def _best(original: Original, executed: Array, bound: float) -> tuple[Likeness, Move]:
    """The likeness of the best layout, and the positions of the original's elements in it."""
    value = original.value
    if not _comparable(value, executed):
        return UNLIKE, _as_it_is
    if original.is_text or executed.dtype.kind in "OSU":
        same = value.shape == executed.shape and bool(np.all(value == executed))
        return Likeness(0.0 if same else 1.0, "as it is"), _as_it_is
    if not value.size:
        return Likeness(0.0, "empty"), _as_it_is
    flat, error_of = executed.reshape(-1), _error(original, executed)
    best: Likeness = UNLIKE
    moved: Move = _as_it_is
    for layout, move in _layouts(value.shape, executed.shape):
        error = _judge(error_of, flat, original.places, move, bound)
        if error < best.error:
            best, moved = Likeness(error, layout), move
        if best.error <= bound / 100:
            break
    return best, moved


def _as_it_is(places: Places) -> Places:
    return places


def fits(size: int, executed: Array) -> bool:
    """Whether a tensor of so many elements may be in an executed one, padded or not."""
    if size == executed.size or executed.ndim != _IMAGE or not executed.size:
        return size == executed.size
    channel = int(executed.size) // int(executed.shape[1])
    spare = int(executed.shape[1]) - size // channel
    return size % channel == 0 and 0 < spare < max(_BLOCKS)


def _comparable(original: Array, executed: Array) -> bool:
    return original.size == executed.size or fits(original.size, executed)


@lru_cache(maxsize=8)
def _places(size: int) -> Places:
    """All positions, or a fixed sample of them, in random order."""
    rng = np.random.default_rng(size)
    if size > _SAMPLE:
        return rng.integers(0, size, _SAMPLE)
    return rng.permutation(size)


def _judge(
    error_of: Callable[[Floats, slice], float],
    flat: Array,
    places: Places,
    move: Move,
    bound: float,
) -> float:
    glance = slice(0, _GLANCE)
    first = error_of(_wide(flat[move(places[glance])]), glance)
    if places.size <= _GLANCE or first > max(_HOPELESS * bound, _HOPELESS * _NEAR):
        return first
    return error_of(_wide(flat[move(places)]), slice(None))


def _error(original: Original, executed: Array) -> Callable[[Floats, slice], float]:
    """A function of the error of sampled values; they are scaled if one side is quantised."""
    wanted, spread = original.sample, original.spread(executed.dtype)
    if is_quantised(original.value) != is_quantised(executed):
        return partial(_fitted_distance, wanted, spread, is_quantised(executed))
    shift = _shift(original.value.dtype, executed.dtype)

    def error_of(values: Floats, part: slice) -> float:
        return _distance(wanted[part], values + shift, spread)

    return error_of


def _shift(original: np.dtype[Any], executed: np.dtype[Any]) -> float:
    """The offset between signed and unsigned integers of one size that mean the same numbers."""
    is_pair = {original.kind, executed.kind} == {"i", "u"}
    if (
        not is_pair
        or original.itemsize != executed.itemsize
        or original.itemsize > _QUANTISED_BYTES
    ):
        return 0.0
    half = float(1 << (8 * original.itemsize - 1))
    return half if original.kind == "u" else -half


def is_quantised(array: Array) -> bool:
    """Whether an array holds integers that stand for numbers by a scale and a zero point."""
    return array.dtype.kind in "iu" and array.dtype.itemsize <= _QUANTISED_BYTES


def fits_any(original: Array, executed: Array) -> bool:
    """Whether there are so few numbers that a scale and an offset bring any two arrays together."""
    fitted = is_quantised(original) != is_quantised(executed)
    return fitted and original.size <= _FITTED_BY_ANY


def _distance(wanted: Floats, values: Floats, spread: float) -> float:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        gaps = np.abs(wanted - values)
        sizes = np.where(np.abs(wanted) > OUTLIER * spread, np.abs(wanted), spread)
        parts = np.minimum(gaps / sizes, 1.0)
    odd = ~np.isfinite(wanted) | ~np.isfinite(values)
    if odd.any():
        same = (wanted == values) | (np.isnan(wanted) & np.isnan(values))
        parts = np.where(odd, np.where(same, 0.0, 1.0), parts)
    return float(np.sqrt(np.mean(np.square(parts))))


def _fitted_distance(
    wanted: Floats, spread: float, stepped: bool, values: Floats, part: slice
) -> float:
    """The error of values times a scale plus an offset that bring them as close as they can.

    `stepped` values have levels that lie a scale apart.
    """
    wanted = wanted[part]
    with np.errstate(invalid="ignore", over="ignore"):
        centred = values - values.mean()
        power = float(np.square(centred).sum())
        slope = float((centred * (wanted - wanted.mean())).sum()) / power if power else 0.0
    slope = max(slope, 0.0)
    return _distance(
        wanted, centred * slope + wanted.mean(), max(spread, _LEVELS * slope * stepped)
    )


def _layouts(original: Sequence[int], executed: Sequence[int]) -> Iterator[tuple[str, Move]]:
    """The layouts in which a tensor of the executed shape may hold the original."""
    if prod(original) == prod(executed):
        yield "as it is", _as_it_is
    for block in _BLOCKS:
        if _padded(original, executed, block):
            yield f"blocks of {block}", _blocked(original, executed[1], block)
    yield from _turned_and_blocked(original, executed)
    if prod(original) == prod(executed):
        yield from _permuted(original, executed)


def _padded(original: Sequence[int], executed: Sequence[int], block: int = 0) -> bool:
    """Whether the shapes are those of channels and of whole blocks of channels."""
    if len(original) != _IMAGE or len(executed) != _IMAGE:
        return False
    others = (original[0], *original[2:]) == (executed[0], *executed[2:])
    blocks = (block,) if block else _BLOCKS
    return others and any(-(-original[1] // b) * b == executed[1] for b in blocks)


def _blocked(shape: Sequence[int], channels: int, block: int) -> Move:
    """NCHW to NCHW in blocks of channels, the channels of a block innermost."""
    area = shape[2] * shape[3]

    def move(places: Places) -> Places:
        item, rest = np.divmod(places, shape[1] * area)
        channel, pixel = np.divmod(rest, area)
        outer, inner = np.divmod(channel, block)
        return ((item * (channels // block) + outer) * area + pixel) * block + inner

    return move


def _turned_and_blocked(
    original: Sequence[int], executed: Sequence[int]
) -> Iterator[tuple[str, Move]]:
    """Blocks of channels of an original whose channels are not the second axis."""
    for order in _orders(original) if len(original) == len(executed) == _IMAGE else ():
        shape = [original[axis] for axis in order]
        for block in _BLOCKS:
            if _padded(shape, executed, block):
                first, second = _turned(original, order), _blocked(shape, executed[1], block)
                layout = f"axes {' '.join(map(str, order))} in blocks of {block}"
                yield layout, partial(_both, first, second)


def _both(first: Move, second: Move, places: Places) -> Places:
    return second(first(places))


def _permuted(original: Sequence[int], executed: Sequence[int]) -> Iterator[tuple[str, Move]]:
    """Layouts with the axes in another order; axes of length 1 do not count."""
    there, here = _squeezed(original), _squeezed(executed)
    for order in _orders(there):
        shape = [there[i] for i in order]
        if len(shape) != len(here) or shape == here:
            yield f"axes {' '.join(map(str, order))}", _turned(there, order)
    for order in _orders(here) if len(here) != len(there) else ():
        yield f"from axes {' '.join(map(str, order))}", _turned_back(here, order)


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def _orders(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every order of the axes but the present one; none for shapes of too many axes."""
    if 2 <= len(shape) <= _MOST_AXES:
        every = permutations(range(len(shape)))
        next(every)
        yield from every


def _turned(shape: Sequence[int], order: Sequence[int]) -> Move:
    """From positions in a shape to positions in the shape with the axes in another order."""

    def move(places: Places) -> Places:
        coordinates = np.unravel_index(places, shape)
        turned = tuple(coordinates[i] for i in order)
        return np.ravel_multi_index(turned, [shape[i] for i in order])

    return move


def _turned_back(shape: Sequence[int], order: Sequence[int]) -> Move:
    """From positions in a shape with the axes in another order to positions in the shape."""

    def move(places: Places) -> Places:
        coordinates = np.unravel_index(places, [shape[i] for i in order])
        back = [coordinates[order.index(axis)] for axis in range(len(shape))]
        return np.ravel_multi_index(back, shape)

    return move


def _wide(array: Array) -> Floats:
    if array.dtype.kind == "c":
        return np.abs(array).astype(np.float64)
    return array.astype(np.float64)
