"""The version: one number in pyproject.toml, and the files that repeat it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.release.errors import ReleaseError

#: 1.2.3, or a candidate for it, 1.2.3rc1: what PEP 440 and Semantic Versioning both order.
FORM = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:rc([1-9]\d*))?")


@dataclass(frozen=True)
class Place:
    """A file that has the version, and how its line begins and ends."""

    file: str
    before: str
    after: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The line, with the version as its second group."""
        return re.compile(rf"^({re.escape(self.before)})([^\s\"]+)({re.escape(self.after)})$", re.M)


#: pyproject.toml comes first: it is the source, the others repeat it.
PLACES = (
    Place("pyproject.toml", 'version = "', '"'),
    Place("CITATION.cff", "version: "),
    Place("action.yml", "    default: onnxprof[cpu]=="),
    Place("ci/gate.gitlab-ci.yml", "    GATE_PACKAGE: onnxprof[cpu]=="),
    Place(
        "docs/ci.md",
        "`package` is what pip installs. Left out, it is the release that the action belongs to,"
        " `onnxprof[cpu]==",
        "`, which the",
    ),
)
DATED = re.compile(r"^date-released: .*\n", re.M)


def parsed(text: str) -> str:
    """A version, without the `v` of its tag.

    >>> parsed("v0.2.0"), parsed("1.0.0rc1")
    ('0.2.0', '1.0.0rc1')
    """
    version = text.removeprefix("v")
    if not FORM.fullmatch(version):
        raise ReleaseError(f"{text!r} is no version: give three numbers, as in 1.2.3 or 1.2.3rc1")
    return version


def order(version: str) -> tuple[int, ...]:
    """What versions are compared by; a candidate comes before its release.

    >>> order("1.2.0rc2") < order("1.2.0") < order("1.10.0")
    True
    """
    match = FORM.fullmatch(version)
    if match is None:
        raise ReleaseError(f"{version!r} is no version")
    major, minor, patch, candidate = match.groups()
    last = int(candidate) if candidate else 1 << 30
    return int(major), int(minor), int(patch), last


def newest(tags: Sequence[str]) -> str:
    """The highest version among tags, or nothing.

    >>> newest(["v0.9.0", "v0.10.0", "nightly"])
    '0.10.0'
    """
    versions = [tag[1:] for tag in tags if tag[:1] == "v" and FORM.fullmatch(tag[1:])]
    return max(versions, key=order, default="")


def current(root: Path) -> str:
    """The version of a tree."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def stated(root: Path) -> dict[str, str]:
    """What each file says; a file without its line is an error."""
    return {place.file: _line(root, place)[2] for place in PLACES}


def write(root: Path, version: str, date: str) -> None:
    """Set the version wherever it stands, and the date of the citation."""
    for place in PLACES:
        _line(root, place)
        path = root / place.file
        text = place.pattern.sub(rf"\g<1>{version}\g<3>", path.read_text("utf-8"), count=1)
        path.write_text(text, "utf-8", newline="\n")
    citation = root / "CITATION.cff"
    kept = DATED.sub("", citation.read_text("utf-8")).rstrip("\n")
    citation.write_text(f"{kept}\ndate-released: {date}\n", "utf-8", newline="\n")


def _line(root: Path, place: Place) -> re.Match[str]:
    found = list(place.pattern.finditer((root / place.file).read_text("utf-8")))
    if len(found) != 1:
        raise ReleaseError(f"{place.file} has {len(found)} lines `{place.before}…`, not one")
    return found[0]
