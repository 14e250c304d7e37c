"""A store whose files also lie in a shared folder or an object store, by pyarrow's filesystems.

What is there is mirrored in a folder of the user's cache, which every reader of runs reads. A run
is in the mirror before it is sent: one that could not be sent is sent by the next sweep.
"""

from __future__ import annotations

import hashlib
import posixpath
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.errors import StoreError, UsageError
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.store.guard import MAX_BYTES
from onnxprof.store.walk import SUFFIX, run_files

#: Filesystems on which a file that is being written can be seen, and a rename is at once.
_PLAIN = ("local", "hdfs")
_REMEDY = "Check its address and your rights there; runs that were not sent are kept and sent later"


def is_shared(text: str) -> bool:
    """Whether a store is named by a URL, such as `s3://bucket/folder`."""
    return "://" in text


@dataclass(frozen=True, slots=True)
class SharedStore(Store):
    """The mirror of a shared store. `root` is the mirror's folder."""

    url: str
    filesystem: Any
    base: str
    """The folder within the filesystem."""

    def save(self, run: Run, data: bytes = b"") -> Path:
        """As ever, and send the file. Raises StoreError."""
        path = Store.save(self, run, data)
        with _reaching(self.url):
            self._send(path)
        return path

    def check_writable(self) -> None:
        """Raise StoreError where a run could not be saved here or there."""
        Store.check_writable(self)
        probe = f".{secrets.token_hex(8)}.tmp"
        with _reaching(self.url):
            self._write(probe, b"onnxprof")
            self.filesystem.delete_file(posixpath.join(self.base, probe))

    def synchronise(self, say: Callable[[str], None]) -> None:
        """Fetch the runs that are only there, send those only here. Raises StoreError."""
        with _reaching(self.url):
            there = dict(self._listed())
            here = {file.name.replace("\\", "/") for file in run_files(self.root)}
            fetched = sorted(there.keys() - here)
            for name in fetched:
                self._fetch(name, there[name])
            sent = sorted(here - there.keys())
            for name in sent:
                self._send(self.root / name)
        if fetched or sent:
            say(f"{self.url}: {len(fetched)} runs fetched, {len(sent)} sent; mirror: {self.root}")

    def _listed(self) -> Iterator[tuple[str, int]]:
        """The names and sizes of the files there that look like runs."""
        from pyarrow.fs import FileSelector, FileType

        wanted = FileSelector(self.base, recursive=True, allow_not_found=True)
        for info in self.filesystem.get_file_info(wanted):
            name = posixpath.relpath(info.path, self.base)
            is_run = name.endswith(SUFFIX) and not info.base_name.startswith(".")
            if info.type == FileType.File and is_run and info.size <= MAX_BYTES:
                yield name, info.size

    def _fetch(self, name: str, size: int) -> None:
        if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
            raise StoreError(f"has a file called {name!r}", where=self.url)
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with self.filesystem.open_input_stream(posixpath.join(self.base, name)) as stream:
                temporary.write_bytes(stream.read(size))
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _send(self, path: Path) -> None:
        """Send a file; where its name is another one's there, under a name of its own."""
        data = path.read_bytes()
        name = path.relative_to(self.root).as_posix()
        if self._is_other(name, data):
            name = f"{name.removesuffix(SUFFIX)}-{hashlib.sha256(data).hexdigest()[:8]}{SUFFIX}"
        self._write(name, data)

    def _is_other(self, name: str, data: bytes) -> bool:
        from pyarrow.fs import FileType

        target = posixpath.join(self.base, name)
        if self.filesystem.get_file_info(target).type == FileType.NotFound:
            return False
        with self.filesystem.open_input_stream(target) as stream:
            there: bytes = stream.read(len(data) + 1)
            return there != data

    def _write(self, name: str, data: bytes) -> None:
        target = posixpath.join(self.base, name)
        folder = posixpath.dirname(target)
        self.filesystem.create_dir(folder, recursive=True)
        if self.filesystem.type_name not in _PLAIN:  # an object appears whole when it is closed
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(data)
            return
        temporary = posixpath.join(folder, f".{secrets.token_hex(8)}.tmp")
        try:
            with self.filesystem.open_output_stream(temporary) as stream:
                stream.write(data)
            self.filesystem.move(temporary, target)
        except BaseException:
            with suppress(OSError):
                self.filesystem.delete_file(temporary)
            raise


def shared(url: str, filesystem: Any = None) -> SharedStore:
    """The store at a URL; `filesystem` takes the place of the one that the URL names.

    Raises UsageError for a URL that pyarrow does not know.
    """
    from pyarrow.fs import FileSystem

    mirror = folders.cache() / "stores" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    if filesystem is not None:
        return SharedStore(mirror, url, filesystem, url.partition("://")[2])
    try:
        found, base = FileSystem.from_uri(url)
    except (ValueError, OSError, NotImplementedError) as error:
        raise UsageError(
            f"{url!r} names no store ({' '.join(str(error).split())[:200]})",
            where="--store",
            remedy="Write a folder, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER",
        ) from None
    return SharedStore(mirror, url, found, base)


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"cannot be used ({why})", where=url, remedy=_REMEDY) from error
