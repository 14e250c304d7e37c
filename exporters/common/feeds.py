"""What a network is fed when it is traced and checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import ExportError
from onnxprof.plugins.exporter import ExportRequest, InputSpec

Arrays = dict[str, NDArray[Any]]
#: Size of a free axis that the user gives none with --dim.
SIZE = 16


def arrays(request: ExportRequest, batch: int, stretch: int = 1) -> Arrays:
    """Seeded values of every input: standard normal; integers 0 and 1, which index any table;
    ones for masks. Free axes but the batch are `stretch` times as long as they need be.
    Raises ExportError for a dtype that NumPy does not have.
    """
    symbols = {symbol for item in request.inputs for symbol in item.symbols().values()}
    wanted = dict(request.dims)
    sizes = {symbol: wanted.get(symbol, SIZE) * stretch for symbol in symbols}
    sizes[request.batch] = batch
    return {item.name: _array(item, sizes) for item in request.inputs}


def trials(request: ExportRequest) -> Iterator[tuple[int, list[Arrays]]]:
    """For each batch size what to feed: the first that the network takes.

    Batches after the first come with free axes of twice the length, to show one that the
    export has fixed; a network with a longest length may not take that.
    """
    others = {s for item in request.inputs for s in item.symbols().values()} - {request.batch}
    for index, batch in enumerate(request.batches):
        stretches = (2, 1) if index and others else (1,)
        yield batch, [arrays(request, batch, stretch) for stretch in stretches]


def _array(item: InputSpec, sizes: Mapping[str, int]) -> NDArray[Any]:
    shape = tuple(n if isinstance(n, int) else sizes[n] for n in item.shape)
    dtype, rng = _dtype(item), np.random.default_rng(zlib.crc32(item.name.encode()))
    if "mask" in item.name.lower():
        return np.ones(shape, dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def _dtype(item: InputSpec) -> np.dtype[Any]:
    try:
        dtype = np.dtype(item.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "iubf":
        raise ExportError(
            f"cannot make up values of dtype {item.dtype}",
            where=f"input {item.name}",
            remedy="Give the network numbers or bools: float32, float16, int64, int32, bool, …",
        )
    return dtype


def free_batch(item: InputSpec, batch: str) -> InputSpec:
    """Axis 0 as the batch; without a symbol for it, at 1 unless it has a size."""
    if not item.shape:
        return item
    first = item.shape[0]
    fixed = 1 if isinstance(first, str) else first
    return replace(item, shape=(batch or fixed, *item.shape[1:]))
