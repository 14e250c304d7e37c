"""Model files made from skeletons: verified, atomic, kept.

What makes one (`onnxprof.zoo.making`) is imported where one is to be made.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import ModelError, StoreError
from onnxprof.writing import refuse_unwritable
from onnxprof.zoo import cache as store
from onnxprof.zoo.catalogue import entry
from onnxprof.zoo.declaration import Entry

if TYPE_CHECKING:
    from onnxprof.zoo.making.skeleton import Piece
    from onnxprof.zoo.making.stream import Progress


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a network: the model, or its external data."""

    path: Path
    bytes: int
    sha256: str
    is_data: bool = False

    def pieces(self, network: str) -> list[Piece]:
        """Its literal bytes and weights."""
        from onnxprof.zoo import whole

        return whole.data_pieces(network) if self.is_data else whole.pieces(network)


def _files(item: Entry, target: Path) -> tuple[_File, ...]:
    """The files of a network whose model is to be at `target`; the model is the last one."""
    model = _File(target, item.bytes - item.data_bytes, item.sha256)
    if not item.data_sha256:
        return (model,)
    data = target.with_name(item.data_name)
    return _File(data, item.data_bytes, item.data_sha256, is_data=True), model


def materialise(name: str, progress: Progress | None = None, cache: Path | None = None) -> Path:
    """The ONNX file of a zoo network, made on first use and kept in the cache.

    A large network's weights lie in a second file beside it. `cache` takes the place of
    `$ONNXPROF_CACHE` and the user's cache. An existing file
    is used if its SHA-256 is the catalogue's, or if it is unchanged since that was checked;
    otherwise it is made again. A second process waits for the first. Raises UsageError for an
    unknown name, StoreError where the cache cannot be written, ModelError where the bytes
    are not the published ones.
    """
    item = entry(name)
    target = store.folder(cache) / f"{name}-{item.sha256[:12]}.onnx"
    files = _files(item, target)
    if all(map(_is_intact, files)):
        return target
    with store.storing(target, item.bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.locked(target):
            done = 0
            for file in files:
                if not _is_intact(file):
                    _write(file, item, _within(progress, done, item.bytes))
                done += file.bytes
    return target


def _within(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of one of several files as that of all of them."""
    return progress and (lambda done, _: progress(before + done, total))


def hollow(name: str, folder: Path) -> Path:
    """The file of a zoo network in `folder` with holes for its weights: shapes, no values.

    Takes next to no room where the file system keeps holes. An existing file in the cache is
    returned in its place. Raises UsageError for an unknown name, StoreError where the file cannot
    be written.
    """
    item = entry(name)
    made = store.folder() / f"{name}-{item.sha256[:12]}.onnx"
    if all(map(_is_intact, _files(item, made))):
        return made
    target = folder / f"{name}.onnx"
    for each in _files(item, target):
        with store.storing(each.path), each.path.open("wb") as file:
            for piece in each.pieces(name):
                if isinstance(piece, bytes):
                    file.write(piece)
                else:
                    file.seek(piece.size, os.SEEK_CUR)
            file.truncate()
    return target


def digest(name: str, progress: Progress | None = None) -> str:
    """SHA-256 of the model file of a zoo network, streamed without writing it."""
    from onnxprof.zoo.making.stream import digest_pieces
    from onnxprof.zoo.whole import pieces

    return digest_pieces(pieces(name), progress)


def copy_out(item: Entry, source: Path, target: Path) -> Path:
    """Copy a materialised network to a path of the user's, atomically; returns that path.

    External data keeps the name that the model knows it by. Raises StoreError where a file cannot
    be written.
    """
    if target.is_dir():
        target = target / source.name
    refuse_unwritable(target)
    if item.data_name:
        _copy(source.with_name(item.data_name), target.with_name(item.data_name))
    _copy(source, target)
    return target


def _copy(source: Path, target: Path) -> None:
    import shutil

    partial = store.partial(target)
    with store.storing(target, source.stat().st_size):
        try:
            shutil.copyfile(source, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


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


def _is_intact(file: _File) -> bool:
    try:
        if file.path.stat().st_size != file.bytes:
            return False
        if store.is_stamped(file.path):
            return True
        intact = _sha256(file.path) == file.sha256
    except OSError:
        return False
    if intact:
        store.stamp(file.path)
    return intact


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(target: _File, item: Entry, progress: Progress | None) -> None:
    from onnxprof.zoo.making.stream import stream

    store.drop_partials(target.path)
    partial = store.partial(target.path)
    try:
        with partial.open("wb") as file:
            made = stream(target.pieces(item.name), file.write, progress)
            if made != target.sha256:
                raise _different(item, made, target.sha256)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target.path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    store.stamp(target.path)


def _different(item: Entry, made: str, published: str) -> ModelError:
    return ModelError(
        f"materialised to SHA-256 {made[:12]}…, not the published {published[:12]}…",
        where=f"zoo:{item.name}",
        remedy="Reinstall onnxprof; if that does not help, report this with your NumPy version",
    )
