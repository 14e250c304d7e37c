"""The sdist and the wheel made from it, and whether they are what they should be."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from tools.release.environment import ran
from tools.release.errors import ReleaseError


@dataclass(frozen=True)
class Distributions:
    """The two files that are published."""

    sdist: Path
    wheel: Path


def build(source: Path, out: Path, version: str, *, offline: bool) -> Distributions:
    """Build both and check the version that they say."""
    out.mkdir(parents=True)
    options = ("--no-isolation", "--skip-dependency-check") if offline else ()
    ran(sys.executable, "-m", "build", *options, "--outdir", out, source, folder=out)
    made = Distributions(_only(out, "*.tar.gz"), _only(out, "*.whl"))
    for path, said in (
        (made.sdist, _sdist_version(made.sdist)),
        (made.wheel, _version(made.wheel)),
    ):
        if said != version:
            raise ReleaseError(f"{path.name} says that it is version {said}, not {version}")
    return made


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ReleaseError(f"The build left {len(found)} files {pattern}, not one")
    return found[0]


def _version(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return _said(archive.read(name))


def _sdist_version(sdist: Path) -> str:
    with tarfile.open(sdist) as archive:
        (name,) = (
            each
            for each in archive.getnames()
            if each.endswith("/PKG-INFO") and each.count("/") == 1
        )
        member = archive.extractfile(name)
        return _said(member.read() if member else b"")


def _said(metadata: bytes) -> str:
    return str(Parser().parsestr(metadata.decode("utf-8"))["Version"])
