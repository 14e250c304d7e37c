"""What interrupted an inference is found, taken out of the rows, and kept apart from overhead."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.runs.interrupted import MS, STEPS_NS, machine, run_of

from onnxprof.analysis.interruptions import quieten
from onnxprof.analysis.processes import merge
from onnxprof.analysis.reconcile import Reconciliation, Status, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.testing import FakeBackend, ScriptedClock, sample_run, sample_table

BUDGET_NS = 3_000 * MS


def rows(run: Run) -> NDArray[np.float64]:
    sums = reconcile(run)
    return np.array([r.median_ns for r in sums.rows if r.status is Status.TIMED], np.float64)


def adds_up(sums: Reconciliation) -> bool:
    *above, total = (row.median_ns or 0 for row in sums.rows)
    return sum(above) == total == sums.total_ns


@given(st.integers(0, 6), st.integers(0, 47), st.floats(1, 1e11), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_spike_of_any_size_in_any_sample_changes_no_row_by_much(
    step: int, inference: int, size: float, seed: int
) -> None:
    steps, plain = machine(seed)
    quiet = rows(run_of(steps, plain))
    steps[step, inference] += int(size)
    spiked = run_of(steps, plain)
    assert rows(spiked) == pytest.approx(quiet, rel=0.02, abs=100)
    assert adds_up(reconcile(spiked))


@given(st.integers(2, 1000), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_clock_of_another_unit_gives_the_same_shares(factor: int, seed: int) -> None:
    steps, plain = machine(seed)
    steps[2, 5] += 8 * MS
    one, other = run_of(steps, plain), run_of(steps * factor, plain * factor, 36_000 * factor)
    assert rows(other) == pytest.approx(rows(one) * factor, rel=1e-3, abs=factor)


@pytest.mark.parametrize(
    "speed", [lambda t: 1 + t, lambda t: 2 - t, lambda t: 1.0 if t < 0.3 else 1.6]
)
def test_a_machine_that_drifts_is_not_interrupted(speed: Callable[[float], float]) -> None:
    sums = reconcile(run_of(*machine(speed=speed)))
    assert (sums.interruptions_ns or 0) < 0.01 * sums.total_ns
    steady = rows(run_of(*machine()))
    drifting = np.array([r.median_ns for r in sums.rows if r.status is Status.TIMED])
    assert drifting / drifting.sum() == pytest.approx(steady / steady.sum(), rel=0.03)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_what_interruptions_took_of_the_median_has_a_row_of_its_own(part: float) -> None:
    """Each of so many inferences is interrupted once, for 2 ms, traced or not."""
    steps, plain = machine(1)
    quiet = rows(run_of(steps, plain))
    rng = np.random.default_rng(2)
    count = steps.shape[1]
    chosen = np.flatnonzero(rng.permutation(count) < part * count)
    at = rng.choice(len(STEPS_NS), chosen.size, p=np.array(STEPS_NS) / sum(STEPS_NS))
    steps[at, chosen] += 2 * MS
    plain[rng.permutation(count) < part * count] += 2 * MS
    run = run_of(steps, plain)
    sums = reconcile(run)
    assert adds_up(sums)
    assert rows(run)[:5] == pytest.approx(quiet[:5], rel=0.1)
    took = sums.interruptions_ns or 0
    assert took == pytest.approx(2 * MS if part > 0.5 else 0, abs=0.15 * sum(STEPS_NS)) or (
        part == 0.5  # the median may lie on either side
    )
    assert abs(sums.overhead_ns) < 0.1 * sum(STEPS_NS)


def test_one_process_that_was_hit_hard_does_not_shorten_the_rows_of_the_others() -> None:
    each = [machine(seed) for seed in range(3)]
    quiet = rows(merge([run_of(*one) for one in each]))
    steps, plain = each[0]
    steps[:2] += 3 * MS
    steps[0, ::2] += 5 * MS
    plain[:] += 6 * MS
    sums = reconcile(merge([run_of(*one) for one in each]))
    assert (sums.interruptions_ns or 0) < 0.02 * sums.total_ns
    small = [r.median_ns for r in sums.rows if r.status is Status.TIMED][2:]
    assert small == pytest.approx(quiet[2:], rel=0.4)
    assert adds_up(sums)


def test_times_that_a_coarse_clock_counts_as_zero_stay_finite() -> None:
    steps, plain = machine()
    tiny = np.random.default_rng(0).choice([0, 0, 1000], steps.shape[1])
    run = run_of(np.vstack([steps, tiny, np.zeros_like(tiny)]), plain)
    found = rows(run)
    assert np.isfinite(found).all()
    assert 0 < found[-2] < 1000
    assert found[-1] == 0
    assert adds_up(reconcile(run))


def test_five_samples_of_which_one_was_preempted() -> None:
    """As a real file's step had them; a rank of so few scattered samples is in doubt."""
    steps = np.array([[10, 7434, 9, 7, 7], [900, 910, 905, 899, 903]]) * 1000
    quiet = quieten(steps, steps.sum(axis=0) + 5000)
    assert quiet.step_ns.max(axis=1).tolist() < [20_000, 911_000]
    assert quiet.whole_ns.max() < 1_000_000


