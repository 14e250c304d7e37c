"""Making model files from skeletons: the same bytes everywhere, streamed, verified, atomic."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from onnxprof.errors import ModelError, StoreError
from onnxprof.zoo import cache as store
from onnxprof.zoo.catalogue import entry, skeleton_path
from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.making import skeleton
from onnxprof.zoo.making.skeleton import Piece, Weights

#: Called with bytes done and bytes in all.
Progress = Callable[[int, int], None]
Chunk = bytes | memoryview

#: Elements that one thread makes at a time; a multiple of four, the generator's block.
_CHUNK = 1 << 20
_THREADS = 4


def materialise(name: str, progress: Progress | None = None, cache: Path | None = None) -> Path:
    """The ONNX file of a zoo network, made on first use and kept in the cache.

    `cache` takes the place of `$ONNXPROF_CACHE` and the user's cache. An existing file
    is used if its SHA-256 is the catalogue's, or if it is unchanged since that was checked;
    otherwise it is made again. A second process waits for the first. Raises UsageError for an
    unknown name, StoreError where the cache cannot be written, ModelError where the bytes
    are not the published ones.
    """
    item = entry(name)
    target = store.folder(cache) / f"{name}-{item.sha256[:12]}.onnx"
    if _is_intact(target, item):
        return target
    with store.storing(target, item.bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.locked(target):
            if not _is_intact(target, item):
                _write(target, item, progress)
    return target


def digest(name: str, progress: Progress | None = None) -> str:
    """SHA-256 of the file of a zoo network, streamed without writing it."""
    return digest_pieces(skeleton.read(skeleton_path(name)), progress)


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


def copy_out(source: Path, target: Path) -> Path:
    """Copy a materialised network to a path of the user's, atomically; returns that path.

    Raises StoreError where it cannot be written.
    """
    if target.is_dir():
        target = target / source.name
    partial = store.partial(target)
    with store.storing(target, source.stat().st_size):
        try:
            shutil.copyfile(source, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return target


def clear(name: str | None = None, cache: Path | None = None) -> int:
    """Remove the cached files of one network, or of all; returns the bytes freed.

    Raises UsageError for an unknown name, StoreError where a file cannot be removed.
    """
    try:
        return store.clean(entry(name).name if name else None, cache)
    except OSError as error:
        raise StoreError(
            f"cannot be cleared ({error.strerror or error})",
            where=str(store.folder(cache)),
            remedy="Check who owns the folder",
        ) from error


def _is_intact(target: Path, item: Entry) -> bool:
    try:
        if target.stat().st_size != item.bytes:
            return False
        if store.is_stamped(target):
            return True
        with target.open("rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == item.sha256
    except OSError:
        return False
    if intact:
        store.stamp(target)
    return intact


def _write(target: Path, item: Entry, progress: Progress | None) -> None:
    store.drop_partials(target)
    partial = store.partial(target)
    try:
        with partial.open("wb") as file:
            made = stream(skeleton.read(skeleton_path(item.name)), file.write, progress)
            if made != item.sha256:
                raise _different(item, made)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    store.stamp(target)


def _different(item: Entry, made: str) -> ModelError:
    return ModelError(
        f"materialised to SHA-256 {made[:12]}…, not the published {item.sha256[:12]}…",
        where=f"zoo:{item.name}",
        remedy="Reinstall onnxprof; if that does not help, report this with your NumPy version",
    )
