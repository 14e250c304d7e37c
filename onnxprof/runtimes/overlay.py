"""A version of a runtime in a folder of its own, which is put before the path of a process.

Folders are in the user's cache, one for each version, Python and platform. One is installed beside
its place and renamed, under a lock: it is there whole or not at all.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import ModuleType

from onnxprof import folders
from onnxprof.errors import BackendError, StoreError
from onnxprof.model.sources.policy import OFFLINE, check_size, is_offline, megabytes
from onnxprof.plugins.distributions import header
from onnxprof.processes.scratch import scratch
from onnxprof.runtimes import index, pip
from onnxprof.runtimes.wanted import Wanted, normalised

Say = Callable[[str], None]

#: What pip prints when it fetches a wheel; the file with its metadata alone ends otherwise.
_FETCHED = re.compile(
    r"(?P<how>Downloading|Using cached) (?:\S*/)?(?P<file>\S+\.whl)(?: \((?P<size>[^)]+)\))?$"
)
_SIZE = re.compile(r"([\d.]+)\s*(bytes|[kMG]?B)")
_UNITS = {"bytes": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_YANKED = "yanked version"
_NO_VERSION = ("No matching distribution found", "Could not find a version")
_LACKS = re.compile(r"^(\S+) \S+ (requires .+, which is not installed|has requirement .+)\.$")
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Overlay:
    """A runtime's package in a folder of its own."""

    package: str
    version: str
    """As its own metadata has it."""
    path: Path

    @property
    def title(self) -> str:
        """As texts name it: `onnxruntime 1.22.1`."""
        return f"{self.package} {self.version}"

    @property
    def modules(self) -> frozenset[str]:
        """Names of the modules that it brings."""
        return frozenset(_modules(self.path))


def folder() -> Path:
    """The folder of overlays, in the user's cache."""
    return folders.cache() / "runtimes"


def place(wanted: Wanted) -> Path:
    """Where the overlay of a version is, or will be."""
    python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    return folder() / f"{wanted.package}-{wanted.version}-{python}-{sysconfig.get_platform()}"


def overlay(wanted: Wanted, say: Say) -> Overlay:
    """The version in its folder, fetched by pip and installed where it is not there yet.

    Only wheels are installed, so that no code of the package runs meanwhile, and nothing that it
    requires. `say` is given lines about a download, and about what it requires and lacks here.
    Raises BackendError with the reason.
    """
    target = place(wanted)
    if not target.is_dir():
        _refuse_offline(wanted, target)
        pip.require()
        with _storing(target), _locked(target, wanted, say):
            if not target.is_dir():
                _install(wanted, target, say)
    return _read(wanted, target)


def lacking(found: Overlay) -> list[str]:
    """What the package requires and this environment lacks, a text for each, by `pip check`."""
    with scratch() as own:
        answer = pip.run(["check"], Path(own), before=str(found.path))
    matches = (match for line in answer.lines if (match := _LACKS.match(line)))
    return [match[2] for match in matches if normalised(match[1]) == found.package]


def _install(wanted: Wanted, target: Path, say: Say) -> None:
    with scratch(str(target.parent)) as own:
        made = Path(own, "overlay")
        words = ["install", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off"]
        words += ["--target", str(made), str(wanted)]
        answer = pip.run(words, Path(own), partial(_hear, wanted, say))
        if answer.code or not made.is_dir():
            raise _failed(wanted, answer)
        _read(wanted, made)
        made.rename(target)
    size = megabytes(_size(target))
    say(f"{wanted.title} is in {target} ({size}); remove that folder to be rid of it")


def _hear(wanted: Wanted, say: Say, line: str) -> None:
    """Say what is downloaded and how large it is, when pip begins to."""
    if _YANKED in line:
        say(f"{wanted.title} was yanked by its makers")
    if match := _FETCHED.search(line):
        size = f" ({match['size']})" if match["size"] else ""
        if match["how"] != "Downloading":
            say(f"installing {match['file']}{size} from pip's cache, apart from this environment")
            return
        check_size(wanted.title, _bytes(match["size"] or ""))
        say(f"downloading {match['file']}{size}, to be installed apart from this environment")


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _failed(wanted: Wanted, answer: pip.Answer) -> BackendError:
    if any(words in answer.text for words in _NO_VERSION):
        return index.refusal(wanted, index.listing(wanted.package))
    return BackendError(f"pip cannot install it: {index.last_error(answer)}", where=wanted.title)


def _refuse_offline(wanted: Wanted, target: Path) -> None:
    if is_offline():
        raise BackendError(
            f"not in the cache, and {OFFLINE} is set",
            where=wanted.title,
            remedy=f"Run the command once with a network, or copy {target} from such a machine",
        )


def _read(wanted: Wanted, path: Path) -> Overlay:
    """The overlay by its own metadata. Raises BackendError for a folder without it."""
    for package in distributions(path=[str(path)]):
        name, version = header(package)
        if normalised(name) == wanted.package:
            return Overlay(wanted.package, version, path)
    raise BackendError(
        f"the folder holds no {wanted.package}", where=str(path), remedy="Remove it and try again"
    )


def refuse_unused(path: Path, backend: str) -> None:
    """Raise BackendError where this process, which asked the backend, imported nothing of it."""
    if not any(name in sys.modules for name in _modules(path)):
        raise BackendError(
            f"the backend {backend} imports none of its modules",
            where=path.name,
            remedy="Name a package that brings the runtime of this backend",
        )


def refuse_another(path: Path) -> None:
    """Raise BackendError where this process has imported the runtime from another folder."""
    for name in sorted(_modules(path)):
        if name in sys.modules and not _is_from(sys.modules[name], path):
            raise BackendError(
                f"the process had imported {name} from elsewhere",
                where=path.name,
                remedy=f"Start onnxprof from a program that does not import {name} at its top",
            )


def _is_from(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return any(Path(place).is_relative_to(folder) for place in places)


def _modules(path: Path) -> Iterator[str]:
    for entry in path.iterdir():
        if entry.is_dir() and entry.name.isidentifier() and entry.name != "__pycache__":
            yield entry.name
        elif entry.is_file() and entry.suffix in (".py", ".so", ".pyd"):
            yield entry.name.partition(".")[0]


def modules_of(package: Distribution) -> frozenset[str]:
    """Names of the modules that an installed distribution lists as its own."""
    tops = (file.parts[0] for file in package.files or () if file.parts)
    names = (top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".data")))
    return frozenset(name for name in names if name.isidentifier() and name != "__pycache__")


@contextmanager
def _locked(target: Path, wanted: Wanted, say: Say) -> Iterator[None]:
    """Hold the lock of this overlay; another process that installs it is waited for."""
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    # A lock that is a mere file would outlive a process that is killed.
    lock = FileLock(f"{target}.lock", fallback_to_soft=False)
    said = False
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not said:
                say(f"waiting for another process that installs {wanted.title}")
            said = True
            time.sleep(_POLL_S)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _storing(target: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one clear error."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot install it there: {error.strerror or error}",
            where=str(target.parent),
            remedy=f"Make room, or name another folder with {folders.CACHE}",
        ) from error


def kept() -> list[tuple[Path, int]]:
    """The overlays that are there, and their sizes in bytes."""
    root = folder()
    if not root.is_dir():
        return []
    return [(path, _size(path)) for path in sorted(root.iterdir()) if _is_overlay(path)]


def _is_overlay(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.dist-info"))


def _size(path: Path) -> int:
    total = 0
    for here, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(here, name)).st_size for name in files)
    return total
