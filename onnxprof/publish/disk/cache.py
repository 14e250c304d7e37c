"""A cache of files that site builds made, by the digest of all their inputs."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from onnxprof import folders
from onnxprof.publish.disk import package

#: Entries that were used longest ago go first once the folder holds more.
MOST_BYTES = 2 << 30
_DIGEST_BYTES = 32
_TEMPORARY = ".tmp"
#: Packages whose versions the made files depend on, too.
_LIBRARIES = ("jinja2", "typst", "graphlay", "plotly", "pyarrow", "numpy")
#: Links to folders beside the package; `rglob` does not follow them.
_BESIDE = ("", "backends", "zoo", "site")
_PATTERNS = ("*.py", "templates/**/*", "assets/**/*", "index.json")


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of entries, each preceded by its SHA-256. Failing writes are ignored."""

    folder: Path

    def get(self, key: str) -> bytes | None:
        """The entry's content, marked as just used; None if there is no intact entry."""
        place = self.folder / key
        try:
            stored = place.read_bytes()
        except OSError:
            return None
        content = stored[_DIGEST_BYTES:]
        with suppress(OSError):
            if sha256(content).digest() == stored[:_DIGEST_BYTES]:
                os.utime(place)
                return content
            place.unlink()
        return None

    def put(self, key: str, content: bytes) -> None:
        """Store an entry atomically."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(_TEMPORARY, dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(sha256(content).digest())
                    file.write(content)
                Path(temporary).replace(self.folder / key)
            except OSError:
                Path(temporary).unlink(missing_ok=True)

    def prune(self, most_bytes: int = MOST_BYTES) -> None:
        """Remove least recently used entries until the rest takes at most `most_bytes`."""
        with suppress(OSError):
            held = sorted(self._entries(), reverse=True)
            kept = 0
            for _, size, path in held:
                kept += size
                if kept > most_bytes:
                    path.unlink(missing_ok=True)

    def _entries(self) -> list[tuple[int, int, Path]]:
        """(time of last use in ns, bytes, path) of every file, also those of killed builds."""
        entries = []
        with os.scandir(self.folder) as listing:
            for item in listing:
                with suppress(OSError):
                    facts = item.stat()
                    entries.append((facts.st_mtime_ns, facts.st_size, Path(item.path)))
        return entries


def user_cache() -> Cache:
    """The cache in `ONNXPROF_CACHE`, else in the user's cache folder."""
    return Cache(folders.cache() / "site")


def digest(*parts: str | bytes) -> str:
    """SHA-256 of the parts and their lengths, in hexadecimal."""
    whole = sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()


def sources() -> list[Path]:
    """The sources, templates and assets that make a site's files."""
    tops = [package.folder(beside) for beside in _BESIDE]
    return sorted(
        {p for top in tops for pattern in _PATTERNS for p in top.rglob(pattern) if p.is_file()}
    )


@cache
def code() -> str:
    """Digest of the sources and libraries that make a site's files.

    The version alone would do for a release; a working copy changes between two.
    """
    root = package.folder()
    parts = [part for p in sources() for part in (os.path.relpath(p, root), p.read_bytes())]
    return digest(*parts, *map(_version, ("onnxprof", *_LIBRARIES)))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
