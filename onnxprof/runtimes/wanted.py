"""A version of a runtime as a user names it, and the backend that it belongs to."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

from onnxprof.errors import UsageError
from onnxprof.plugins import registry

#: A requirement of one exact version (PEP 440 and 508); anything else would be resolved anew.
_EXACT = re.compile(
    r"(?P<package>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*==\s*"
    r"(?P<version>\d[A-Za-z0-9.!_-]*(?:\+[A-Za-z0-9._-]+)?)"
)
_RELEASE = re.compile(r"v?(?:\d+!)?(\d+(?:\.\d+)*)")
_PRE = re.compile(r"[\d.](?:a|b|c|rc|alpha|beta|pre|preview|dev)[._-]?\d*", re.IGNORECASE)
_LEAST = re.compile(r"^([A-Za-z0-9._-]+?)\s*(?:\[[^]]*\])?\s*>=\s*([\w.]+)")
#: How many versions near a wanted one a message names.
_NEAR = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version of a distribution."""

    package: str
    """Its normalised name: `onnxruntime-gpu`."""
    version: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def title(self) -> str:
        """As texts name it: `onnxruntime 1.22.1`."""
        return f"{self.package} {self.version}"


def parse(text: str) -> Wanted:
    """`onnxruntime==1.22.1`. Raises UsageError for anything but one version of one package."""
    match = _EXACT.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"--runtime {text!r} is no version of a runtime",
            remedy="Write the package and one version: --runtime onnxruntime==1.22.1",
        )
    return Wanted(normalised(match["package"]), match["version"])


def normalised(name: str) -> str:
    """The name of a distribution as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def backend_of(package: str) -> str:
    """The backend whose runtime this distribution brings.

    That is one of the backend's own packages or, as `onnxruntime-rocm`, begins with the name of the
    first of them. Raises UsageError for any other.
    """
    known = {name: registry.packages_of(name) for name in registry.backend_names()}
    for name, packages in known.items():
        if package in map(normalised, packages):
            return name
    for name, packages in known.items():
        if package.startswith(f"{normalised(packages[0])}-"):
            return name
    firsts = ", ".join(sorted({packages[0] for packages in known.values()}))
    raise UsageError(
        f"{package} is the package of no backend here", remedy=f"Those that are: {firsts}"
    )


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for ordering: those of 1.22 and of 1.22.0 are the same."""
    match = _RELEASE.match(version)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def is_prerelease(version: str) -> bool:
    """Whether a version is an alpha, a beta, a candidate or a snapshot (PEP 440)."""
    return _PRE.search(version.partition("+")[0]) is not None


def near(version: str, versions: Sequence[str]) -> list[str]:
    """The versions of an ascending list that are next to one, lower and higher ones alike."""
    at = bisect_left([release(each) for each in versions], release(version))
    first = max(0, min(at - _NEAR // 2, len(versions) - _NEAR))
    return list(versions[first : first + _NEAR])


def between(good: str, slow: str, versions: Sequence[str]) -> list[str]:
    """The versions of an ascending list from one to the other, both of these included.

    Where the first is the newer one, they come in descending order.
    """
    low, high = sorted((release(good), release(slow)))
    inside = [each for each in versions if low < release(each) < high]
    if release(good) > release(slow):
        inside.reverse()
    return [good, *inside, slow]


def oldest_tested(package: str, requirements: Callable[[str], list[str] | None] = requires) -> str:
    """The lowest version of a runtime that onnxprof declares; empty where it declares none.

    For another build, as `onnxruntime-openvino`, that of the plain one.
    """
    try:
        declared = requirements("onnxprof") or []
    except PackageNotFoundError:
        declared = []
    matches = (match for text in declared if (match := _LEAST.match(text)))
    least = {normalised(match[1]): match[2] for match in matches}
    names = (package, *(registry.packages_of(backend_of(package))[:1]))
    return next((least[name] for name in names if name in least), "")
