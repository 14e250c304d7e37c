"""Versions as users name them: parsed, ordered, and which backend they belong to."""

from __future__ import annotations

import pytest

from onnxprof.errors import UsageError
from onnxprof.runtimes.wanted import (
    Wanted,
    backend_of,
    between,
    is_prerelease,
    near,
    oldest_tested,
    parse,
    release,
)

KNOWN = ("1.18.0", "1.19.2", "1.20.0", "1.21.1", "1.22.0", "1.22.1", "1.23.0", "1.23.2", "1.32.0")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("onnxruntime==1.22.1", Wanted("onnxruntime", "1.22.1")),
        (" ONNXRuntime_GPU == 1.22 ", Wanted("onnxruntime-gpu", "1.22")),
        ("torch==2.9.0+cpu", Wanted("torch", "2.9.0+cpu")),
        ("openvino==2025.1.0rc1", Wanted("openvino", "2025.1.0rc1")),
    ],
)
def test_a_package_and_one_version(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted
    assert parse(str(wanted)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", "onnxruntime", "onnxruntime==", "onnxruntime>=1.22", "onnxruntime==1.22.*", "==1.22"),
        *("onnxruntime==1.22,!=1.22.1", "--target=/==1", "onnxruntime[gpu]==1.22", "../x==1.0"),
        *("x @ file:///tmp==1", "onnxruntime==1.22/../..", "onnxruntime==1.22; python_version"),
    ],
)
def test_anything_but_one_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no version of a runtime"):
        parse(text)


@pytest.mark.parametrize(
    ("package", "backend"),
    [
        *(("onnxruntime", "ort"), ("onnxruntime-gpu", "ort"), ("onnxruntime-openvino", "ort")),
        *(("onnxruntime-rocm", "ort"), ("openvino", "openvino"), ("torch", "torch")),
    ],
)
def test_a_distribution_belongs_to_a_backend(package: str, backend: str) -> None:
    assert backend_of(package) == backend


def test_a_package_of_no_backend_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="numpy is the package of no backend") as caught:
        backend_of("numpy")
    assert "onnxruntime, openvino" in caught.value.remedy


def test_versions_are_ordered_by_their_numbers() -> None:
    assert release("1.22") == release("1.22.0") < release("1.22.1") < release("1.100")
    assert release("2.9.0+cpu") == release("2.9")


@pytest.mark.parametrize(
    ("version", "early"),
    [
        ("1.22.0rc1", True),
        ("2.9.0.dev20250101", True),
        ("1.0a1", True),
        ("1.22.0", False),
        ("2.9.0+cpu.cxx11", False),
    ],
)
def test_prereleases(version: str, early: bool) -> None:
    assert is_prerelease(version) is early


@pytest.mark.parametrize(
    ("good", "slow", "inside"),
    [
        ("1.22.0", "1.23.2", ["1.22.1", "1.23.0"]),
        ("1.23.2", "1.22", ["1.23.0", "1.22.1"]),  # downwards, and 1.22 is 1.22.0
        ("1.21.0", "1.21.2", ["1.21.1"]),
        ("1.24.0", "1.30.0", []),
    ],
)
def test_what_lies_between_comes_in_the_direction_of_the_ends(
    good: str, slow: str, inside: list[str]
) -> None:
    assert between(good, slow, KNOWN) == [good, *inside, slow]


@pytest.mark.parametrize(
    ("version", "first", "last"),
    [("1.22.5", "1.21.1", "1.32.0"), ("0.1", "1.18.0", "1.22.1"), ("9", "1.21.1", "1.32.0")],
)
def test_versions_near_one_that_is_missing(version: str, first: str, last: str) -> None:
    close = near(version, KNOWN)
    assert (close[0], close[-1], len(close)) == (first, last, 6)
    assert near(version, []) == []


def test_the_oldest_tested_version_is_the_declared_one() -> None:
    declared = ["numpy>=2.0", 'onnxruntime>=1.23; extra == "cpu"', "torch[x] >= 2.6", "typer"]
    assert oldest_tested("onnxruntime", lambda _: declared) == "1.23"
    assert oldest_tested("onnxruntime-openvino", lambda _: declared) == "1.23"
    assert oldest_tested("torch", lambda _: declared) == "2.6"
    assert oldest_tested("openvino", lambda _: declared) == ""
    assert oldest_tested("onnxruntime", lambda _: None) == ""
