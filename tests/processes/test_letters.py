"""What a process may send to the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxprof.errors import BackendError, ModelError, ProcessEnded
from onnxprof.processes.confined import Limits, confined
from onnxprof.processes.letters import is_plain, received
from onnxprof.records.step import Timer
from onnxprof.testing import sample_run


def sent(value: object) -> Any:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        theirs.send(value)
        return received(ours)


class Acting:
    """Runs a function when it is read."""

    def __init__(self, function: Any, *given: object) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        ("progress", ("measuring", 0.5)),
        {"a": [1, 2.5, None, True, b"x", {1, 2}, frozenset({3}), range(3)]},
        Timer.TRACE,
        Path("a/b"),
        Fraction(1, 3),
        Limits(3.0, 4),
        np.float32(1.5),
    ],
)
def test_plain_values_and_records_arrive(value: object) -> None:
    assert sent(value) == value


@pytest.mark.parametrize("dtype", ["f4", "f2", "i8", "?", "U3", "S2", "c8"])
def test_arrays_arrive(dtype: str) -> None:
    for array in (np.zeros((2, 3), dtype), np.zeros((4, 4), dtype)[::2, ::3], np.zeros(0, dtype)):
        found = sent(array)
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_arrays_of_other_element_types_arrive() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.ones(3, ml_dtypes.bfloat16)
    assert sent(array).dtype == array.dtype


def test_a_run_arrives() -> None:
    run = sample_run()
    found = sent(("run", run))[1]
    assert found.request == run.request
    assert found.table == run.table
    assert np.array_equal(found.timings.latency_ns, run.timings.latency_ns)


def test_errors_arrive() -> None:
    found = sent(("error", ModelError("is damaged", where="m", remedy="Mend it")))[1]
    assert (type(found), found.what, found.where) == (ModelError, "is damaged", "m")
    assert isinstance(sent(KeyError("x")), KeyError)
    assert isinstance(sent(ProcessEnded("gone")), BackendError)


@pytest.mark.parametrize(
    "value",
    [
        Acting(os.system, "true"),
        Acting(eval, "1"),
        Acting(getattr, "text", "join"),
        Acting(Path.unlink, Path("x")),
        Acting(np.load, "x"),
        Acting(pickle.loads, b""),
        Acting(sample_run),
        [1, {"a": Acting(os.remove, "x")}],
        ("error", Acting(exec, "")),
    ],
)
def test_what_acts_is_not_read(value: object) -> None:
    with pytest.raises(ProcessEnded, match="sent what it may not"):
        sent(value)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("onnxprof.jobs.child", "os.system"),  # by way of what a module of ours imports
        ("onnxprof.jobs.child", "Path"),
        ("onnxprof.jobs.child", "perform"),
        ("antigravity", "fly"),  # would be imported
        ("subprocess", "Popen"),
        ("builtins", "eval"),
    ],
)
def test_names_lead_to_nothing_else(module: str, name: str) -> None:
    text = b"\x80\x04" + b"".join(
        b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name)
    )
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        theirs.send_bytes(text + b"\x93.")
        with pytest.raises(ProcessEnded, match="may not"):
            received(ours)


@pytest.mark.parametrize(
    "data", [b"", b"no pickle", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."]
)
def test_what_is_no_letter_is_one_error(data: bytes) -> None:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        theirs.send_bytes(data)
        with pytest.raises((ProcessEnded, EOFError)):
            received(ours)


def act() -> object:
    return Acting(os.mkdir, os.environ["ONNXPROF_ANY"])


def test_work_that_is_taken_over_has_no_hand_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROF_ANY", str(tmp_path / "taken"))
    with pytest.raises(ProcessEnded, match=r"posix\.mkdir|nt\.mkdir"):
        confined(act, Limits(60), "planning")
    assert not (tmp_path / "taken").exists()


class Odd(Exception):
    """Of a module that only the process has."""


def fail() -> None:
    raise Odd("quite odd")


def test_an_error_of_a_strange_class_comes_in_words() -> None:
    with pytest.raises(RuntimeError, match="Odd: quite odd") as caught:
        confined(fail, Limits(60), "planning")
    assert "in fail" in caught.value.__notes__[0]
    assert is_plain(KeyError("x"))
    assert not is_plain(Odd("x"))
