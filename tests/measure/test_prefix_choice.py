"""Whether the trace or prefixes time the steps, and which prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.measure.protocol import MS, kinds, run, workload

from onnxprof.analysis.step_times import estimates
from onnxprof.measure import cuts
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import FakeBackend, FakeSession, sample_table


def test_auto_keeps_the_trace_where_it_costs_nothing() -> None:
    found = run(FakeBackend(traced_cost_ns=1000), timer=Timer.AUTO)
    assert found.timings.prefix_ns.size == 0


def test_auto_takes_prefixes_where_the_trace_inflates() -> None:
    backend = FakeBackend(step_ns=(MS, 2 * MS, 100_000), gap_ns=10_000, traced_cost_ns=300_000)
    found = run(backend, timer=Timer.AUTO)
    timings = found.timings
    assert timings.prefix_steps[0] == 0
    assert timings.prefix_steps[-1] == 3
    times = estimates(found.trace.steps, timings)
    assert times == pytest.approx([MS, 2 * MS, 100_000], rel=0.01)
    assert found.warnings == ()


def test_one_cut_still_takes_the_bias_off() -> None:
    backend = FakeBackend(step_ns=(100 * MS, 200 * MS, 50 * MS), traced_cost_ns=30 * MS)
    found = run(backend, seconds=4.0, timer=Timer.PREFIX)
    assert found.timings.prefix_steps == (0, 3)
    times = estimates(found.trace.steps, found.timings)
    assert times == pytest.approx([100 * MS, 200 * MS, 50 * MS], rel=0.01)


def test_prefix_rounds_hold_every_session_and_the_model_itself() -> None:
    found = run(FakeBackend(traced_cost_ns=MS), timer=Timer.PREFIX)
    timings = found.timings
    assert timings.prefix_ns.shape[0] == len(timings.prefix_steps)
    assert timings.latency_ns.size == 3 * timings.prefix_ns.shape[1]
    assert (np.diff(np.median(timings.prefix_ns, axis=1)) > 0).all()


def test_a_graph_that_cannot_be_cut_falls_back_to_the_trace_and_says_so() -> None:
    found = run(FakeBackend(traced_cost_ns=MS, uncuttable="no"), timer=Timer.AUTO)
    assert found.timings.prefix_ns.size == 0
    assert found.timings.latency_ns.size >= 6
    told = {w.kind: w for w in found.warnings}
    assert "no" in told[WarningKind.NO_PREFIXES].subject
    assert WarningKind.TIMER_INFLATION in told


def test_auto_keeps_the_trace_where_there_is_no_time_for_rounds() -> None:
    backend = FakeBackend(step_ns=(100 * MS, 200 * MS, 50 * MS), traced_cost_ns=30 * MS)
    found = run(backend, seconds=4.0, timer=Timer.AUTO)
    assert found.timings.prefix_ns.size == 0
    assert WarningKind.TIMER_INFLATION in kinds(found)


@pytest.mark.parametrize(("cost", "prefixes"), [(8_000, False), (16_000, True)])
def test_auto_goes_on_with_prefixes_where_layers_would_exceed_the_model(
    cost: int, prefixes: bool
) -> None:
    """Less than makes it stop tracing, but more than 1 % in the end."""
    backend = FakeBackend(step_ns=(MS, 2 * MS, 100_000), gap_ns=10_000, traced_cost_ns=cost)
    found = run(backend, timer=Timer.AUTO)
    assert (found.timings.prefix_ns.size > 0) == prefixes
    assert found.warnings == ()
    times = estimates(found.trace.steps, found.timings)
    assert times.sum() <= 1.01 * float(np.median(found.timings.latency_ns))


def test_auto_is_not_fooled_by_a_few_noisy_samples() -> None:
    rng = np.random.default_rng(3)
    noisy = lambda _: int(rng.normal(100 * MS, 20 * MS))  # noqa: E731
    found = run(FakeBackend(step_ns=(noisy, 0, 0)), seconds=3.0, timer=Timer.AUTO)
    assert found.timings.prefix_ns.size == 0


def test_prefixes_are_cut_where_they_are_wanted() -> None:
    backend = FakeBackend(traced_cost_ns=MS)
    clock, silent = backend.clock, lambda *_: None
    options = {"timer": Timer.PREFIX, "wanted_cuts": (0, 2, 3)}
    found = measure(backend, workload(), Budget(2.0), clock, silent, **options)
    assert found.timings.prefix_steps == (0, 2, 3)
    options["wanted_cuts"] = (0, 2, 5)  # of another graph
    found = measure(backend, workload(), Budget(2.0), clock, silent, **options)
    assert found.timings.prefix_steps == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("most", "kept"),
    [(9, (0, 2, 3, 5, 8)), (4, (0, 2, 3, 5, 8)), (2, (0, 3, 8)), (1, (0, 8)), (0, (0, 8))],
)
def test_thinned_cuts_keep_both_ends(most: int, kept: tuple[int, ...]) -> None:
    assert cuts.thinned((0, 2, 3, 5, 8), most) == kept


def test_prefixes_that_run_out_of_memory_fall_back_to_the_trace() -> None:
    class Hungry(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Greedy(made.clock, job, made.step_ns, made.gap_ns, cost)

    class Greedy(FakeSession):
        def prefixes(self, counts: Sequence[int]) -> list[FakeSession]:
            raise MemoryError

    found = run(Hungry(traced_cost_ns=MS), timer=Timer.AUTO)
    assert found.timings.prefix_ns.size == 0
    told = {w.kind: w for w in found.warnings}
    assert told[WarningKind.NO_PREFIXES].subject == "out of memory"
    assert WarningKind.TIMER_INFLATION in told


@pytest.mark.parametrize(
    ("free", "count"), [((1000, 980), 9), ((1000, 400), 2), ((1000, 1000), 9), ((None, 5), 9)]
)
def test_prefixes_are_as_many_as_fit_into_half_of_the_devices_memory(
    free: tuple[int | None, int | None], count: int
) -> None:
    """Two prefixes took what free memory lost; of nine cuts at most so many have room."""

    class Confined(FakeSession):
        def free_bytes(self) -> int | None:
            return next(told)

    class Small(FakeBackend):
        def _session(self, job: Workload, cost: int) -> FakeSession:
            made = super()._session(job, cost)
            return Confined(made.clock, job, made.step_ns, made.gap_ns, cost)

    told = iter(free)
    job = Workload(PreparedModel(b"", Path()), sample_table(1, ["Relu"] * 8), {}, threads=1)
    found = run(Small(step_ns=(MS,) * 8), job=job, timer=Timer.PREFIX)
    assert len(found.timings.prefix_steps) == count