def test_two_samples_of_which_one_was_preempted() -> None:
    steps = np.array([[10, 7434], [900, 910]]) * 1000
    assert quieten(steps, steps.sum(axis=0)).step_ns.max() < 1_000_000


def test_percentiles_are_those_of_the_samples_scaled() -> None:
    run = run_of(*machine(3))
    assert run.timings is not None
    timed = [row for row in reconcile(run).rows if row.status is Status.TIMED]
    for row, samples in zip(timed, run.timings.step_ns, strict=True):
        p5, median, p95 = np.quantile(samples, (0.05, 0.5, 0.95))
        assert row.p5_ns == pytest.approx(row.median_ns * p5 / median, abs=1)
        assert row.p95_ns == pytest.approx(row.median_ns * p95 / median, abs=1)


def test_scattered_samples_put_a_rank_in_doubt() -> None:
    steps, plain = machine()
    even = run_of(steps.copy(), plain)
    steps[3] = np.where(np.arange(steps.shape[1]) % 2, 100_000, 900_000)
    doubts = [row.doubt for row in reconcile(run_of(steps, plain)).rows if row.step]
    assert [doubt is not None for doubt in doubts] == [False] * 3 + [True] + [False] * 3
    assert doubts[3] is not None
    assert doubts[3].samples == steps.shape[1]
    assert doubts[3].spread == pytest.approx(9.0)
    assert not any(row.doubt for row in reconcile(even).rows)


def test_planted_interruptions_and_drift_are_found_by_the_protocol() -> None:
    """A machine that becomes slower by a third and loses its core in each fourth inference."""
    rng = np.random.default_rng(5)
    clock = ScriptedClock()
    noise = rng.lognormal(0, 0.01, (len(STEPS_NS), 997))
    struck = rng.choice(len(STEPS_NS), 997, p=np.array(STEPS_NS) / sum(STEPS_NS))

    def step(number: int) -> Callable[[int], int]:
        def duration(count: int) -> int:
            at = count % 997
            lost = 8 * MS if at % 4 == 0 and struck[at] == number else 0
            slow = 1 + clock() / (3 * BUDGET_NS)
            return lost + round(STEPS_NS[number] * slow * noise[number, at])

        return duration

    backend = FakeBackend(clock, [step(number) for number in range(len(STEPS_NS))])
    table = sample_table(1, [f"Op{i}" for i in range(len(STEPS_NS))])
    workload = Workload(PreparedModel(b"", None), table, {}, 1)  # type: ignore[arg-type]
    found = measure(
        backend,
        workload,
        Budget(BUDGET_NS / 1e9),
        clock,
        lambda phase, share: None,
        timer=Timer.TRACE,
    )
    run = dataclasses.replace(
        sample_run(), table=table, steps=found.trace.steps, timings=found.timings, warnings=()
    )
    times = divided(run).step_ns
    assert times / times.sum() == pytest.approx(np.array(STEPS_NS) / sum(STEPS_NS), rel=0.03)
    assert adds_up(reconcile(run))
