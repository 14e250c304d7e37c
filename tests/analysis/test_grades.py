"""Solid, rough, noise: the rule, and that nothing makes a grade better than it should be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pages.graded import THREE, graded_run, with_latencies
from support.sites import failed_run, wrong_run

from onnxprof.analysis.grades import (
    FEWEST,
    NOT_SOLID,
    Grade,
    grade,
    graded,
    has_interval,
    worst,
)
from onnxprof.analysis.intervals import interval_ranks
from onnxprof.analysis.reconcile import reconcile
from onnxprof.records.run import Origin, Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run

ORDER = list(Grade)
kinds = st.sets(st.sampled_from(WarningKind), max_size=3)


def test_the_fewest_samples_are_those_that_have_an_interval() -> None:
    assert [n for n in range(40) if has_interval(n)] == [
        n for n in range(40) if interval_ranks(n) is not None
    ]
    assert interval_ranks(FEWEST - 1) is None


@pytest.mark.parametrize(
    ("samples", "width", "wanted"),
    [
        (6, 0.02, Grade.SOLID),
        (6, 0.0201, Grade.ROUGH),
        (5, 0.0, Grade.ROUGH),
        (3, 0.10, Grade.ROUGH),
        (3, 0.101, Grade.NOISE),
        (2, 0.0, Grade.NOISE),
        (1, 0.0, Grade.NOISE),
        (0, 0.0, Grade.NOISE),
        (100, 0.3, Grade.NOISE),
        (100, float("nan"), Grade.NOISE),
        (100, float("inf"), Grade.NOISE),
    ],
)
def test_the_rule(samples: int, width: float, wanted: Grade) -> None:
    assert graded(samples, width) is wanted


def test_no_figure_is_solid_beside_a_warning_of_few_samples() -> None:
    assert graded(10, 0.001, {WarningKind.FEW_SAMPLES}) is Grade.ROUGH


@pytest.mark.parametrize("kind", WarningKind)
def test_a_machine_that_was_not_steady_leaves_no_figure_solid(kind: WarningKind) -> None:
    assert graded(100, 0.001, {kind}) is (Grade.ROUGH if kind in NOT_SOLID else Grade.SOLID)
    assert graded(100, 0.2, {kind}) is Grade.NOISE


@given(st.integers(0, 99), st.integers(0, 99), st.floats(0, 1), st.floats(0, 1), kinds, kinds)
def test_fewer_samples_more_spread_or_more_warnings_are_never_better(
    samples: int, less: int, width: float, more: float, some: set, others: set
) -> None:
    before = graded(samples, width, some)
    after = graded(max(0, samples - less), width + more, some | others)
    assert ORDER.index(after) >= ORDER.index(before)


odd = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.integers(900, 1100), min_size=2 * n + 1, max_size=2 * n + 1)
)


@given(odd)
def test_a_run_without_its_two_middle_neighbours_has_no_better_grade(values: list[int]) -> None:
    """The median and the ends stay, so the spread does, and there are two samples less."""
    values = sorted(values)
    middle = len(values) // 2
    fewer = [*values[: middle - 1], values[middle], *values[middle + 2 :]]
    assert rank(fewer) >= rank(values)


@given(odd, st.integers(1, 8))
def test_a_run_that_scatters_more_has_no_better_grade(values: list[int], factor: int) -> None:
    middle = sorted(values)[len(values) // 2]
    wider = [middle + factor * (value - middle) for value in values]
    assert rank(wider) >= rank(values)


def rank(values: list[int]) -> int:
    found = grade(with_latencies(sample_run(), values))
    assert found is not None
    return ORDER.index(found)


def bare() -> Run:
    """An imported run without un-profiled latencies."""
    run = sample_run()
    assert run.timings is not None
    none = np.zeros(0, np.int64)
    timings = dataclasses.replace(run.timings, latency_ns=none, latency_block=none.astype(np.int32))
    return dataclasses.replace(run, timings=timings, origin=Origin("trtexec", "IProfiler"))


def test_what_is_no_latency_or_a_wrong_one_has_no_grade() -> None:
    warned = dataclasses.replace(
        sample_run(), warnings=(RunWarning(WarningKind.PARITY_FAILED, 0.1, "y"),)
    )
    assert [grade(run) for run in (failed_run(), wrong_run(), warned, bare())] == [None] * 4
    assert warned.is_wrong
    assert dataclasses.replace(wrong_run(), warnings=()).is_wrong
    assert not sample_run().is_wrong


def test_a_run_its_table_and_its_summary_have_one_grade() -> None:
    spread = [(1, 1.01, 1.02, 0.99), (1, 1.3, 0.8) * 3, (1,), (1, 1), THREE, (1, 1.2, 1)]
    runs = [with_latencies(sample_run(), times) for times in spread]
    runs += [sample_run(), with_latencies(sample_run(), [1.0] * 9, WarningKind.DRIFT)]
    seen = {grade(run) for run in runs}
    assert seen == set(Grade)
    for run in runs:
        bare_run = dataclasses.replace(run, timings=None)
        found = {grade(run), grade(run, reconcile(run)), grade(bare_run, reconcile(run))}
        assert found == {summarise(run).grade}
    for run in (failed_run(), wrong_run(), bare()):
        assert summarise(run).grade is None


def test_too_few_samples_have_no_half_width() -> None:
    assert summarise(graded_run("m", THREE)).half_width is None
    assert summarise(sample_run()).half_width == pytest.approx(reconcile(sample_run()).half_width)


def test_a_figure_of_several_has_the_worst_grade() -> None:
    assert worst([Grade.SOLID, Grade.NOISE, Grade.ROUGH]) is Grade.NOISE
    assert worst([Grade.SOLID]) is Grade.SOLID
    assert worst([Grade.SOLID, None]) is None
    assert worst([]) is None
