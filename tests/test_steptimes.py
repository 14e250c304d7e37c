"""Segments and how they are split among steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof import steptimes
from onnxprof.reconcile import reconcile
from onnxprof.records import Run
from onnxprof.testing import sample_run

positive = st.lists(st.floats(1, 1e9), min_size=1, max_size=40)


def prefixed(run: Run, medians: list[int], cuts: tuple[int, ...], plain: int = 0) -> Run:
    """The run with steps at positions 0, 1, …, prefixes that take these times, and a latency.

    The latency is that of the longest prefix unless `plain` gives another.
    """
    assert run.timings is not None
    steps = tuple(dataclasses.replace(s, position=i) for i, s in enumerate(run.steps))
    times = np.array(medians, np.int64)[:, None] + np.array([-3, 0, 3])
    latency = np.full(run.timings.latency_ns.shape, plain or medians[-1], np.int64)
    timings = dataclasses.replace(
        run.timings, prefix_ns=times, prefix_steps=cuts, latency_ns=latency
    )
    return dataclasses.replace(run, steps=steps, timings=timings)


@given(positive, st.floats(1, 1e11))
def test_a_split_adds_up_and_is_positive(sampled: list[float], total: float) -> None:
    parts = steptimes.split(np.array(sampled), total)
    assert parts.sum() == pytest.approx(total)
    assert (parts > 0).all()


@given(st.lists(st.floats(100, 1e6), min_size=1, max_size=30), st.floats(0, 90))
def test_a_bias_that_is_the_same_for_all_is_found(true: list[float], bias: float) -> None:
    steps = np.array(true)
    assert steptimes.split(steps + bias, steps.sum()) == pytest.approx(steps, rel=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_pooling_gives_a_rising_sequence_with_the_same_sum(values: list[float]) -> None:
    found = steptimes.rising(np.array(values))
    assert (np.diff(found) >= 0).all()
    assert found.sum() == pytest.approx(sum(values), abs=1e-3)


def test_a_rising_sequence_is_left_alone() -> None:
    assert steptimes.rising(np.array([1.0, 2.0, 2.0, 5.0])).tolist() == [1, 2, 2, 5]


def test_a_cut_at_every_step_gives_each_its_difference() -> None:
    run = prefixed(sample_run(fused=True), [10_000, 510_000, 910_000, 1_000_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = steptimes.estimates(run.steps, run.timings)
    assert found.tolist() == [500_000, 400_000, 90_000]
    medians = np.median(steptimes.step_samples(run), axis=1)
    assert medians == pytest.approx(found, abs=1)


def test_steps_of_one_segment_share_it_by_the_trace() -> None:
    run = prefixed(sample_run(), [10_000, 2_010_000], (0, 3))
    assert run.timings is not None
    found = steptimes.estimates(run.steps, run.timings)
    assert found.sum() == pytest.approx(2_000_000)
    assert (np.diff(np.median(run.timings.step_ns, axis=1)) < 0).all()
    assert (np.diff(found) < 0).all()


def test_a_negative_segment_is_pooled_with_its_neighbour() -> None:
    run = prefixed(sample_run(), [10_000, 800_000, 700_000, 1_500_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = steptimes.estimates(run.steps, run.timings)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1_490_000)


def test_a_last_prefix_that_seems_shorter_takes_nothing_from_the_sum() -> None:
    run = prefixed(sample_run(), [10_000, 900_000, 1_100_000, 1_000_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = steptimes.estimates(run.steps, run.timings)
    assert found.sum() == pytest.approx(990_000)


def test_segments_are_scaled_to_the_model_as_it_is() -> None:
    run = prefixed(sample_run(), [10_000, 510_000, 1_010_000], (0, 1, 3), plain=1_110_000)
    assert run.timings is not None
    assert steptimes.agreement(run.timings) == pytest.approx(1.1)
    found = steptimes.estimates(run.steps, run.timings)
    assert found[0] == pytest.approx(550_000)
    assert found.sum() == pytest.approx(1_100_000)


def test_the_rows_of_a_prefixed_run_leave_the_empty_session_as_overhead() -> None:
    base = sample_run()
    assert base.timings is not None
    total = int(np.median(base.timings.latency_ns))
    run = prefixed(base, [7_000, total // 2, total - 100_000, total], (0, 1, 2, 3))
    sums = reconcile(run)
    assert sums.overhead_ns == pytest.approx(7_000, abs=10)
    assert sum(row.median_ns or 0 for row in sums.rows[:-1]) == sums.total_ns
