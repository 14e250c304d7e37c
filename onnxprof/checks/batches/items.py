"""Different items as inputs of a model, one by one or as a batch."""

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
#: Permutations of an item's values that are tried to make it differ from earlier items.
_ATTEMPTS = 8


class Pool:
    """A number of items, any of which can be taken together as a batch."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        axes: Sequence[Axis],
        count: int,
        scattered: Sequence[Axis] = (),
    ) -> None:
        """`scattered` are axes in which the entries of an item alternate with those of others."""
        self._arrays, self._count = dict(arrays), count
        self._axes, self._scattered = dict(axes), dict(scattered)

    def take(self, indices: Sequence[int]) -> Arrays:
        """Input arrays with these items as the batch; inputs without a batch axis are the same."""
        return {name: self._taken(name, array, indices) for name, array in self._arrays.items()}

    def shaken(self) -> Pool:
        """The same items, floats changed by up to a millionth: some units of float32's rounding."""
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
    """A pool of items: generated as for a measurement, or the user's and permutations of them.

    Raises what `generate` and `from_file` raise.
    """
    table = inspect(model, count, dims)
    if not inputs:
        return Pool(generate(table, seed, declared_fills(model)), axes, count, scattered)
    given, _ = from_file(Path(inputs), table, axes)
    batched = dict(axes)
    made = {n: _varied(a, batched[n], seed) if n in batched else a for n, a in given.items()}
    return Pool(made, axes, count, scattered)


def _varied(array: NDArray[Any], axis: int, seed: int) -> NDArray[Any]:
    """A copy in which the values of repeated items are permuted, so that all items differ."""
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
