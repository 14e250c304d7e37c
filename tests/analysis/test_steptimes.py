"""Segments and how they are split among steps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs.prefixed import prefixed

from onnxprof.analysis import step_times
from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import reconcile
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

positive = st.lists(st.floats(1, 1e9), min_size=1, max_size=40)


@given(positive, st.floats(1, 1e11))
def test_a_split_adds_up_and_is_positive(sampled: list[float], total: float) -> None:
    parts = split(np.array(sampled), np.ones(len(sampled)), total)
    assert parts.sum() == pytest.approx(total)
    assert (parts > 0).all()


@given(st.lists(st.floats(100, 1e6), min_size=1, max_size=30), st.floats(0, 90))
def test_a_bias_that_is_the_same_for_all_is_found(true: list[float], bias: float) -> None:
    steps = np.array(true)
    found = split(steps + bias, np.ones(steps.size), steps.sum())
    assert found == pytest.approx(steps, rel=1e-6)


def test_a_step_of_several_nodes_has_the_bias_of_each() -> None:
    steps, nodes = np.array([900.0, 500.0, 100.0]), np.array([3, 1, 1])
    assert split(steps + 20 * nodes, nodes, 1500.0) == pytest.approx(steps, rel=1e-6)


def test_the_noise_of_a_segment_takes_nothing_from_its_short_steps_alone() -> None:
    steps = np.array([30_000.0, 1_000, 30_000, 1_000])
    halves = [(np.array([0, 1]), 29_500.0), (np.array([2, 3]), 32_500.0)]
    found = step_times.split(steps + 400, halves, np.ones(4))
    assert found == pytest.approx(steps * [29.5 / 31, 29.5 / 31, 32.5 / 31, 32.5 / 31])


def split(sampled: Any, nodes: Any, total: float) -> Any:
    """All steps in one segment."""
    return step_times.split(sampled, [(np.arange(len(sampled)), total)], nodes)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_pooling_gives_a_rising_sequence_with_the_same_sum(values: list[float]) -> None:
    found = step_times.rising(np.array(values))
    assert (np.diff(found) >= 0).all()
    assert found.sum() == pytest.approx(sum(values), abs=1e-3)


def test_a_rising_sequence_is_left_alone() -> None:
    assert step_times.rising(np.array([1.0, 2.0, 2.0, 5.0])).tolist() == [1, 2, 2, 5]


def test_a_cut_at_every_step_gives_each_its_difference() -> None:
    run = prefixed(sample_run(fused=True), [10_000, 510_000, 910_000, 1_000_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = step_times.estimates(run.steps, run.timings)
    assert found.tolist() == [500_000, 400_000, 90_000]
    scaled = step_times.divided(run).scaled(run.timings.step_ns)
    assert np.median(scaled, axis=1) == pytest.approx(found, rel=0.01)


def test_steps_of_one_segment_share_it_by_the_trace() -> None:
    run = prefixed(sample_run(), [10_000, 2_010_000], (0, 3))
    assert run.timings is not None
    found = step_times.estimates(run.steps, run.timings)
    assert found.sum() == pytest.approx(2_000_000)
    assert (np.diff(np.median(run.timings.step_ns, axis=1)) < 0).all()
    assert (np.diff(found) < 0).all()


def test_a_negative_segment_is_pooled_with_its_neighbour() -> None:
    run = prefixed(sample_run(), [10_000, 800_000, 700_000, 1_500_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = step_times.estimates(run.steps, run.timings)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1_490_000)


def test_a_last_prefix_that_seems_shorter_takes_nothing_from_the_sum() -> None:
    run = prefixed(sample_run(), [10_000, 900_000, 1_100_000, 1_000_000], (0, 1, 2, 3))
    assert run.timings is not None
    found = step_times.estimates(run.steps, run.timings)
    assert found.sum() == pytest.approx(990_000)


def test_segments_are_scaled_to_the_model_as_it_is() -> None:
    run = prefixed(sample_run(), [10_000, 510_000, 1_010_000], (0, 1, 3), plain=1_110_000)
    assert run.timings is not None
    assert step_times.agreement(run.timings) == pytest.approx(1.1)
    found = step_times.estimates(run.steps, run.timings)
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


def traced(speeds: list[float], cost: float, seed: int = 0) -> Run:
    """Steps of 6, 3 and 0.5 of 10 µs, in blocks of one speed each; tracing takes `cost` times."""
    run = sample_run()
    assert run.timings is not None
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(len(speeds), dtype=np.int32), 5)
    plain = 1e4 * np.repeat(speeds, 5) * rng.normal(1, 0.01, block.size)
    under = 1e4 * cost * np.repeat(speeds, 5) * rng.normal(1, 0.01, block.size)
    timings = dataclasses.replace(
        run.timings,
        latency_ns=plain.astype(np.int64),
        latency_block=block,
        traced_ns=under.astype(np.int64),
        traced_block=block,
        step_ns=(np.array([0.6, 0.3, 0.05])[:, None] * under).astype(np.int64),
    )
    return dataclasses.replace(run, timings=timings)


def overhead(run: Run) -> float:
    sums = reconcile(run)
    assert sum(row.median_ns or 0 for row in sums.rows[:-1]) == sums.total_ns
    return sums.overhead_ns / sums.total_ns


@pytest.mark.parametrize("seed", range(5))
def test_a_machine_that_drifts_between_blocks_is_in_no_row(seed: int) -> None:
    speeds = np.random.default_rng(seed).uniform(1, 2, 12).tolist()
    run = traced(speeds, 1.0, seed)
    assert run.timings is not None
    assert overhead(run) == pytest.approx(0.05, abs=0.002)
    found = step_times.estimates(run.steps, run.timings)
    assert found / found.sum() == pytest.approx(np.array([0.6, 0.3, 0.05]) / 0.95, rel=1e-3)


def test_what_tracing_adds_for_certain_stays_in_the_rows() -> None:
    run = traced([1.0] * 12, 1.5)
    assert run.timings is not None
    assert step_times.inflation(run.timings) == pytest.approx(1.5, rel=0.01)
    assert 1.45 < step_times.least_inflation(run.timings) <= step_times.inflation(run.timings)
    assert overhead(run) == pytest.approx(1 - 0.95 * 1.5, abs=0.02)


def test_what_may_be_chance_does_not() -> None:
    run = traced([1.0, 1.3, 0.8, 1.2], 1.03)
    assert run.timings is not None
    assert step_times.least_inflation(run.timings) == 1.0
    assert overhead(run) == pytest.approx(0.05, abs=0.002)


def test_an_interrupted_inference_does_not_count() -> None:
    run = traced([1.0] * 12, 1.0)
    assert run.timings is not None
    run.timings.step_ns[1, 7] += 10**7
    run.timings.traced_ns[7] += 10**7
    assert overhead(run) == pytest.approx(0.05, abs=0.002)


def test_samples_without_blocks_count_as_they_are() -> None:
    run = sample_run()
    assert run.timings is not None
    found = step_times.estimates(run.steps, run.timings)
    assert found == pytest.approx(np.median(run.timings.step_ns, axis=1), rel=0.01)


def test_processes_of_different_speed_agree_on_shares() -> None:
    """Medians of pooled prefixes would jump from one process to the other."""
    one = prefixed(sample_run(), [10_000, 510_000, 910_000, 1_000_000], (0, 1, 2, 3))
    slow = prefixed(sample_run(), [20_000, 1_020_000, 1_820_000, 2_000_000], (0, 1, 2, 3))
    merged = merge([one, slow, slow])
    assert merged.timings is not None
    total = float(np.median(merged.timings.latency_ns))
    found = step_times.estimates(merged.steps, merged.timings)
    assert found / total == pytest.approx([0.5, 0.4, 0.09], rel=1e-6)


def test_the_empty_call_is_that_of_the_first_prefix_or_its_own() -> None:
    run = prefixed(sample_run(), [10_000, 2_010_000], (0, 3))
    assert run.timings is not None
    assert step_times.empty_call(run.timings) == 10_000
    bare = sample_run().timings
    assert bare is not None
    assert step_times.empty_call(bare) is None
    own = dataclasses.replace(bare, empty_ns=np.array([3, 5, 900]))
    assert step_times.empty_call(own) == 5


def test_layers_take_no_less_than_the_fastest_inference_on_a_machine_that_is_never_quiet() -> None:
    """Every traced inference is interrupted, in another step each; un-profiled ones mostly are."""
    sampled = sample_run(fused=True)
    assert sampled.timings is not None
    steps, inferences = len(sampled.steps), 60
    rng = np.random.default_rng(0)
    times = np.full((steps, inferences), 1_000_000) + rng.integers(0, 9_000, (steps, inferences))
    times[np.arange(inferences) % steps, np.arange(inferences)] += 20_000_000
    latency = np.full(inferences, steps * 7_000_000)
    latency[:6] = quiet = steps * 1_000_000
    timings = dataclasses.replace(
        sampled.timings,
        step_ns=times,
        traced_ns=times.sum(axis=0),
        traced_block=np.arange(inferences) // 6,
        latency_ns=latency,
        latency_block=np.arange(inferences) // 6,
    )
    sums = reconcile(dataclasses.replace(sampled, timings=timings))
    assert sums.layer_sum_ns >= 0.98 * quiet
    assert sums.interruptions_ns > 0
