"""Model files made from skeletons: verified, atomic, kept.

What makes one (`onnxprof.zoo.making`) is imported where one is to be made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import ModelError, StoreError
from onnxprof.zoo import cache as store
from onnxprof.zoo.catalogue import entry
from onnxprof.zoo.declaration import Entry

if TYPE_CHECKING:
    from onnxprof.zoo.making.stream import Progress


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


def hollow(name: str, folder: Path) -> Path:
    """The file of a zoo network in `folder` with holes for its weights: shapes, no values.

    Takes next to no room where the file system keeps holes. An existing file in the cache is
    returned in its place. Raises UsageError for an unknown name, StoreError where the file cannot
    be written.
    """
    from onnxprof.zoo.whole import pieces

    item = entry(name)
    made = store.folder() / f"{name}-{item.sha256[:12]}.onnx"
    if _is_intact(made, item):
        return made
    target = folder / f"{name}.onnx"
    with store.storing(target), target.open("wb") as file:
        for piece in pieces(name):
            if isinstance(piece, bytes):
                file.write(piece)
            else:
                file.seek(piece.size, os.SEEK_CUR)
        file.truncate()
    return target


def digest(name: str, progress: Progress | None = None) -> str:
    """SHA-256 of the file of a zoo network, streamed without writing it."""
    from onnxprof.zoo.making.stream import digest_pieces
    from onnxprof.zoo.whole import pieces

    return digest_pieces(pieces(name), progress)


def copy_out(source: Path, target: Path) -> Path:
    """Copy a materialised network to a path of the user's, atomically; returns that path.

    Raises StoreError where it cannot be written.
    """
    import shutil

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
        intact = _sha256(target) == item.sha256
    except OSError:
        return False
    if intact:
        store.stamp(target)
    return intact


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(target: Path, item: Entry, progress: Progress | None) -> None:
    from onnxprof.zoo.making.stream import stream
    from onnxprof.zoo.whole import pieces

    store.drop_partials(target)
    partial = store.partial(target)
    try:
        with partial.open("wb") as file:
            made = stream(pieces(item.name), file.write, progress)
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
