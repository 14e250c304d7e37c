"""Errors and warnings of the Python API name its arguments, not options of the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from support.networks import models

import onnxprof as op
from onnxprof.api.base.door import in_python, public
from onnxprof.api.base.telling import warn
from onnxprof.api.options import Measuring
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


@public
def told(text: str, *, force: bool = False, batches: int = 1, tags: str = "", **_: Any) -> str:
    """A function of the API with options of a measurement."""
    del force, batches, tags
    return in_python(text)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("Add --dim seq=128", 'Add dims={"seq": 128}'),
        ("Add --dim seq=128 --dim past=0,8.", 'Add dims={"seq": 128, "past": [0, 8]}.'),
        ("Add --dim total=past+new", 'Add dims={"total": "past+new"}'),
        ("Add --dim seq=SIZE", 'Add dims={"seq": SIZE}'),
        ("--session-option a.b=1 is refused", 'session_options={"a.b": "1"} is refused'),
        ("--session-option a: no such option", "session_options a: no such option"),
        ("Leave --backend away: it", "Leave backend away: it"),
        ("Choose one with --batch N, or 8", "Choose one with batches=N, or 8"),
        ("Write --batch 1,8", "Write batches=[1, 8]"),
        ("--runtime is a version", "runtime is a version"),
        ("use --backend ort, or wait", 'use backend="ort", or wait'),
        ("leave out --granularity written", 'leave out granularity="written"'),
        ("--no-verify, --allocations", "verify=False, allocations=True"),
        ("--force measures it; --tag new=1", 'force=True measures it; tags="new=1"'),
        ("--iterations 4 says how many", "iterations=4 says how many"),
        ("--json and -o x are the command's", "--json and -o x are the command's"),
        ("`onnxprof zoo list` and `--over batch`", "`onnxprof zoo list` and `--over batch`"),
        ("nothing - at -- all", "nothing - at -- all"),
    ],
)
def test_options_are_arguments(text: str, python: str) -> None:
    assert told(text) == python
    assert told(python) == python
    assert in_python(text) == text, "outside of the API nothing changes"


def test_every_function_is_a_door() -> None:
    functions = [getattr(op, name) for name in op.__all__ if inspect.isfunction(getattr(op, name))]
    assert len(functions) >= 15
    assert [each.__name__ for each in functions if not hasattr(each, "__wrapped__")] == []


def test_errors_and_warnings_leave_through_it(tmp_path: Path) -> None:
    @public
    def fails(dims: object = None) -> None:
        warn("add --dim a=1")
        raise UsageError("--dim a=1 is wrong", where="m.onnx", remedy="Leave --dim out")

    with (
        pytest.warns(UserWarning, match=r'add dims=\{"a": 1\}'),
        pytest.raises(UsageError) as caught,
    ):
        fails()
    assert str(caught.value) == 'm.onnx: dims={"a": 1} is wrong. Leave dims out'
    assert caught.value.args == ('dims={"a": 1} is wrong',)


def test_a_free_axis_is_named_as_it_is_given(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path, "lenet.onnx")
    with pytest.raises(UsageError) as caught:
        op.profile(path, granularity="written", optimization_level="basic", progress=False)
    assert 'Leave out granularity="written", or optimization_level' in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "close"),
    [
        ({"batchs": 4}, "batches"),
        ({"thread": 4}, "threads"),
        ({"phase": "decode:4"}, "phases"),
        ({"session_option": {}}, "session_options"),
        ({"progres": False}, "progress"),
    ],
)
def test_a_misspelt_argument_has_a_close_one(given: Measuring, close: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {close}\\?"):
        op.profile("zoo:lenet", **given)


def test_filters_that_nothing_passes_say_which(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(sample_run("resnet50", 8))
    store.save(sample_run("vgg16", 1))
    for given, words in (
        (
            {"model": "resnet5x"},
            "the model resnet5x. Did you mean resnet50? There is: resnet50",
        ),
        ({"batch": (2, 4)}, "the batch 2 or 4. There is: 1, 8"),
        ({"tags": "x"}, "the tag x. No run has a tag"),
        ({"model": "vgg16", "batch": 8}, "matches all of these filters, though each alone has"),
    ):
        with pytest.raises(op.errors.UsageError) as caught:
            op.load(tmp_path, **given)  # type: ignore[arg-type]
        assert words in str(caught.value)
