"""A whole file from the pieces of a skeleton: chunk by chunk, made by threads ahead."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from onnxprof.zoo.making import skeleton
from onnxprof.zoo.making.skeleton import Piece, Weights

#: Called with bytes done and bytes in all.
Progress = Callable[[int, int], None]
Chunk = bytes | memoryview

#: Elements that one thread makes at a time; a multiple of four, the generator's block.
_CHUNK = 1 << 20
_THREADS = 4


def digest_pieces(pieces: list[Piece], progress: Progress | None = None) -> str:
    """SHA-256 of the file that pieces make."""
    return stream(pieces, lambda _: None, progress)


def stream(
    pieces: list[Piece], write: Callable[[Chunk], object], progress: Progress | None = None
) -> str:
    """Pass the whole file to `write` in order, chunk by chunk; returns its SHA-256."""
    sha256, done, total = hashlib.sha256(), 0, skeleton.size(pieces)
    for chunk in _chunks(pieces):
        write(chunk)
        sha256.update(chunk)
        done += len(memoryview(chunk).cast("B"))
        if progress:
            progress(done, total)
    return sha256.hexdigest()


def _chunks(pieces: list[Piece]) -> Iterator[Chunk]:
    """The file in chunks, in order; threads make the weights a few chunks ahead."""
    threads = min(_THREADS, os.cpu_count() or 1)
    ahead: deque[Future[Chunk]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="zoo")
    try:
        for make, *arguments in _jobs(pieces):
            ahead.append(pool.submit(make, *arguments))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _jobs(pieces: list[Piece]) -> Iterator[tuple[Any, ...]]:
    for piece in pieces:
        if isinstance(piece, Weights):
            for start in range(0, piece.elements, _CHUNK):
                yield _data, piece, start, min(_CHUNK, piece.elements - start)
        else:
            yield bytes, piece


def _data(weights: Weights, start: int, count: int) -> memoryview:
    return weights.recipe.values(weights.dtype, start, count).data
