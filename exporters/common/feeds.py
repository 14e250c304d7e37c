"""Input arrays for tracing and checking a network."""

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
#: Size of a free axis for which the user gives no --dim.
SIZE = 16


def arrays(request: ExportRequest, batch: int, stretch: int = 1) -> Arrays:
    """Seeded values by input: standard normal floats; integers 0 and 1, which index any table;
    ones for masks. Free axes other than the batch are `stretch` times their given size.
    Raises ExportError for a dtype that is neither a number nor bool in NumPy.
    """
    symbols = {symbol for item in request.inputs for symbol in item.symbols().values()}
    wanted = dict(request.dims)
    sizes = {symbol: wanted.get(symbol, SIZE) * stretch for symbol in symbols}
    sizes[request.batch] = batch
    return {item.name: _array(item, sizes) for item in request.inputs}


def trials(request: ExportRequest) -> Iterator[tuple[int, list[Arrays]]]:
    """(batch, candidate inputs) for each batch size; the first that the network accepts is used.

    Batches after the first double the other free axes at first, to reveal an axis that the
    export has fixed; a network with a maximum length may not accept that.
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
    """The input with axis 0 named `batch`; if that is empty, of size 1 unless it has a size."""
    if not item.shape:
        return item
    first = item.shape[0]
    fixed = 1 if isinstance(first, str) else first
    return replace(item, shape=(batch or fixed, *item.shape[1:]))
