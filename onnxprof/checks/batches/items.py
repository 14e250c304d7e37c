"""Different items to feed a model with, one after the other or as a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.checks.reference import shaken
from onnxprof.model.feeds import Arrays, from_file, generate
from onnxprof.model.file import ModelFile, declared_fills
from onnxprof.model.layers import inspect
from onnxprof.model.rebatch.axes import Axis

_SHAKE = 1e-6
#: Orders of its values that are tried for an item.
_ATTEMPTS = 8


class Pool:
    """So many items, of which any can be taken together."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        axes: Sequence[Axis],
        count: int,
        scattered: Sequence[Axis] = (),
    ) -> None:
        """`scattered` are axes in which an item has several places, with all others between."""
        self._arrays, self._count = dict(arrays), count
        self._axes, self._scattered = dict(axes), dict(scattered)

    def take(self, indices: Sequence[int]) -> Arrays:
        """Inputs at the batch of as many items; what has no batch is the same each time."""
        return {name: self._taken(name, array, indices) for name, array in self._arrays.items()}

    def shaken(self) -> Pool:
        """The same items, floats changed by a millionth: by some units of float32's rounding."""
        made = {name: shaken(array, _SHAKE, 1) for name, array in self._arrays.items()}
        scattered = tuple(self._scattered.items())
        return Pool(made, tuple(self._axes.items()), self._count, scattered)

    def _taken(self, name: str, array: NDArray[Any], indices: Sequence[int]) -> NDArray[Any]:
        axis = self._axes.get(name, self._scattered.get(name))
        if axis is None or array.ndim <= axis or array.shape[axis] % self._count:
            return array
        places = array.shape[axis] // self._count
        parts = (places, self._count) if name in self._scattered else (self._count, places)
        split = array.reshape(*array.shape[:axis], *parts, *array.shape[axis + 1 :])
        taken = np.take(split, list(indices), axis=axis + (name in self._scattered))
        shape = (*array.shape[:axis], len(indices) * places, *array.shape[axis + 1 :])
        return np.ascontiguousarray(taken.reshape(shape))


def pool(
    model: ModelFile,
    dims: Mapping[str, int],
    axes: Sequence[Axis],
    count: int,
    seed: int,
    inputs: str,
    scattered: Sequence[Axis] = (),
) -> Pool:
    """Items as the measurement has them: generated, or the user's own and others like them.

    Raises what `generate` and `from_file` raise.
    """
    table = inspect(model, count, dims)
    if not inputs:
        return Pool(generate(table, seed, declared_fills(model)), axes, count, scattered)
    given, _ = from_file(Path(inputs), table)
    batched = dict(axes)
    made = {n: _varied(a, batched[n], seed) if n in batched else a for n, a in given.items()}
    return Pool(made, axes, count, scattered)


def _varied(array: NDArray[Any], axis: int, seed: int) -> NDArray[Any]:
    """A copy in which an item that repeats an earlier one has its own values in another order."""
    items = np.moveaxis(array.copy(), axis, 0)
    seen: set[bytes] = set()
    for number, item in enumerate(items):
        for attempt in range(_ATTEMPTS):
            if items[number].tobytes() not in seen:
                break
            order = np.random.default_rng([seed, number, attempt]).permutation(item.size)
            items[number] = item.reshape(-1)[order].reshape(item.shape)
        seen.add(items[number].tobytes())
    return np.ascontiguousarray(np.moveaxis(items, 0, axis))
