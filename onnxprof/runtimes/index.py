"""What an index has of a package, as `pip index versions` tells it for this Python."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from onnxprof.errors import BackendError
from onnxprof.processes.scratch import scratch
from onnxprof.runtimes import pip
from onnxprof.runtimes.wanted import Wanted, is_prerelease, near, release

_AVAILABLE = re.compile(r"Available versions: (.+)")
_SKIPPED = re.compile(r"Skipping link: (?P<why>.*): (?P<link>\S+\.whl)(?:[#?]\S*)?(?: \(.*)?$")
_YANKED = re.compile(r"yanked for reason: (.*)", re.DOTALL)
_TAGS = re.compile(r"none of the wheel's tags \(([^)]*)\)")
_UNREACHABLE = re.compile(r"Retrying \(|Could not fetch URL|Connection refused|ConnectionError")
_NOTHING = "No matching distribution found"


@dataclass(slots=True)
class Listing:
    """The versions of a package with a wheel that installs here, and why others have none."""

    versions: tuple[str, ...] = ()
    """Ascending, without pre-releases and yanked ones."""
    yanked: dict[str, str] = field(default_factory=dict)
    """By version the reason that its makers gave."""
    others: dict[str, set[str]] = field(default_factory=dict)
    """By version the tags of wheels for another Python or platform."""

    def left_out(self, versions: list[str]) -> Iterator[str]:
        """Lines about what lies between the ends of a list and is not in it."""
        low, high = sorted((release(versions[0]), release(versions[-1])))
        for version, why in self.yanked.items():
            if low < release(version) < high:
                yield f"{version} was yanked ({why})"
        none = [v for v in self.others if low < release(v) < high and not is_prerelease(v)]
        if none := [v for v in none if v not in versions and v not in self.yanked]:
            yield f"no wheel for this Python: {', '.join(sorted(none, key=release))}"


def listing(package: str) -> Listing:
    """What the index has. Raises BackendError where it cannot be reached or has no such package."""
    with scratch() as folder:
        answer = pip.run(["index", "versions", "-vv", package], Path(folder))
    found = read(answer.text)
    if found.versions or found.yanked or found.others:
        return found
    if _UNREACHABLE.search(answer.text):
        raise BackendError(
            "the package index cannot be reached",
            where=package,
            remedy="pip's own settings apply (PIP_INDEX_URL, PIP_FIND_LINKS); see pip config list",
        )
    if _NOTHING in answer.text:
        raise BackendError(
            f"the index has no package {package}", remedy="Look for its name on the index"
        )
    raise BackendError(f"pip cannot list its versions: {last_error(answer)}", where=package)


def read(text: str) -> Listing:
    """What pip printed with `-vv`, which names the links that it passed over."""
    found = Listing()
    if match := _AVAILABLE.search(text):
        told = (version.strip() for version in match[1].split(","))
        found.versions = tuple(sorted(filter(None, told), key=release))
    for line in text.splitlines():
        if match := _SKIPPED.search(line):
            _note(found, match["why"], unquote(match["link"].rpartition("/")[2]))
    found.yanked = {v: why for v, why in found.yanked.items() if v not in found.versions}
    found.others = {v: tags for v, tags in found.others.items() if v not in found.versions}
    return found


def _note(found: Listing, why: str, wheel: str) -> None:
    parts = wheel.removesuffix(".whl").split("-")
    if len(parts) < 5:
        return
    version = parts[1]
    if match := _YANKED.search(why):
        found.yanked.setdefault(version, match[1])
    elif _TAGS.search(why) or "Requires-Python" in why:
        found.others.setdefault(version, set()).add("-".join(parts[-3:]))


def refusal(wanted: Wanted, found: Listing) -> BackendError:
    """Why pip found no wheel of a version, from what the index has."""
    close = near(wanted.version, found.versions)
    remedy = f"Near it there are {', '.join(close)}" if close else ""
    key = release(wanted.version)
    tags = next((tags for v, tags in found.others.items() if release(v) == key), None)
    if tags is not None:
        return BackendError(
            f"has no wheel for this Python ({this_python()}); its wheels are for {_short(tags)}",
            where=wanted.title,
            remedy=remedy or "Another Python may have it",
        )
    if any(release(version) == key for version in found.versions):
        what = "pip found it, but no wheel of it to install"
    else:
        what = "the index has no such version with a wheel"
    return BackendError(what, where=wanted.title, remedy=remedy or "See pip index versions")


def this_python() -> str:
    """The Python and platform that a wheel must fit, as `cp311 on linux-x86_64`."""
    short = sysconfig.get_config_var("py_version_nodot") or ""
    return f"cp{short} on {sysconfig.get_platform()}"


def _short(tags: set[str]) -> str:
    """Pythons where that is what differs, else platforms; a few of them."""
    mine = this_python().partition(" ")[0]
    pythons = {tag.split("-")[0] for tag in tags}
    names = {tag.split("-", 2)[2].split(".")[0] for tag in tags} if mine in pythons else pythons
    listed = sorted(names, key=lambda name: (len(name), name))
    return ", ".join(listed[:6]) + (", …" if len(listed) > 6 else "")


def last_error(answer: pip.Answer) -> str:
    """The line of pip's output that says what went wrong."""
    errors = [line for line in answer.lines if line.startswith("ERROR:")]
    lines = errors or [line for line in answer.lines if line]
    return lines[-1].removeprefix("ERROR: ") if lines else f"it ended with code {answer.code}"
