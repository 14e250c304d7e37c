"""Keyword options of a measurement: those of the one table, read as the command reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from support.api import options as written

from onnxprof.api.options import OWN, Measuring, fields_of, limits, sizes
from onnxprof.errors import UsageError
from onnxprof.jobs.options import TABLE, Options
from onnxprof.measure.budget import Budget
from onnxprof.records.step import Granularity, Timer


def test_the_typed_dict_is_that_of_the_table() -> None:
    text = written.MODULE.read_text("utf-8")
    assert written.module(text) == text, "run `make house`"
    text = written.PAGE.read_text("utf-8")
    assert written.page(text) == text, "run `make house`"


def test_every_option_is_one_of_the_typed_dict_or_a_parameter() -> None:
    assert {*get_type_hints(Measuring), *OWN} == set(TABLE)
    assert OWN == written.OWN


#: A value that a user gives for each option, and what a measurement is told.
GIVEN: dict[str, tuple[Any, Any]] = {
    "device": ("cpu", "cpu"),
    "threads": (np.int64(2), 2),
    "budget": (1, Budget(1.0)),
    "provider": ("compile", "compile"),
    "dims": ({"height": np.int32(3), "width": 5}, (("height", 3), ("width", 5))),
    "granularity": ("written", Granularity.WRITTEN),
    "timer": (Timer.PREFIX, Timer.PREFIX),
    "seed": (7, 7),
    "inputs": (Path("x.npz"), str(Path("x.npz").resolve())),
    "processes": (3, 3),
    "parity": (False, False),
    "verify": (False, False),
    "telemetry": (False, False),
    "allocations": (True, True),
}


@pytest.mark.parametrize("name", GIVEN)
def test_values_become_those_of_a_measurement(name: str) -> None:
    value, field = GIVEN[name]
    found = fields_of({name: value})[name]
    assert found == field
    assert type(found) is type(field)
    Options(("x",), **{name: found})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"thread": 1}, "there is no option 'thread'. Did you mean threads?"),
        ({"batches": (1,)}, "there is no option 'batches'"),
        ({"models": "x"}, "there is no option 'models'"),
        ({"nonsense": 1}, "there is no option 'nonsense'. There are device, threads"),
        ({"threads": -1}, "threads cannot be -1. Give a whole number from 0 to 1024"),
        ({"threads": 1.5}, "threads cannot be 1.5"),
        ({"threads": True}, "threads cannot be True"),
        ({"threads": [1, 2]}, "threads cannot be [1, 2]. Give one value"),
        ({"threads": "2"}, "threads cannot be '2'"),
        ({"budget": 0}, "budget cannot be 0. Give seconds"),
        ({"budget": float("nan")}, "budget cannot be nan"),
        ({"budget": float("inf")}, "budget cannot be inf"),
        ({"timer": "sundial"}, "timer cannot be 'sundial'. Give auto, trace, prefix or cupti"),
        ({"parity": 1}, "parity cannot be 1. Give true or false"),
        ({"dims": {"n": -1}}, "the size of axis 'n' cannot be -1"),
        ({"dims": {"n": "3."}}, "the size of axis 'n' cannot be '3.'"),
        ({"dims": {"n": []}}, "the size of axis 'n' cannot be []"),
        ({"dims": {"n": True}}, "the size of axis 'n' cannot be True"),
        ({"dims": {"n": [1, 2.5]}}, "the size of axis 'n' cannot be [1, 2.5]"),
        ({"dims": 3}, "dims cannot be 3"),
        ({"dims": ["n=3"]}, "dims cannot be ['n=3']"),
        ({"device": None}, "device cannot be None"),
    ],
)
def test_what_no_option_takes_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        fields_of(given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [(1, (1,)), ((8, 1, 8), (8, 1)), (range(1, 4), (1, 2, 3)), (2 ** np.arange(3), (1, 2, 4))],
)
def test_batch_sizes(given: Any, found: tuple[int, ...]) -> None:
    assert sizes(given) == found
    assert all(type(size) is int for size in sizes(given))


@pytest.mark.parametrize("given", [0, -1, (), "1,8", (1.5,), (True,), (1 << 30,), [None]])
def test_what_is_no_batch_size(given: Any) -> None:
    with pytest.raises(UsageError, match="batch cannot be"):
        sizes(given)


def test_limits_are_seconds_and_gigabytes() -> None:
    assert limits(5, 2).seconds == 5.0
    assert limits(5, 2).memory_bytes == 2 << 30
    assert limits(5, 0).memory_bytes > 0
    for bad in ((0, 0), (5, -1), (float("nan"), 0), ("5", 0)):
        with pytest.raises(UsageError):
            limits(*bad)  # type: ignore[arg-type]
