"""Print pip's constraints for the lowest versions that pyproject.toml declares.

    python .ci/bounds.py cpu,site,check >constraints.txt

The core's requirements and those of the extras named, `name==version` for each `name>=version`.
A requirement without a lower bound is an error: nobody could say what it was tried with.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?((?P<how>>=|==)(?P<version>[\w.]+))?(\s*;.*)?"
)


def constraints(project: Mapping[str, object], extras: Iterable[str]) -> list[str]:
    """Each requirement at its lowest version, sorted. Raises ValueError for one without.

    Markers are left out: a constraint on what is not installed does nothing.
    """
    return sorted(set(_lowest(project, list(project["dependencies"]) + _of(project, extras))))


def _of(project: Mapping[str, object], extras: Iterable[str]) -> list[str]:
    return [item for extra in extras for item in project["optional-dependencies"][extra]]


def _lowest(project: Mapping[str, object], requirements: Iterable[str]) -> Iterator[str]:
    for text in requirements:
        found = _REQUIREMENT.fullmatch(text)
        if found and found["name"] == project["name"]:
            yield from _lowest(project, _of(project, found["extras"].split(",")))
        elif found and found["version"]:
            yield f"{found['name']}=={found['version']}"
        else:
            raise ValueError(f"{PROJECT.name}: {text!r} has no lower bound")


def main(extras: str) -> None:
    """Print them."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    print("\n".join(constraints(project, extras.split(","))))


if __name__ == "__main__":
    main(sys.argv[1])
