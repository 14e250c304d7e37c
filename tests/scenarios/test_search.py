"""The search for a rate: what it tries, where it ends, and what it does without any that holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.records.scenarios.run import Probe
from onnxprof.scenarios.search import Bounds, Found, highest


def found(limit: float, **changes: float) -> Found:
    """A search where every rate up to the limit holds."""
    asked = {"first": 70.0, "least": 10.0, "most": 102.0, "step": 0.25, "precision": 0.02}
    bounds = Bounds(**(asked | changes), tries=14)
    return highest(lambda rate: Probe(rate, rate <= limit, 1, 100), bounds)


@given(st.floats(10.0, 102.0))
def test_the_limit_is_met_to_the_precision(limit: float) -> None:
    search = found(limit)
    assert search.rate <= limit <= search.rate * 1.021
    assert len(search.probes) <= 14


def test_where_nothing_holds_it_ends_at_the_least() -> None:
    search = found(5.0)
    assert search.rate == 0
    assert [probe.rate for probe in search.probes] == [70.0, 17.5, 10.0]


def test_a_whole_run_that_holds_at_once_is_enough() -> None:
    assert len(found(80.0, first=70.0, most=70.0).probes) == 1


@pytest.mark.parametrize("limit", [69.0, 60.0, 50.0])
def test_whole_runs_go_down_in_small_steps(limit: float) -> None:
    search = found(limit, most=70.0, least=0.0, step=0.93, precision=0.04)
    assert search.rate <= limit <= search.rate * 1.041


def test_no_more_rates_are_tried_than_allowed() -> None:
    bounds = Bounds(70.0, 0.0, 70.0, 0.93, 0.01, 5)
    search = highest(lambda rate: Probe(rate, False, 1, 1), bounds)
    assert (search.rate, len(search.probes)) == (0.0, 5)
