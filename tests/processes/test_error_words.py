"""An error as one line: where, what, and the remedy as a sentence of its own."""

from __future__ import annotations

import pytest

from onnxprof.errors import OnnxprofError


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("no such file", "net.onnx: no such file. Check the path"),
        ("which commit was measured?", "net.onnx: which commit was measured? Check the path"),
        ("it ended.", "net.onnx: it ended. Check the path"),
    ],
)
def test_one_stop_is_between_what_and_remedy(what: str, line: str) -> None:
    assert str(OnnxprofError(what, where="net.onnx", remedy="Check the path")) == line


def test_without_a_remedy_nothing_is_added() -> None:
    assert str(OnnxprofError("no such file")) == "no such file"
