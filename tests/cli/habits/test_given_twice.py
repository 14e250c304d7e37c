"""An option that takes one value is not given twice: no first value is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.habits.commands import inside

TWICE = "given 2 times and takes one value. Give it once"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("profile net.onnx --backend ort --backend torch", "--backend"),
        ("profile net.onnx --batch 1 --batch=8", "--batch"),
        ("inspect net.onnx --format csv --format json", "--format"),
        ("runs list --batch 1 --batch 1", "--batch"),
        ("site build --out a --out b", "--out"),
    ],
)
def test_a_second_value_is_refused(words: str, option: str, tmp_path: Path) -> None:
    done = inside(*words.split(), folder=tmp_path)
    assert done.code == 2
    assert f"{option} is {TWICE}" in done.err
    assert not done.out


@pytest.mark.parametrize(
    "words",
    [
        "runs list --model a --model b --backend ort --backend torch",  # repeatable
        "runs list -v -v --store none",  # counted
        "schema run --json --json",  # a flag
    ],
)
def test_what_may_be_repeated_still_may(words: str, tmp_path: Path) -> None:
    assert "takes one value" not in inside(*words.split(), folder=tmp_path).err
