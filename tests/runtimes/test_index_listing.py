"""What pip prints about an index, read; and what is said of versions that it lacks."""

from __future__ import annotations

import pytest

from onnxprof.errors import BackendError
from onnxprof.runtimes import index, pip
from onnxprof.runtimes.wanted import Wanted

LINKS = "https://files.example/packages/ab"
SIMPLE = "(from https://index.example/simple/fakert/) (requires-python:>=3.6)"
PRINTED = f"""
  WARNING: pip index is currently an experimental command.
  1 location(s) to search for versions of fakert:
  * https://index.example/simple/fakert/
    Skipping link: not a file: https://index.example/simple/fakert/ {SIMPLE}
    Skipping link: none of the wheel's tags (cp36-cp36m-manylinux1_x86_64) are compatible (run pip\
 debug --verbose to show compatible tags): {LINKS}/fakert-1.0.0-cp36-cp36m-manylinux1_x86_64.whl\
#sha256=00 {SIMPLE}
    Skipping link: none of the wheel's tags (cp36-cp36m-win_amd64) are compatible (run pip debug\
 --verbose to show compatible tags): {LINKS}/fakert-1.0.0-cp36-cp36m-win_amd64.whl {SIMPLE}
    Skipping link: none of the wheel's tags (cp36-cp36m-win_amd64) are compatible (run pip debug\
 --verbose to show compatible tags): {LINKS}/fakert-1.2.0-cp36-cp36m-win_amd64.whl {SIMPLE}
    Skipping link: 1.1.0 Requires-Python <3.4: {LINKS}/fakert-1.1.0-py3-none-any.whl {SIMPLE}
    Skipping link: yanked for reason: wrong results: {LINKS}/fakert-1.2.1-py3-none-any.whl {SIMPLE}
    Skipping link: none of the wheel's tags (cp36-none-any) are compatible (run pip debug\
 --verbose to show compatible tags): {LINKS}/fakert-1.2.2%2Bcpu-cp36-none-any.whl {SIMPLE}
  Found link {LINKS}/fakert-1.2.0-py3-none-any.whl {SIMPLE}, version: 1.2.0
fakert (1.10.0)
Available versions: 1.10.0, 1.3.0, 1.2.0
"""


def test_versions_ascend_by_their_numbers_and_the_others_have_a_reason() -> None:
    found = index.read(PRINTED)
    assert found.versions == ("1.2.0", "1.3.0", "1.10.0")
    assert found.yanked == {"1.2.1": "wrong results"}
    assert set(found.others) == {"1.0.0", "1.1.0", "1.2.2+cpu"}  # 1.2.0 has a wheel that fits


def test_what_lies_between_and_is_not_tried() -> None:
    found = index.read(PRINTED)
    assert list(found.left_out(["1.2.0", "1.3.0"])) == [
        *("1.2.1 was yanked (wrong results)", "no wheel for this Python: 1.2.2+cpu"),
    ]
    assert list(found.left_out(["1.10.0", "1.3.0"])) == []
    assert len(list(found.left_out(["1.3.0", "0.9"]))) == 2


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0.0", "no wheel for this Python (cp"),
        ("1.0.0", "its wheels are for cp36. Near it there are 1.2.0, 1.3.0, 1.10.0"),
        ("1.4.0", "fakert 1.4.0: the index has no such version with a wheel. Near it"),
        ("1.3", "fakert 1.3: pip found it, but no wheel of it"),
    ],
)
def test_a_version_that_cannot_be_had_is_refused_with_its_neighbours(
    version: str, words: str
) -> None:
    assert words in str(index.refusal(Wanted("fakert", version), index.read(PRINTED)))


def test_a_wheel_for_another_platform_alone_names_platforms() -> None:
    mine = index.this_python().partition(" ")[0]
    text = (
        f"Skipping link: none of the wheel's tags (x) are compatible: /w/fakert-2.0-{mine}-{mine}"
        "-win_arm64.whl"
    )
    error = index.refusal(Wanted("fakert", "2.0"), index.read(text))
    assert "its wheels are for win_arm64" in str(error)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["WARNING: Retrying (Retry(total=4)) after connection broken", "ERROR: No matching"],
            "the package index cannot be reached",
        ),
        (["ERROR: No matching distribution found for fakert"], "the index has no package fakert"),
        (["ERROR: unknown command"], "pip cannot list its versions: unknown command"),
        ([], "it ended with code 1"),
    ],
)
def test_an_index_without_an_answer(lines: list[str], words: str, monkeypatch) -> None:
    monkeypatch.setattr(pip, "run", lambda *_: pip.Answer(1, tuple(lines)))
    with pytest.raises(BackendError, match=words):
        index.listing("fakert")
