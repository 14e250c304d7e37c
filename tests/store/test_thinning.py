"""Runs with fewer samples: what stays, what moves by less than its own interval, what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from support.store.same import assert_same

from onnxprof.analysis import intervals
from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import divided, inflation, least_inflation
from onnxprof.records.run import Run, Thinned
from onnxprof.records.timings import Samples, Timings
from onnxprof.store import encoding
from onnxprof.store.upkeep.thinning import LEAST, RULE, thinned
from onnxprof.testing import sample_run

BLOCKS = 12


def measured(seed: int, samples: int, *, drift: float = 0.0, busy: float = 0.0) -> Run:
    """A run of many samples in blocks, on a machine that drifts and is interrupted at times."""
    run = sample_run(seed=seed)
    rng = np.random.default_rng(seed)
    share = rng.gamma(1.0, 1.0, len(run.steps)) + 0.05
    share /= share.sum()

    def speeds(count: int) -> np.ndarray:
        return 1 + drift * np.arange(count) / count + rng.gamma(2.0, 0.01, count)

    def blocks(count: int) -> np.ndarray:
        return np.sort(rng.integers(0, BLOCKS, count)).astype(np.int32)

    latency = 1e6 * speeds(samples) + 3e6 * (rng.random(samples) < busy)
    traced = speeds(samples)
    steps = 0.97e6 * share[:, None] * traced * (1 + rng.gamma(2.0, 0.02, (len(share), samples)))
    steps += 3e6 * (rng.random(steps.shape) < busy / len(share))
    assert run.timings is not None
    timings = replace(
        run.timings,
        warmup_ns=(1e6 * speeds(samples)).astype(np.int64),
        latency_ns=latency.astype(np.int64),
        latency_block=blocks(samples) * np.int32(2),
        step_ns=steps.astype(np.int64),
        traced_ns=(steps.sum(axis=0) + 2e4).astype(np.int64),
        traced_block=blocks(samples) * np.int32(2) + np.int32(1),
    )
    return replace(run, timings=timings)


def times(run: Run) -> Timings:
    assert run.timings is not None
    return run.timings


def half(samples: Samples) -> float:
    low, high = intervals.median_interval(samples)
    return (high - low) / 2


CASES = [
    measured(seed, samples, drift=drift, busy=busy)
    for seed in range(4)
    for samples in (300, 2000)
    for drift, busy in ((0.0, 0.0), (0.05, 0.0), (0.0, 0.1))
]


@pytest.mark.parametrize("run", CASES)
@pytest.mark.parametrize("limit", [64, 200])
def test_figures_move_by_less_than_their_own_interval(run: Run, limit: int) -> None:
    less = thinned(run, limit)
    before, after = reconcile(run), reconcile(less)
    low, high = after.interval_ns
    assert abs(after.total_ns - before.total_ns) <= (high - low) / 2
    assert low <= before.total_ns <= high
    sums = before.layer_sum_ns, after.layer_sum_ns
    assert abs(sums[0] - sums[1]) <= high - low
    assert after.layer_sum_ns + after.overhead_ns + (after.interruptions_ns or 0) == after.total_ns
    scaled = divided(less).scaled(times(less).step_ns)
    by_step = {row.step.name: row for row in before.rows if row.step and row.median_ns}
    for number, step in enumerate(less.steps):
        row = next(r for r in after.rows if r.step and r.step.name == step.name and r.median_ns)
        moved = abs((row.median_ns or 0) - (by_step[step.name].median_ns or 0))
        assert moved <= half(scaled[number].astype(np.int64)) + (high - low) / 2, step.name


@pytest.mark.parametrize("run", CASES)
def test_intervals_are_never_narrower(run: Run) -> None:
    widths = []
    for one in (run, thinned(run, 100)):
        low, high = intervals.latency_interval(times(one))
        widths.append(high - low)
    assert widths[0] <= widths[1]


@pytest.mark.parametrize("run", CASES)
def test_what_tracing_costs_and_drift_stay(run: Run) -> None:
    less = thinned(run, 128)
    assert abs(inflation(times(less)) - inflation(times(run))) < 0.01
    assert abs(least_inflation(times(less)) - least_inflation(times(run))) < 0.01
    before, after = (intervals.drift(times(one)) for one in (run, less))
    assert (before == 0) == (after == 0)
    assert abs(before - after) < 0.01


@settings(max_examples=60)
@given(strategies.runs(failures=False, least=1), st.integers(1, 5))
def test_every_block_and_the_pairs_stay(run: Run, limit: int) -> None:
    less = times(thinned(run, limit))
    whole = times(run)
    for kind in ("latency", "traced"):
        block = getattr(whole, f"{kind}_block")
        left = getattr(less, f"{kind}_block")
        assert set(left.tolist()) == set(block.tolist())
        kept = getattr(less, f"{kind}_ns")
        assert kept.size <= max(limit + len(set(block.tolist())), limit)
        assert set(zip(left.tolist(), kept.tolist(), strict=True)) <= set(
            zip(block.tolist(), getattr(whole, f"{kind}_ns").tolist(), strict=True)
        )
    columns = {tuple(column) for column in whole.step_ns.T.tolist()}
    assert {tuple(column) for column in less.step_ns.T.tolist()} <= columns
    assert less.step_ns.shape[1] == less.traced_ns.size
    assert np.array_equal(less.prefix_ns, whole.prefix_ns)
    assert np.array_equal(less.repeat_ns, whole.repeat_ns)


def test_a_run_says_how_many_there_were() -> None:
    run = measured(0, 500)
    less = thinned(run, 100)
    assert less.thinned == Thinned(RULE, 100, 500, 500, 500)
    again = thinned(less, 50)
    assert again.thinned == Thinned(RULE, 50, 500, 500, 500)
    back = encoding.run_from_json(encoding.run_to_json(less))
    assert back.thinned == less.thinned


def test_a_run_of_few_samples_is_as_it_was() -> None:
    run = sample_run()
    assert thinned(run, 10**6) is run
    assert "thinned" not in encoding.run_to_json(run)
    failed = replace(run, timings=None, failure="it broke")
    assert thinned(failed, LEAST) is failed


def test_the_choice_is_the_same_each_time() -> None:
    assert_same(thinned(measured(1, 400), 64), thinned(measured(1, 400), 64))


def test_samples_without_blocks_are_one_block() -> None:
    run = measured(2, 401)
    none = np.zeros(0, np.int32)
    bare = replace(run, timings=replace(times(run), latency_block=none, traced_block=none))
    less = times(thinned(bare, 101))
    assert less.latency_ns.size == less.traced_ns.size == 101
    assert less.latency_block.size == 0
    assert np.median(less.latency_ns) == np.median(times(run).latency_ns)
